//! Postman files: converted for review, or for one collection.

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_formats::{Format, FormatError};
use portolan_ids::{CollectionId, UploadId};
use portolan_runtime::now_s;

use crate::model::documents::Destination;
use crate::model::ids;
use crate::model::jobs::{Finished, Job, Task};
use crate::model::uploads::{UploadKind, UploadStatus};
use crate::store::uploads as rows;
use crate::{Deps, Error, documents, jobs};

/// Converts a collection for review, and returns the id of its upload and its job. A repetition under the same write id
/// returns the same.
///
/// # Errors
/// `POSTMAN_FILE_INVALID`, `POSTMAN_FILE_WITHOUT_INFO`; then nothing is stored.
pub async fn import(deps: &Deps, caller: &Caller, text: Option<String>) -> Result<(UploadId, Job), Error> {
    let upload_id = ids::upload(caller.account_id, &caller.info.write_id);
    let mut notes = Vec::new();
    let upload = match rows::get(&deps.db, caller.account_id, &upload_id).await? {
        Some(upload) => upload,
        None => {
            let text = text.unwrap_or_default().into_bytes();
            let destination = Destination {
                account_id: caller.account_id,
                collection_id: CollectionId(0),
                path_only: false,
                time: now_s(),
            };
            let (converted, _turn) =
                documents::convert(deps, Format::Postman, text, destination).await?.map_err(|error| match error {
                    FormatError::NotPostman(_) => Reason::PostmanFileWithoutInfo,
                    _ => Reason::PostmanFileInvalid,
                })?;
            if converted.groups.iter().any(|group| !group.has_info) {
                return Err(Reason::PostmanFileWithoutInfo.into());
            }
            notes = converted.notes();
            let name = converted.title.clone().unwrap_or_default();
            let kind = UploadKind::PostmanFile;
            let mut upload = converted.upload(caller.into(), upload_id.clone(), kind, name, destination.time);
            upload.status = UploadStatus::Succeeded;
            rows::insert(&deps.db, &upload, &converted.groups, &converted.operations).await?;
            upload
        }
    };
    let finished = Finished::of(&upload).noting(notes);
    let job = jobs::finished(deps, caller, Task::ImportPostmanFile, &upload_id, finished).await?;
    Ok((upload_id, job))
}
