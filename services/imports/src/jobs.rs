//! Import jobs as callers see them.

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_runtime::now_s;
use uuid::Uuid;

use crate::model::jobs::{Finished, Job, JobKind, JobState, OtherJob};
use crate::store::jobs as rows;
use crate::{Deps, Error, announce, peers};

/// Jobs per page when the caller names no number, and at most.
const PAGE_DEFAULT: i64 = 50;
const PAGE_MAX: i64 = 100;

/// Writes down work that was done within its request, and answers its job. A repetition answers the same job.
pub async fn finished(
    deps: &Deps,
    caller: &Caller,
    name: &'static str,
    upload_id: &str,
    finished: Finished,
) -> Result<String, Error> {
    let mut job = Job::new(caller, JobKind::Finished(name), upload_id.to_owned(), now_s());
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

/// Keeps a job whose file lies in the spool under its id. Where the same write has made a job before, the file goes again.
pub async fn insert_with_file(deps: &Deps, job: Job) -> Result<Job, Error> {
    let job_id = job.job_id.clone();
    let kept = insert(deps, job, deps.spool.id().await?).await?;
    if kept.job_id != job_id {
        deps.spool.remove(&job_id).await?;
    }
    Ok(kept)
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
    Other(OtherJob),
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
        None => peers::find_job(&deps.peers, caller.account_id, &id).await?.map(Listed::Other),
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
    let before = (cursor.created_at, cursor.id.as_str());
    let theirs = peers::list_jobs(&deps.peers, caller.account_id, size + 1, before).await?;
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
