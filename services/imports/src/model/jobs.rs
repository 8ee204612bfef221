//! Jobs: work that goes on after its request was answered, and how far it is.

use portolan_formats::Format;
use portolan_ids::{AccountId, CollectionId, JobId, UploadId, UserId};
use portolan_jobs::{Readers, Record, State};
use portolan_log::Positions;
use serde::{Deserialize, Serialize};

use super::credentials::Credential;
use super::uploads::{Upload, UploadKind};
use super::url::UrlImport;

/// Refusals kept with a job; its count says how many there are.
pub const REFUSALS_MAX: usize = 1_000;
/// Notes kept with a job.
pub const NOTES_MAX: usize = 1_000;
/// Bytes of the item that a refusal names.
const ITEM_BYTES_MAX: usize = 2_048;

const FORMATS: [Format; 4] = [Format::Har, Format::OpenApi, Format::Postman, Format::Imperva];

pub fn format_name(format: Format) -> &'static str {
    match format {
        Format::Har => "HAR",
        Format::OpenApi => "OPENAPI",
        Format::Postman => "POSTMAN",
        Format::Imperva => "IMPERVA",
    }
}

/// Formats by their names.
mod by_name {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::{FORMATS, Format, format_name};

    pub fn serialize<S: Serializer>(format: &Format, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(format_name(*format))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Format, D::Error> {
        let name = String::deserialize(deserializer)?;
        let found = FORMATS.into_iter().find(|format| format_name(*format) == name);
        found.ok_or_else(|| D::Error::custom("the format is not known"))
    }
}

/// What the jobs of imports do.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Task {
    /// Ingests a stored file.
    #[serde(rename = "import")]
    Import(File),
    #[serde(rename = "import.url")]
    ImportUrl { call: UrlImport },
    #[serde(rename = "import.postman_workspace")]
    ImportPostmanWorkspace { credential: Credential },
    /// Sends a stored document to the API of this name.
    #[serde(rename = "export.postman")]
    ExportPostman { name: String },
    #[serde(rename = "upload.delete")]
    DeleteUpload { upload_id: UploadId },
    // Work that was done within its request; the jobs tell of it.
    #[serde(rename = "import.openapi")]
    ImportOpenApi(Told),
    #[serde(rename = "import.postman_file")]
    ImportPostmanFile(Told),
    #[serde(rename = "import.imperva")]
    ImportImperva(Told),
    #[serde(rename = "import.approve")]
    Approve(Told),
}

/// A stored file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct File {
    #[serde(with = "by_name")]
    pub format: Format,
    /// It is an archive of documents, the first of them of the format.
    pub is_archive: bool,
    /// The target is a host collection, whose endpoints are paths.
    pub path_only: bool,
    /// SHA-256 of the file as sent, in hexadecimal.
    pub content_digest: String,
}

/// What is told of work that was done.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Told {
    #[serde(with = "by_name")]
    pub format: Format,
}

impl portolan_jobs::Task for Task {
    type Cursor = Cursor;

    /// Addresses, headers and keys.
    fn is_secret(&self) -> bool {
        matches!(self, Self::ImportUrl { .. } | Self::ImportPostmanWorkspace { .. })
    }
}

/// How far a job is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Cursor {
    pub progress: Progress,
    /// Collections of a workspace that are still to be fetched, each by its id and name; unset until they are listed.
    pub listed: Option<Vec<(String, String)>>,
    /// The rows of a deleted upload are gone; what is left of them is in the log of the database.
    pub rows_removed: bool,
}

/// A job of this service as its readers see it.
#[derive(Clone, Debug)]
pub struct Job {
    pub account_id: AccountId,
    pub job_id: JobId,
    pub kind: String,
    /// Who asked for it.
    pub user_id: Option<UserId>,
    pub state: State,
    pub format: Option<Format>,
    pub collection_id: Option<CollectionId>,
    pub collection_name: String,
    pub progress: Progress,
    pub bytes_done: i64,
    pub bytes_total: i64,
    /// Why it failed, or why the last attempt did.
    pub error: Option<String>,
    /// Unix seconds.
    pub created_at: i64,
    pub updated_at: i64,
}

