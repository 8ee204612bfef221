//! OpenAPI documents: converted whole, kept as an upload, and ingested at once or after a review.

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_formats::{Format, FormatError};
use portolan_ids::{CollectionId, UploadId};
use portolan_runtime::now_s;

use crate::model::documents::Destination;
use crate::model::ids;
use crate::model::jobs::{Finished, Job, Task};
use crate::model::targets::{Target, Wanted};
use crate::model::uploads::{UploadKind, UploadStatus};
use crate::store::uploads as rows;
use crate::{Deps, Error, documents, ingest, jobs, targets};

/// Imports a document and returns the id of its upload and its job: at once into an existing collection, else kept for review. A
/// repetition under the same write id answers the same upload and ingests nothing twice.
///
/// # Errors
/// `OPENAPI_TO_GROUP`, `COLLECTION_DEACTIVATED`, `OPENAPI_INVALID`; then nothing is stored.
pub async fn import(
    deps: &Deps,
    caller: &Caller,
    text: Option<String>,
    collection_id: Option<CollectionId>,
) -> Result<(UploadId, Job), Error> {
    let upload_id = ids::upload(caller.account_id, &caller.info.write_id);
    if let Some(upload) = rows::get(&deps.db, caller.account_id, &upload_id).await?
        && upload.status == UploadStatus::Succeeded
    {
        let job = jobs::finished(deps, caller, Task::ImportOpenApi, &upload_id, Finished::of(&upload)).await?;
        return Ok((upload_id, job));
    }
    let target = match collection_id {
        None | Some(CollectionId(0) | CollectionId(-1)) => None,
        Some(id) => {
            targets::resolve(deps, caller, Wanted::Id(id.into())).await?.map(Target::for_openapi).transpose()?
        }
    };
    let text = text.unwrap_or_default();
    let time = now_s();
    let destination = Destination {
        account_id: caller.account_id,
        collection_id: target.as_ref().map_or(CollectionId(0), |target| target.collection_id),
        path_only: target.as_ref().is_some_and(|target| target.is_host),
        time,
    };
    let (converted, turn) =
        documents::convert(deps, Format::OpenApi, text.into_bytes(), destination).await?.map_err(invalid)?;
    let notes = converted.notes();
    let title = converted.title.clone().unwrap_or_else(|| upload_id.to_string());
    let mut upload =
        converted.upload(caller.into(), upload_id, UploadKind::SwaggerFile, format!("OpenAPI {title}"), time);
    match target {
        Some(target) => {
            upload.collection_name = target.name;
            upload.collection_id = Some(target.collection_id);
            let positions = documents::fill(deps, upload.clone(), target.collection_id, converted.operations).await?;
            drop(turn);
            ingest::wait(deps, caller.account_id, &positions, ingest::WAIT).await;
        }
        None => {
            upload.status = UploadStatus::Succeeded;
            rows::insert(&deps.db, &upload, &[], &converted.operations).await?;
        }
    }
    let finished = Finished::of(&upload).noting(notes);
    let job = jobs::finished(deps, caller, Task::ImportOpenApi, &upload.upload_id, finished).await?;
    Ok((upload.upload_id, job))
}

fn invalid(error: FormatError) -> Error {
    let detail = match error {
        FormatError::NotOpenApi(detail) => detail,
        other => other.to_string(),
    };
    portolan_api::Error::new(Reason::OpenapiInvalid).with("detail", detail).into()
}
