//! Documents that are converted whole: OpenAPI, Postman, Imperva. Each item becomes an operation with its records.

use portolan_formats::{Format, FormatError, archive::is_archive};
use portolan_ids::{AccountId, CollectionId};
use portolan_log::Positions;

use crate::ingest::{Appender, CHUNK_BYTES_MAX, Chunks, message};
use crate::model::documents::{Converted, Destination};
use crate::model::uploads::{Ingested, Operation, Upload};
use crate::store::uploads as rows;
use crate::turns::Turn;
use crate::{Deps, Error, convert};

/// Converts a document that came with a request; see [`convert_in`].
pub async fn convert(
    deps: &Deps,
    format: Format,
    text: Vec<u8>,
    destination: Destination,
) -> Result<Result<(Converted, Turn), FormatError>, Error> {
    let turn = turn(deps, destination.account_id, &text).await;
    convert_in(turn, format, text, destination).await
}

/// The turn of an account for a text.
pub async fn turn(deps: &Deps, account_id: AccountId, text: &[u8]) -> Turn {
    // Of an archive nobody knows before it is unpacked.
    deps.documents.take(account_id, if is_archive(text) { usize::MAX } else { text.len() }).await
}

/// Converts a document, whose turn lasts for as long as what it became is in memory. The inner error says why it is none.
pub async fn convert_in(
    turn: Turn,
    format: Format,
    text: Vec<u8>,
    destination: Destination,
) -> Result<Result<(Converted, Turn), FormatError>, Error> {
    // The turn goes with the work, which nobody can interrupt.
    let converted = portolan_runtime::in_background_from(text.len(), move || {
        convert::document(format, &text, &destination).map(|converted| (converted, turn))
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
