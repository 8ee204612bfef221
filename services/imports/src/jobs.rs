//! Jobs as callers see them: those of this service, of the inventory and of billing.

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_ids::{CollectionId, JobId, UploadId, UserId};
use portolan_jobs::{NewJob, Readers, Record, Subject, new_id};
use portolan_store::{Tx, retrying};
use uuid::Uuid;

use crate::model::jobs::{Finished, Job, JobOwner, OtherJob, Task, Told};
use crate::store::uploads;
use crate::{Deps, Error, announce, peers, sight::Sight};

/// Jobs per page when the caller names no number, and at most.
const PAGE_DEFAULT: i64 = 50;
const PAGE_MAX: i64 = 100;

/// A job of the caller, which a write makes once: the upload is named after the write.
pub fn new(
    caller: &Caller,
    task: Task,
    upload_id: &UploadId,
    collection: Option<(CollectionId, &str)>,
) -> NewJob<Task> {
    let readers = collection.map_or(Readers::Unrestricted, |(id, _)| Readers::Collection(id));
    let name = collection.map(|(_, name)| name.to_owned()).unwrap_or_default();
    NewJob {
        account_id: caller.account_id,
        job_id: new_id(),
        task,
        subject: Subject { name, readers, user_id: Some(caller.user_id) },
        key: upload_id.to_string(),
        needs: String::new(),
        bytes_total: 0,
    }
}

/// Writes down work that was done within its request, and returns its job. A repetition returns the same job.
pub async fn finished(
    deps: &Deps,
    caller: &Caller,
    task: impl Fn(Told) -> Task,
    upload_id: &UploadId,
    finished: Finished,
) -> Result<Job, Error> {
    let Finished { format, collection_id, collection_name, progress } = finished;
    let collection = collection_id.map(|id| (id, collection_name.as_str()));
    let mut job = new(caller, task(Told { format }), upload_id, collection);
    job.subject.name = collection_name;
    let done = progress.imported_items + progress.refused_items;
    let outcome = &serde_json::to_value(progress).map_err(portolan_api::Error::internal)?;
    let job = &job;
    let added = retrying(|| async {
        let mut tx = deps.db.begin().await?;
        let added = deps.jobs.add_done(&mut tx, job, done, outcome).await?;
        tx.commit().await?;
        Ok::<_, portolan_store::Error>(added)
    });
    let is_new = added.await?;
    let kept = Job::from(made(deps, job).await?);
    if is_new {
        announce::end(deps, kept.clone());
    }
    Ok(kept)
}

/// Keeps a job and has it begun; answers the one that the same write has made before, when there is one.
pub async fn insert(deps: &Deps, job: &NewJob<Task>) -> Result<Record, Error> {
    retrying(|| async {
        let mut tx = deps.db.begin().await?;
        deps.jobs.add(&mut tx, job).await?;
        tx.commit().await
    })
    .await?;
    begun(deps, job).await
}

/// Has a job begun that was kept; answers the one that the same write has made before, when there is one.
pub async fn begun(deps: &Deps, job: &NewJob<Task>) -> Result<Record, Error> {
    deps.jobs.notify();
    made(deps, job).await
}

async fn made(deps: &Deps, job: &NewJob<Task>) -> Result<Record, Error> {
    let made = deps.jobs.find(job.account_id, &job.key).await?;
    Ok(made.ok_or_else(|| portolan_api::Error::unavailable("the job of a repeated write is not readable yet"))?)
}

/// Keeps a job whose file lies in the spool under its id. Where the same write has made a job before, the file goes again.
pub async fn insert_with_file(deps: &Deps, job: NewJob<Task>) -> Result<Record, Error> {
    let job = NewJob { needs: deps.spool_id.to_string(), ..job };
    let kept = insert(deps, &job).await?;
    if kept.job_id != job.job_id {
        deps.spool.remove(job.job_id.as_str()).await?;
    }
    Ok(kept)
}

/// Marks the upload of a job as failed that the job did not complete.
pub async fn give_up(tx: &mut Tx, job: &Record) -> Result<(), portolan_store::Error> {
    uploads::fail_open(tx, job.account_id, &job.key.as_str().into(), job.error.as_deref().unwrap_or_default()).await
}

/// Removes the file of an ended job.
pub async fn clear(deps: &Deps, job: &Record) -> Result<(), Error> {
    // A file of another process's spool is swept there: no job needs it any more.
    if job.needs == *deps.spool_id {
        deps.spool.remove(job.job_id.as_str()).await?;
    }
    Ok(())
}

/// A job of this service, or of another one: the inventory or billing.
#[derive(Clone, Debug)]
pub enum Listed {
    Own(Box<Job>),
    Other(OtherJob),
}

impl Listed {
    /// The place in the list.
    fn place(&self) -> (i64, &JobId) {
        match self {
            Self::Own(job) => (job.created_at, &job.job_id),
            Self::Other(job) => (job.created_at, &job.job_id),
        }
    }

    fn collection_id(&self) -> Option<CollectionId> {
        match self {
            Self::Own(job) => job.collection_id,
            Self::Other(job) => job.collection_id,
        }
    }

    /// Whether the caller may read it whatever they see: their own, and what other services do to the whole account,
    /// which tells of no collection.
    fn is_open_to(&self, caller: &Caller) -> bool {
        match self {
            Self::Own(job) => caller.user_id != UserId(0) && job.user_id == Some(caller.user_id),
            Self::Other(job) => job.collection_id.is_none(),
        }
    }
}