impl From<Record> for Job {
    /// What cannot be read of a job is left out.
    fn from(record: Record) -> Self {
        let format = match serde_json::from_value(record.arguments) {
            Ok(Task::Import(File { format, .. })) => Some(format),
            Ok(Task::ImportOpenApi(told) | Task::ImportPostmanFile(told)) => Some(told.format),
            Ok(Task::ImportImperva(told) | Task::Approve(told)) => Some(told.format),
            _ if record.kind == "import.postman_workspace" => Some(Format::Postman),
            _ => None,
        };
        let is_ended = record.state.is_ended();
        let cursor: Cursor = serde_json::from_value(record.cursor).unwrap_or_default();
        let progress = serde_json::from_value(record.outcome).unwrap_or(cursor.progress);
        // A capture is read twice, once to check and once to convert, so that each pass counts half.
        let read = if format == Some(Format::Har) { record.bytes_done / 2 } else { record.bytes_done };
        Self {
            account_id: record.account_id,
            job_id: record.job_id,
            kind: record.kind,
            user_id: record.subject.user_id,
            state: record.state,
            format,
            collection_id: match record.subject.readers {
                Readers::Collection(id) => Some(id),
                Readers::Account | Readers::Unrestricted => None,
            },
            collection_name: record.subject.name,
            progress,
            bytes_done: if is_ended { record.bytes_total } else { read.min(record.bytes_total) },
            bytes_total: record.bytes_total,
            error: record.error,
            created_at: record.created_at,
            updated_at: record.updated_at,
        }
    }
}

/// How work ended that was done within its request.
#[derive(Clone, Debug)]
pub struct Finished {
    pub format: Format,
    pub collection_id: Option<CollectionId>,
    pub collection_name: String,
    pub progress: Progress,
}

impl Finished {
    /// The counts of an upload.
    pub fn of(upload: &Upload) -> Self {
        let format = match upload.kind {
            UploadKind::SwaggerFile => Format::OpenApi,
            UploadKind::PostmanFile | UploadKind::PostmanWorkspace => Format::Postman,
            UploadKind::ImpervaFile => Format::Imperva,
        };
        let progress = Progress {
            total_items: upload.total,
            imported_items: upload.clean + upload.parsed_with_errors,
            refused_items: upload.refused,
            ..Progress::default()
        };
        let collection_name = upload.collection_name.clone();
        Self { format, collection_id: upload.collection_id, collection_name, progress }
    }

    /// With what the reading noted.
    #[must_use]
    pub fn noting(mut self, notes: Vec<String>) -> Self {
        self.progress.note(notes);
        self
    }
}

/// How far a job has come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Imported and refused items add up to it when the job ends.
    pub total_items: i64,
    pub imported_items: i64,
    pub refused_items: i64,
    pub refusals: Vec<Refusal>,
    /// What was read differently from how it was written, or not at all.
    pub notes: Vec<String>,
    /// Chunks that are in the log.
    pub chunks_appended: i64,
    /// Where the log ended after them.
    pub positions: Positions,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub item: String,
    pub reason: String,
}

impl Progress {
    /// Keeps notes while there is room.
    pub fn note(&mut self, notes: impl IntoIterator<Item = String>) {
        let room = NOTES_MAX.saturating_sub(self.notes.len());
        self.notes.extend(notes.into_iter().take(room));
    }

    /// Counts a refused item and keeps it while there is room.
    pub fn refuse(&mut self, mut item: String, reason: String) {
        self.refused_items += 1;
        if self.refusals.len() < REFUSALS_MAX {
            item.truncate(item.floor_char_boundary(ITEM_BYTES_MAX));
            self.refusals.push(Refusal { item, reason });
        }
    }
}

/// How a job that can be done ends.
pub enum End {
    Succeeded(Progress),
    /// What was sent is at fault; the text is for the person who sent it.
    Failed(String),
}

/// Which other service has a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobOwner {
    Inventory,
    Billing,
}

/// A job of another service of the installation.
#[derive(Clone, Debug)]
pub struct OtherJob {
    pub owner: JobOwner,
    pub job_id: JobId,
    pub kind: String,
    pub state: String,
    pub collection_id: Option<CollectionId>,
    pub done_items: i64,
    pub error: Option<String>,
    /// Unix seconds.
    pub created_at: i64,
    pub updated_at: i64,
}

/// What an account is told of a job.
#[derive(Clone, Debug)]
pub struct Announcement {
    pub account_id: AccountId,
    /// Who asked for the job.
    pub user_id: UserId,
    pub job_id: JobId,
    pub title: String,
    pub text: String,
    pub collection_id: Option<CollectionId>,
}
