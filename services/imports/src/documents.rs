//! Documents that are converted whole: OpenAPI, Postman, Imperva. Each item becomes an operation with its records.

use portolan_formats::{Format, FormatError};
use portolan_ids::CollectionId;
use portolan_log::Positions;

use crate::ingest::{Appender, CHUNK_BYTES_MAX, Chunks, message};
use crate::model::documents::{Converted, Destination};
use crate::model::uploads::{Ingested, Operation, Upload};
use crate::store::uploads as rows;
use crate::{Deps, Error, convert};

/// Converts a document. The inner error says why it is none.
pub async fn convert(
    deps: &Deps,
    format: Format,
    text: Vec<u8>,
    destination: Destination,
) -> Result<Result<Converted, FormatError>, Error> {
    let turn = deps.documents.take(destination.account_id).await;
    let converted = portolan_runtime::in_background_from(text.len(), move || {
        let _turn = turn;
        convert::document(format, &text, &destination)
    });
    Ok(converted.await?)
}

/// Keeps the upload and ingests all of its operations into a collection. Safe to repeat with the same document.
pub async fn fill(
    deps: &Deps,
    mut upload: Upload,
    collection_id: CollectionId,
    mut operations: Vec<Operation>,
) -> Result<Positions, Error> {
    let account_id = upload.account_id;
    let mut appender = Appender::new(deps, format!("upload/{account_id}/{}", upload.upload_id));
    let mut chunks = Chunks::new(CHUNK_BYTES_MAX);
    upload.collection_id = Some(collection_id);
    let mut records = Vec::new();
    // What is ingested at once needs no copy for a review.
    records.extend(operations.iter_mut().filter_map(|operation| operation.record.take()));
    rows::insert(&deps.db, &upload, &[], &operations).await?;
    for record in records.iter().flat_map(|records| records.lines()) {
        let bytes = record.len();
        if let Some(chunk) = chunks.push(message(account_id, collection_id, record.to_owned()), bytes) {
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
