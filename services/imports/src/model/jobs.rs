//! Jobs: work that goes on after its request was answered, and how far it is.

use portolan_authz::Caller;
use portolan_formats::Format;
use portolan_log::Positions;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::uploads::{Upload, UploadKind};

/// Refusals kept with a job; its count says how many there are.
pub const REFUSALS_MAX: usize = 1_000;
/// Bytes of the item that a refusal names.
const ITEM_BYTES_MAX: usize = 2_048;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    Pending,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

impl JobState {
    const ALL: [Self; 5] = [Self::Pending, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled];

    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

const FORMATS: [Format; 4] = [Format::Har, Format::OpenApi, Format::Postman, Format::Imperva];

pub fn format_name(format: Format) -> &'static str {
    match format {
        Format::Har => "HAR",
        Format::OpenApi => "OPENAPI",
        Format::Postman => "POSTMAN",
        Format::Imperva => "IMPERVA",
    }
}

pub fn format_from_name(name: &str) -> Option<Format> {
    FORMATS.into_iter().find(|format| format_name(*format) == name)
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// Ingests a stored file.
    Import,
    ImportUrl,
    ImportPostmanWorkspace,
    ExportPostman,
    DeleteUpload,
    /// Work that was done within its request; the job tells of it.
    Finished(&'static str),
    /// Stored in words that this version does not know; it is shown, and never run.
    Unknown,
}

/// Names of [`JobKind::Finished`].
const FINISHED: [&str; 4] = ["import.openapi", "import.postman_file", "import.imperva", "import.approve"];

impl JobKind {
    const RUN: [Self; 5] =
        [Self::Import, Self::ImportUrl, Self::ImportPostmanWorkspace, Self::ExportPostman, Self::DeleteUpload];

    pub fn name(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::ImportUrl => "import.url",
            Self::ImportPostmanWorkspace => "import.postman_workspace",
            Self::ExportPostman => "export.postman",
            Self::DeleteUpload => "upload.delete",
            Self::Finished(name) => name,
            Self::Unknown => "unknown",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        let run = Self::RUN.into_iter().find(|kind| kind.name() == name);
        run.or_else(|| FINISHED.into_iter().find(|known| *known == name).map(Self::Finished))
    }
}

/// One piece of work that goes on after its request was answered.
#[derive(Clone, Debug)]
pub struct Job {
    pub account_id: i64,
    pub job_id: String,
    pub kind: JobKind,
    /// Who asked for it.
    pub user_id: i64,
    pub upload_id: String,
    pub state: JobState,
    /// What the job needs beside its file; sealed when it holds a secret, and forgotten at the end.
    pub input: String,
    pub format: Option<Format>,
    pub collection_id: Option<i32>,
    pub collection_name: String,
    /// The target is a host collection, whose endpoints are paths.
    pub path_only: bool,
    pub progress: Progress,
    /// SHA-256 of the file as sent, in hexadecimal; empty for a job without file.
    pub content_digest: String,
    pub bytes_total: i64,
    /// Why it failed.
    pub error: Option<String>,
    /// Unix seconds.
    pub created_at: i64,
    pub updated_at: i64,
}

impl Job {
    /// A job of the caller that begins at `now` in Unix seconds, without file and target. A write makes at most one job of an upload id.
    pub fn new(caller: &Caller, kind: JobKind, upload_id: String, now: i64) -> Self {
        Self {
            account_id: caller.account_id,
            job_id: Uuid::now_v7().to_string(),
            kind,
            user_id: caller.user_id,
            upload_id,
            state: JobState::Pending,
            input: String::new(),
            format: None,
            collection_id: None,
            collection_name: String::new(),
            path_only: false,
            progress: Progress::default(),
            content_digest: String::new(),
            bytes_total: 0,
            error: None,
            created_at: now,
            updated_at: now,
        }
    }
}

/// How work ended that was done within its request.
#[derive(Clone, Debug, Default)]
pub struct Finished {
    pub format: Option<Format>,
    pub collection_id: Option<i32>,
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
        Self { format: Some(format), collection_id: upload.collection_id, collection_name, progress }
    }
}

/// How far a job has come.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Imported and refused items add up to it when the job ends.
    pub total_items: i64,
    pub imported_items: i64,
    pub refused_items: i64,
    pub refusals: Vec<Refusal>,
    pub bytes_done: i64,
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
    Succeeded,
    /// What was sent is at fault; the text is for the person who sent it.
    Failed(String),
}

/// A job of another service of the installation.
#[derive(Clone, Debug)]
pub struct OtherJob {
    pub job_id: String,
    pub kind: String,
    pub state: String,
    pub collection_id: Option<i32>,
    pub done_items: i64,
    pub error: Option<String>,
    /// Unix seconds.
    pub created_at: i64,
    pub updated_at: i64,
}

/// What an account is told of a job.
#[derive(Clone, Debug)]
pub struct Announcement {
    pub account_id: i64,
    /// Who asked for the job.
    pub user_id: i64,
    pub job_id: String,
    pub title: String,
    pub text: String,
    pub collection_id: Option<i32>,
}
