//! Import jobs as callers see them.

use portolan_api::Reason;
use portolan_api::common::v1 as pb;
use portolan_authz::Caller;
use portolan_formats::Format;
use portolan_log::Positions;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::store::jobs as rows;
use crate::uploads::{Upload, UploadKind};
use crate::{Deps, Error, announce, now_s};

/// Refusals kept with a job; its count says how many there are.
pub const REFUSALS_MAX: usize = 1_000;
/// Bytes of the item that a refusal names.
const ITEM_BYTES_MAX: usize = 2_048;
/// Jobs per page when the caller names no number, and at most.
const PAGE_DEFAULT: i64 = 50;
const PAGE_MAX: i64 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    Pending,
    Running,
    Succeeded,
    Failed,
    Cancelled,
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
    /// A pending job of the caller without file and target. A write makes at most one job of an upload id.
    pub fn new(caller: &Caller, kind: JobKind, upload_id: String) -> Self {
        let now = now_s();
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

/// Writes down work that was done within its request, and answers its job. A repetition answers the same job.
pub async fn finished(
    deps: &Deps,
    caller: &Caller,
    name: &'static str,
    upload_id: &str,
    finished: Finished,
) -> Result<String, Error> {
    let mut job = Job::new(caller, JobKind::Finished(name), upload_id.to_owned());
    job.state = JobState::Succeeded;
    job.format = finished.format;
    job.collection_id = finished.collection_id;
    job.collection_name = finished.collection_name;
    job.progress = finished.progress;
    let kept = insert(deps, job.clone(), "").await?;
    if kept.job_id == job.job_id {
        announce::end(deps, &kept);
    }
    Ok(kept.job_id)
}

/// Keeps a job; answers the one that the same write has made before, when there is one. A job without spool is run by
/// any process.
pub async fn insert(deps: &Deps, job: Job, spool_id: &str) -> Result<Job, Error> {
    if rows::insert(&deps.db, &job, spool_id).await? {
        deps.job_ready.notify_one();
        return Ok(job);
    }
    let other = rows::get_by_upload(&deps.db, job.account_id, &job.upload_id).await?;
    Ok(other.ok_or_else(|| portolan_api::Error::unavailable("the job of a repeated write is not readable yet"))?)
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

/// Jobs of the caller's account tell of a collection, so they are shown to those who may see it; one of several or
/// unknown collections, to those who see all.
fn visible(job: &Job, caller: &Caller) -> bool {
    let sees = |id| caller.grant.sees(id);
    job.user_id == caller.user_id || job.collection_id.map_or(caller.grant.collections().is_none(), sees)
}

/// A job of this service, or of another one: the inventory or billing.
#[derive(Clone, Debug)]
pub enum Listed {
    Own(Box<Job>),
    Other(pb::Job),
}

impl Listed {
    fn created_at(&self) -> i64 {
        match self {
            Self::Own(job) => job.created_at,
            Self::Other(job) => job.created_at,
        }
    }

    fn visible(&self, caller: &Caller) -> bool {
        match self {
            Self::Own(job) => visible(job, caller),
            Self::Other(job) => job.collection_id.is_none_or(|id| caller.grant.sees(id)),
        }
    }
}

/// # Errors
/// `JOB_NOT_FOUND` when the account has no such job or the caller may not see its collection.
pub async fn get(deps: &Deps, caller: &Caller, job_id: &str) -> Result<Listed, Error> {
    // Ids have one spelling, and no other text reaches the database.
    let id = Uuid::parse_str(job_id).map_err(|_| Reason::JobNotFound)?.to_string();
    let found = match rows::get(&deps.db, caller.account_id, &id).await? {
        Some(job) => Some(Listed::Own(Box::new(job))),
        None => {
            let request = pb::GetJobRequest { account_id: caller.account_id, job_id: id };
            let answer =
                deps.peers.inventory_jobs().get_job(request.clone()).await.map_err(portolan_api::Error::from)?;
            let found = match answer.into_inner().job {
                None => {
                    let answer = deps.peers.billing_jobs().get_job(request).await.map_err(portolan_api::Error::from)?;
                    answer.into_inner().job
                }
                found => found,
            };
            found.map(Listed::Other)
        }
    };
    Ok(found.filter(|job| job.visible(caller)).ok_or(Reason::JobNotFound)?)
}

/// Where a page ended in the list of own jobs, and in that of others.
struct Cursor {
    own: String,
    created_at: i64,
    id: String,
}

impl Cursor {
    /// # Errors
    /// `PAGE_TOKEN_INVALID`.
    fn parse(token: &str) -> Result<Self, Error> {
        if token.is_empty() {
            return Ok(Self { own: Uuid::max().to_string(), created_at: 0, id: String::new() });
        }
        let parts: Vec<&str> = token.split('~').collect();
        let [own, created_at, id] = parts.as_slice() else { return Err(Reason::PageTokenInvalid.into()) };
        let own = Uuid::parse_str(own).map_err(|_| Reason::PageTokenInvalid)?.to_string();
        let created_at = created_at.parse().map_err(|_| Reason::PageTokenInvalid)?;
        let is_id = id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if is_id { Ok(Self { own, created_at, id: (*id).to_owned() }) } else { Err(Reason::PageTokenInvalid.into()) }
    }

    fn token(&self) -> String {
        format!("{}~{}~{}", self.own, self.created_at, self.id)
    }
}

/// A page of the jobs of this service, the inventory and billing, the newest first, and the token of the next one, empty at the
/// end. A page may hold fewer jobs than asked for.
///
/// # Errors
/// `PAGE_TOKEN_INVALID`.
pub async fn list(deps: &Deps, caller: &Caller, size: i32, token: &str) -> Result<(Vec<Listed>, String), Error> {
    let size = if size <= 0 { PAGE_DEFAULT } else { i64::from(size).min(PAGE_MAX) };
    let mut cursor = Cursor::parse(token)?;
    let own = rows::list(&deps.db, caller.account_id, &cursor.own, size + 1).await?;
    let request = pb::ListJobsRequest {
        account_id: caller.account_id,
        page_size: i32::try_from(size + 1).unwrap_or(i32::MAX),
        before_created_at: cursor.created_at,
        before_job_id: cursor.id.clone(),
    };
    let listed = deps.peers.inventory_jobs().list_jobs(request.clone()).await.map_err(portolan_api::Error::from)?;
    let mut theirs = listed.into_inner().jobs;
    let listed = deps.peers.billing_jobs().list_jobs(request).await.map_err(portolan_api::Error::from)?;
    theirs.extend(listed.into_inner().jobs);
    theirs.sort_by(|a, b| (b.created_at, &b.job_id).cmp(&(a.created_at, &a.job_id)));
    let own = own.into_iter().map(|job| Listed::Own(Box::new(job)));
    let mut listed: Vec<_> = own.chain(theirs.into_iter().map(Listed::Other)).collect();
    // Each list is in order already, and stays so.
    listed.sort_by_key(|job| std::cmp::Reverse(job.created_at()));
    let more = listed.len() as i64 > size;
    listed.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    for job in &listed {
        match job {
            Listed::Own(job) => cursor.own = job.job_id.clone(),
            Listed::Other(job) => (cursor.created_at, cursor.id) = (job.created_at, job.job_id.clone()),
        }
    }
    listed.retain(|job| job.visible(caller));
    Ok((listed, if more { cursor.token() } else { String::new() }))
}
