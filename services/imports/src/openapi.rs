//! OpenAPI documents: converted whole, kept as an upload, and ingested at once or after a review.

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_formats::openapi::{Document, ErrorType, ImportError};
use portolan_formats::{FormatError, har};
use portolan_log::Positions;
use portolan_record::{Record, Source};

use crate::ingest::{self, Appender, CHUNK_BYTES_MAX, Chunks};
use crate::store::uploads as rows;
use crate::targets::{self, Target, Wanted};
use crate::uploads::{Ingested, Operation, Upload, UploadStatus};
use crate::{Deps, Error, id, now_s, without_nul};

/// Converted bytes of one document: references make it larger than its text, and it is held in memory.
const CONVERTED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A converted document.
pub struct Converted {
    pub title: Option<String>,
    pub errors: Vec<ImportError>,
    pub operations: Vec<Operation>,
}

/// Imports a document and answers its upload id: at once into an existing collection, else kept for review. A
/// repetition under the same write id answers the same upload and ingests nothing twice.
///
/// # Errors
/// `OPENAPI_TO_GROUP`, `COLLECTION_DEACTIVATED`, `OPENAPI_INVALID`; then nothing is stored.
pub async fn import(
    deps: &Deps,
    caller: &Caller,
    text: Option<String>,
    collection_id: Option<i32>,
) -> Result<String, Error> {
    let upload_id = id::upload(caller.account_id, &caller.info.write_id);
    if let Some(upload) = rows::get(&deps.db, caller.account_id, &upload_id).await?
        && upload.status == UploadStatus::Succeeded
    {
        return Ok(upload_id);
    }
    let target = match collection_id {
        None | Some(0 | -1) => None,
        Some(id) => targets::resolve(deps, caller, Wanted::Id(id)).await?.map(Target::for_openapi).transpose()?,
    };
    let text = text.unwrap_or_default();
    let place = target.as_ref().map(|target| (target.collection_id, target.is_host));
    let time = now_s();
    let converted = convert(deps, text.into_bytes(), caller.account_id, place, time).await?.map_err(invalid)?;
    let title = converted.title.clone().unwrap_or_else(|| upload_id.clone());
    let mut upload = Upload::new(caller.account_id, upload_id, format!("OpenAPI {title}"), &converted, time);
    match target {
        Some(target) => {
            upload.collection_name = target.name;
            let positions = fill(deps, upload.clone(), target.collection_id, converted.operations).await?;
            ingest::wait(deps, &positions, ingest::WAIT).await;
        }
        None => {
            upload.status = UploadStatus::Succeeded;
            rows::insert(&deps.db, &upload, &converted.operations).await?;
        }
    }
    Ok(upload.upload_id)
}

/// Converts a document for a collection, or for none yet. The inner error says why it is no document.
pub async fn convert(
    deps: &Deps,
    text: Vec<u8>,
    account_id: i64,
    place: Option<(i32, bool)>,
    time: i64,
) -> Result<Result<Converted, FormatError>, Error> {
    let permit = deps.converter().await;
    let (collection_id, path_only) = place.unwrap_or((0, false));
    let target =
        portolan_formats::Target { account_id, collection_id: i64::from(collection_id), time, source: Source::OpenApi };
    let converted = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        convert_text(&text, &target, path_only)
    });
    Ok(converted.await?)
}

/// Keeps the upload and ingests all of its operations into a collection. Safe to repeat with the same document.
pub async fn fill(
    deps: &Deps,
    mut upload: Upload,
    collection_id: i32,
    mut operations: Vec<Operation>,
) -> Result<Positions, Error> {
    let account_id = upload.account_id;
    let mut appender = Appender::new(deps, format!("upload/{account_id}/{}", upload.upload_id));
    let mut chunks = Chunks::new(CHUNK_BYTES_MAX);
    upload.collection_id = Some(collection_id);
    let mut records = Vec::new();
    // What is ingested at once needs no copy for a review.
    records.extend(operations.iter_mut().filter_map(|operation| operation.record.take()));
    rows::insert(&deps.db, &upload, &operations).await?;
    for record in records {
        let bytes = record.len();
        if let Some(chunk) = chunks.push(ingest::message(account_id, collection_id, record), bytes) {
            appender.append(chunk).await?;
        }
    }
    if let Some(chunk) = chunks.take() {
        appender.append(chunk).await?;
    }
    deps.db.fault("imports.appended").await?;
    rows::finish(&deps.db, account_id, &upload.upload_id, collection_id, Ingested::All).await?;
    Ok(appender.positions())
}

fn convert_text(text: &[u8], target: &portolan_formats::Target, path_only: bool) -> Result<Converted, FormatError> {
    let document = Document::parse(text)?;
    let mut operations = Vec::with_capacity(document.operation_count());
    let mut bytes = 0;
    for outcome in document.operations(target) {
        let mut errors = outcome.errors;
        let url = if path_only { path_of(&outcome.url).to_owned() } else { outcome.url };
        let record = outcome.record.and_then(|record| written(record, path_only, &mut errors));
        bytes += url.len() + record.as_ref().map_or(0, String::len);
        if bytes > CONVERTED_BYTES_MAX {
            return Err(FormatError::TooLarge(format!(
                "with its references followed it has more than {CONVERTED_BYTES_MAX} bytes"
            )));
        }
        let importable = record.is_some();
        operations.push(Operation { url: without_nul(url), method: outcome.method, importable, record, errors });
    }
    let title = document.title().map(str::trim).filter(|title| !title.is_empty());
    Ok(Converted {
        title: title.map(|title| without_nul(title.chars().take(TITLE_CHARS_MAX).collect())),
        errors: document.errors().to_vec(),
        operations,
    })
}

/// A title names a collection, whose name has at most 60 characters.
const TITLE_CHARS_MAX: usize = 200;

/// The record in its wire form, unless it is larger than the log takes.
fn written(mut record: Record<'static>, path_only: bool, errors: &mut Vec<ImportError>) -> Option<String> {
    if path_only {
        record.path = path_of(&record.path).to_owned().into();
    }
    let json = record.to_json();
    if json.len() <= har::RECORD_BYTES_MAX {
        return Some(json);
    }
    let error = format!("Message too big size: {}", json.len());
    errors.push(ImportError { error, error_type: ErrorType::Error });
    None
}

/// An address without scheme and host.
fn path_of(url: &str) -> &str {
    match url.split_once("://") {
        None => url,
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
    }
}

fn invalid(error: FormatError) -> Error {
    let detail = match error {
        FormatError::NotOpenApi(detail) => detail,
        other => other.to_string(),
    };
    portolan_api::Error::new(Reason::OpenapiInvalid).with("detail", detail).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_collections_get_paths() {
        assert_eq!(path_of("https://api.example.com/v1/pets?x=1"), "/v1/pets?x=1");
        assert_eq!(path_of("https://api.example.com"), "/");
        assert_eq!(path_of("/v1/pets"), "/v1/pets");
    }
}