/// Jobs tell of a collection, so they are shown to those who see it; an import into several or unknown collections to
/// those who see all. Of what is done to the whole account the others see that it is done, and no count.
async fn visible(deps: &Deps, caller: &Caller, mut jobs: Vec<Listed>) -> Result<Vec<Listed>, Error> {
    let ids = jobs.iter().filter(|job| !job.is_open_to(caller)).filter_map(Listed::collection_id);
    let sight = Sight::of(deps, caller, ids).await?;
    jobs.retain(|job| job.is_open_to(caller) || sight.shows(job.collection_id()));
    for job in &mut jobs {
        // Its counts are those of collections that the caller may not see.
        if let Listed::Other(job) = job
            && job.collection_id.is_none()
            && !sight.shows_all()
        {
            (job.done_items, job.error) = (0, None);
        }
    }
    Ok(jobs)
}

/// # Errors
/// `JOB_NOT_FOUND` when the account has no such job or the caller may not see its collection.
pub async fn get(deps: &Deps, caller: &Caller, job_id: &str) -> Result<Listed, Error> {
    // Ids have one spelling, and no other text reaches the database.
    let id = Uuid::parse_str(job_id).map_err(|_| Reason::JobNotFound)?.to_string().into();
    let found = match deps.jobs.get(caller.account_id, &id).await? {
        Some(job) => Some(Listed::Own(Box::new(job.into()))),
        None => peers::find_job(&deps.peers, caller.account_id, &id).await?.map(Listed::Other),
    };
    let found = visible(deps, caller, found.into_iter().collect()).await?;
    Ok(found.into_iter().next().ok_or(Reason::JobNotFound)?)
}

/// Why a job ended that its reader cancelled.
const CANCELLED: &str = "It was cancelled";

/// Ends a job that is not over; what it did stays.
///
/// # Errors
/// `JOB_NOT_FOUND` as of [`get`], `JOB_NOT_CANCELLABLE`, `JOB_ENDED`.
pub async fn cancel(deps: &Deps, caller: &Caller, job_id: &str) -> Result<Listed, Error> {
    let found = get(deps, caller, job_id).await?;
    let refused = |kind: &str| portolan_api::Error::new(Reason::JobNotCancellable).with("kind", kind);
    match &found {
        Listed::Own(job) if job.kind == "upload.delete" => Err(refused(&job.kind).into()),
        Listed::Own(job) => {
            let cancelled = retrying(|| async {
                let mut tx = deps.db.begin().await?;
                let cancelled = deps.jobs.cancel(&mut tx, job.account_id, &job.job_id, CANCELLED).await?;
                if let Some(cancelled) = &cancelled {
                    give_up(&mut tx, cancelled).await?;
                }
                tx.commit().await?;
                Ok::<_, portolan_store::Error>(cancelled)
            });
            let cancelled = cancelled.await?.ok_or(Reason::JobEnded)?;
            clear(deps, &cancelled).await?;
            Ok(Listed::Own(Box::new(cancelled.into())))
        }
        Listed::Other(job) if job.owner == JobOwner::Inventory => Err(refused(&job.kind).into()),
        Listed::Other(job) => {
            let cancelled = peers::cancel_job(&deps.peers, caller.account_id, &job.job_id, CANCELLED).await?;
            Ok(Listed::Other(cancelled.ok_or(Reason::JobEnded)?))
        }
    }
}

/// Where a page ended.
struct PageEnd {
    created_at: i64,
    job_id: JobId,
}

impl PageEnd {
    /// # Errors
    /// `PAGE_TOKEN_INVALID`.
    fn parse(token: &str) -> Result<Option<Self>, Error> {
        if token.is_empty() {
            return Ok(None);
        }
        let (created_at, job_id) = token.split_once('~').ok_or(Reason::PageTokenInvalid)?;
        let created_at = created_at.parse().map_err(|_| Reason::PageTokenInvalid)?;
        let job_id = Uuid::parse_str(job_id).map_err(|_| Reason::PageTokenInvalid)?.to_string().into();
        Ok(Some(Self { created_at, job_id }))
    }
}

/// A page of the jobs of this service, the inventory and billing, the newest first, and the token of the next one, empty
/// at the end. A page may hold fewer jobs than asked for.
///
/// # Errors
/// `PAGE_TOKEN_INVALID`.
pub async fn list(deps: &Deps, caller: &Caller, size: i32, token: &str) -> Result<(Vec<Listed>, String), Error> {
    let size = if size <= 0 { PAGE_DEFAULT } else { i64::from(size).min(PAGE_MAX) };
    let before = PageEnd::parse(token)?.map(|end| (end.created_at, end.job_id));
    // One more, to know whether more follow.
    let room = i32::try_from(size + 1).unwrap_or(i32::MAX);
    let theirs = peers::list_jobs(&deps.peers, caller.account_id, room, before.as_ref()).await?;
    let own = deps.jobs.list(caller.account_id, room, before).await?;
    let own = own.into_iter().map(|job| Listed::Own(Box::new(job.into())));
    let mut listed: Vec<_> = own.chain(theirs.into_iter().map(Listed::Other)).collect();
    listed.sort_by(|a, b| b.place().cmp(&a.place()));
    let more = listed.len() as i64 > size;
    listed.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    let next = listed.last().filter(|_| more).map(Listed::place);
    let token = next.map_or(String::new(), |(created_at, job_id)| format!("{created_at}~{job_id}"));
    Ok((visible(deps, caller, listed).await?, token))
}
