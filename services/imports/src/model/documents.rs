//! Converted documents: each item is an operation with its records.

use portolan_formats::FormatError;
use portolan_formats::openapi::{ErrorType, ImportError, Shared};
use portolan_ids::{AccountId, CollectionId, UploadId, WorkspaceId};
use portolan_record::{Record, Source, URL_BYTES_MAX};

use super::jobs::NOTES_MAX;
use super::text::without_nul;
use super::uploads::{Group, Ingested, Operation, Owner, Upload, UploadKind, UploadStatus};

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
pub struct Destination {
    pub account_id: AccountId,
    /// 0 while the collection is not known.
    pub collection_id: CollectionId,
    /// The target is a host collection, whose endpoints are paths.
    pub path_only: bool,
    /// Unix seconds.
    pub time: i64,
}

impl Destination {
    pub fn target(&self, source: Source) -> portolan_formats::Target {
        let Self { account_id, collection_id, time, .. } = *self;
        portolan_formats::Target {
            account_id: account_id.into(),
            collection_id: collection_id.get().into(),
            time,
            source,
        }
    }
}

impl Converted {
    /// The document as an upload in progress with its counts.
    pub fn upload(
        &self,
        owner: Owner,
        upload_id: UploadId,
        kind: UploadKind,
        collection_name: String,
        created_at: i64,
    ) -> Upload {
        let count = |which: &dyn Fn(&Operation) -> bool| {
            i64::try_from(self.operations.iter().filter(|operation| which(operation)).count()).unwrap_or(i64::MAX)
        };
        Upload {
            account_id: owner.account_id,
            user_id: owner.user_id,
            upload_id,
            kind,
            status: UploadStatus::InProgress,
            fatal_error: None,
            workspace_id: WorkspaceId::default(),
            collection_id: None,
            collection_name,
            total: count(&|_| true),
            clean: count(&|operation| operation.importable && operation.errors.is_empty()),
            parsed_with_errors: count(&|operation| operation.importable && !operation.errors.is_empty()),
            refused: count(&|operation| !operation.importable),
            errors: self.errors.clone(),
            ingested: Ingested::None,
            created_at,
        }
    }

    /// What was read differently from how it was written, or not at all: of the document, of each operation that is
    /// imported, then the requests of a collection that have no endpoint of their own.
    pub fn notes(&self) -> Vec<String> {
        let imported = || self.operations.iter().filter(|operation| operation.importable);
        let of_operations = imported().filter(|operation| !operation.errors.is_empty());
        let of_operations = of_operations.map(|operation| format!("{}: {}", operation.label(), operation.error_text()));
        let mut endpoints = Shared::default();
        let shared = imported().filter(|operation| !operation.group_id.is_empty()).filter_map(|operation| {
            let Operation { group_id, method, url, name, .. } = operation;
            let other = endpoints.note(method, &format!("{group_id} {url}"), name)?;
            Some(format!("{method} {name} shares the endpoint of {other}"))
        });
        let errors = self.errors.iter().map(|error| error.error.clone());
        errors.chain(of_operations).chain(shared).take(NOTES_MAX).collect()
    }

    /// Takes the title of the document.
    pub fn titled(mut self, title: Option<&str>) -> Self {
        let title = title.map(str::trim).filter(|title| !title.is_empty());
        self.title = title.map(|title| without_nul(title.chars().take(TITLE_CHARS_MAX).collect()));
        self
    }

    /// Adds what another document, of that name, became.
    ///
    /// # Errors
    /// When both together have become too large.
    pub fn absorb(&mut self, name: &str, other: Self) -> Result<(), FormatError> {
        self.bytes += other.bytes;
        if self.bytes > CONVERTED_BYTES_MAX {
            return Err(FormatError::TooLarge(format!(
                "with its references followed it has more than {CONVERTED_BYTES_MAX} bytes"
            )));
        }
        self.title = self.title.take().or(other.title);
        let named = |error: ImportError| ImportError { error: format!("{name}: {}", error.error), ..error };
        self.errors.extend(other.errors.into_iter().map(named));
        self.groups.extend(other.groups);
        self.operations.extend(other.operations);
        Ok(())
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
            name: without_nul(name),
            url: without_nul(url),
            method: without_nul(method),
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
