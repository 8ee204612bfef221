//! Documents that are converted whole: OpenAPI, Postman, Imperva. Each item becomes an operation with its records.

use portolan_formats::openapi::{ErrorType, ImportError};
use portolan_formats::{Format, FormatError};
use portolan_log::Positions;
use portolan_record::{Record, Source, URL_BYTES_MAX};

use crate::ingest::{Appender, CHUNK_BYTES_MAX, Chunks, message};
use crate::store::uploads as rows;
use crate::uploads::{Group, Ingested, Operation, Upload};
use crate::{Deps, Error, imperva, openapi, postman};

/// Converted bytes of one document: references make it larger than its text, and it is held in memory.
const CONVERTED_BYTES_MAX: usize = 256 * 1024 * 1024;
/// A title names a collection, whose name has at most 60 characters.
const TITLE_CHARS_MAX: usize = 200;

/// A converted document.
#[derive(Default)]
pub struct Converted {
    pub title: Option<String>,
    pub errors: Vec<ImportError>,
    /// The collections of a Postman file; empty for other documents.
    pub groups: Vec<Group>,
    pub operations: Vec<Operation>,
    bytes: usize,
}

/// Where the records of a document go.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub account_id: i64,
    /// 0 while the collection is not known.
    pub collection_id: i32,
    /// The target is a host collection, whose endpoints are paths.
    pub path_only: bool,
    /// Unix seconds.
    pub time: i64,
}

impl Place {
    pub fn target(&self, source: Source) -> portolan_formats::Target {
        let Self { account_id, collection_id, time, .. } = *self;
        portolan_formats::Target { account_id, collection_id: i64::from(collection_id), time, source }
    }
}

impl Converted {
    /// Takes the title of the document.
    pub fn titled(mut self, title: Option<&str>) -> Self {
        let title = title.map(str::trim).filter(|title| !title.is_empty());
        self.title = title.map(|title| crate::without_nul(title.chars().take(TITLE_CHARS_MAX).collect()));
        self
    }

    /// Adds an item. A record that exceeds a bound is refused with the bound's name.
    ///
    /// # Errors
    /// When the document has become too large.
    pub fn push(
        &mut self,
        group_id: &str,
        name: String,
        url: String,
        method: String,
        records: Vec<Record<'_>>,
        mut errors: Vec<ImportError>,
    ) -> Result<(), FormatError> {
        let mut written: Vec<String> = Vec::with_capacity(records.len());
        for record in records {
            match record.to_bounded_json() {
                Ok(json) => written.push(json),
                Err(bound) => errors.push(ImportError { error: bound.to_string(), error_type: ErrorType::Error }),
            }
        }
        // JSON of one line each: a line end is escaped in it.
        let record = (!written.is_empty()).then(|| written.join("\n"));
        // A URL that is too long was refused; its beginning tells which one it was.
        let (name, url) = (cut(name), cut(url));
        self.bytes += url.len() + name.len() + record.as_ref().map_or(0, String::len);
        if self.bytes > CONVERTED_BYTES_MAX {
            return Err(FormatError::TooLarge(format!(
                "with its references followed it has more than {CONVERTED_BYTES_MAX} bytes"
            )));
        }
        self.operations.push(Operation {
            group_id: group_id.to_owned(),
            name: crate::without_nul(name),
            url: crate::without_nul(url),
            method: crate::without_nul(method),
            importable: record.is_some(),
            record,
            errors,
        });
        Ok(())
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(URL_BYTES_MAX));
    text
}

/// Converts a document. The inner error says why it is none.
pub async fn convert(
    deps: &Deps,
    format: Format,
    text: Vec<u8>,
    place: Place,
) -> Result<Result<Converted, FormatError>, Error> {
    let permit = deps.converter().await;
    let converted = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        match format {
            Format::OpenApi => openapi::convert_text(&text, &place),
            Format::Postman => postman::file::convert_text(&text, &place),
            Format::Imperva => imperva::convert_text(&text, &place),
            Format::Har => Err(FormatError::NotHar("captures are read entry by entry".to_owned())),
        }
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
