use portolan_log::Positions;
use portolan_store::{Db, Error, Row, Tx, args, retrying};

use crate::model::jobs::{Job, JobKind, JobState, Progress, format_from_name, format_name};

const INSERT_JOB: &str = "
INSERT INTO import_jobs (account_id, job_id, user_id, upload_id, state, format, collection_id, collection_name,
    path_only, spool_id, total_items, imported_items, refused_items, refusals, bytes_done, bytes_total, error,
    chunks_appended, positions, lease_owner, lease_until, created_at, updated_at, kind, input, content_digest)
VALUES ($1, $2, $3, $4, $12, $5, $6, $7, $8, $9, $13, $14, $15, $16, 0, $10, NULL, 0, '{}', '', 0, $11, $11, $17, $18, $19)
ON CONFLICT DO NOTHING";

/// Keeps a job; false when its upload has one already.
pub async fn insert(db: &Db, job: &Job, spool_id: &str) -> Result<bool, Error> {
    retrying(|| async {
        let mut tx = db.begin().await?;
        let inserted = insert_in(&mut tx, job, spool_id).await?;
        tx.commit().await?;
        Ok(inserted)
    })
    .await
}

pub async fn insert_in(tx: &mut Tx, job: &Job, spool_id: &str) -> Result<bool, Error> {
    let refusals = serde_json::to_string(&job.progress.refusals).expect("texts always serialize");
    let args = args![
        job.account_id,
        &job.job_id,
        job.user_id,
        &job.upload_id,
        job.format.map_or("", format_name),
        job.collection_id.unwrap_or(NO_COLLECTION),
        &job.collection_name,
        job.path_only,
        spool_id,
        job.bytes_total,
        job.created_at,
        job.state.name(),
        job.progress.total_items,
        job.progress.imported_items,
        job.progress.refused_items,
        refusals,
        job.kind.name(),
        &job.input,
        &job.content_digest
    ];
    Ok(tx.execute(INSERT_JOB, args).await? == 1)
}

/// Stands for no collection; ids are positive or 0.
const NO_COLLECTION: i32 = -1;

const GET_JOB: &str = "SELECT * FROM import_jobs WHERE account_id = $1 AND job_id = $2";

pub async fn get(db: &Db, account_id: i64, job_id: &str) -> Result<Option<Job>, Error> {
    db.fetch_optional(GET_JOB, args![account_id, job_id]).await?.map(|row| job(&row)).transpose()
}

const GET_BY_UPLOAD: &str = "SELECT * FROM import_jobs WHERE account_id = $1 AND upload_id = $2";

pub async fn get_by_upload(db: &Db, account_id: i64, upload_id: &str) -> Result<Option<Job>, Error> {
    db.fetch_optional(GET_BY_UPLOAD, args![account_id, upload_id]).await?.map(|row| job(&row)).transpose()
}

/// Ids begin with their time, so their order is that of creation.
const LIST_JOBS: &str = "SELECT * FROM import_jobs WHERE account_id = $1 AND job_id < $2 ORDER BY job_id DESC LIMIT $3";

pub async fn list(db: &Db, account_id: i64, before: &str, limit: i64) -> Result<Vec<Job>, Error> {
    db.fetch_all(LIST_JOBS, args![account_id, before, limit]).await?.iter().map(job).collect()
}

/// Which job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub account_id: i64,
    pub job_id: String,
}

/// A job that a runner has taken.
pub struct Claimed {
    pub key: Key,
    /// Since it last came further, with this one.
    pub attempts: i64,
    /// What is wrong with what is stored, where it cannot be read.
    pub job: Result<Job, String>,
}

/// The outer condition holds against a runner that read the same row.
const CLAIM_JOB: &str = "
UPDATE import_jobs SET state = 'RUNNING', lease_owner = $2, lease_until = $3, updated_at = $4, attempts = attempts + 1
WHERE lease_until < $4 AND state IN ('PENDING', 'RUNNING') AND (account_id, job_id) = (
    SELECT account_id, job_id FROM import_jobs
    WHERE spool_id IN ($1, '') AND state IN ('PENDING', 'RUNNING') AND lease_until < $4
    ORDER BY created_at, job_id LIMIT 1)
RETURNING *";

const ANY_DUE: &str = "
SELECT job_id FROM import_jobs
WHERE spool_id IN ($1, '') AND state IN ('PENDING', 'RUNNING') AND lease_until < $2 LIMIT 1";

/// Takes the oldest job of a spool that nobody works on.
pub async fn claim(db: &Db, spool_id: &str, owner: &str, until: i64, now: i64) -> Result<Option<Claimed>, Error> {
    // An idle runner looks often, and a look must not take the only writer.
    if db.fetch_optional(ANY_DUE, args![spool_id, now]).await?.is_none() {
        return Ok(None);
    }
    retrying(|| async {
        let mut tx = db.begin().await?;
        let row = tx.fetch_optional(CLAIM_JOB, args![spool_id, owner, until, now]).await?;
        tx.commit().await?;
        row.map(|row| claimed(&row)).transpose()
    })
    .await
}

const RENEW_LEASE: &str = "
UPDATE import_jobs SET lease_until = $4, bytes_done = $5, updated_at = $6
WHERE account_id = $1 AND job_id = $2 AND lease_owner = $3";

/// Keeps the lease; false when another runner has it.
pub async fn renew(db: &Db, job: &Job, owner: &str, until: i64, bytes_done: i64, now: i64) -> Result<bool, Error> {
    let args = || args![job.account_id, &job.job_id, owner, until, bytes_done, now];
    Ok(retrying(|| async { db.execute(RENEW_LEASE, args()).await }).await? == 1)
}

const SAVE_PROGRESS: &str = "
UPDATE import_jobs SET attempts = CASE WHEN chunks_appended < $9 THEN 0 ELSE attempts END,
    total_items = $4, imported_items = $5, refused_items = $6, refusals = $7, bytes_done = $8,
    chunks_appended = $9, positions = $10, updated_at = $11
WHERE account_id = $1 AND job_id = $2 AND lease_owner = $3";

/// Keeps how far a job has come; false when another runner has it.
pub async fn save_progress(db: &Db, job: &Job, owner: &str, progress: &Progress, now: i64) -> Result<bool, Error> {
    let refusals = serde_json::to_string(&progress.refusals).expect("texts always serialize");
    let positions = serde_json::to_string(&progress.positions).expect("numbers always serialize");
    let args = || {
        args![
            job.account_id,
            &job.job_id,
            owner,
            progress.total_items,
            progress.imported_items,
            progress.refused_items,
            &refusals,
            progress.bytes_done,
            progress.chunks_appended,
            &positions,
            now
        ]
    };
    Ok(retrying(|| async { db.execute(SAVE_PROGRESS, args()).await }).await? == 1)
}

const END_JOB: &str = "
UPDATE import_jobs SET state = $4, error = $5, bytes_done = bytes_total, lease_owner = '', input = '', updated_at = $6
WHERE account_id = $1 AND job_id = $2 AND lease_owner = $3 AND state = 'RUNNING' RETURNING *";

/// Ends a job: succeeded, or failed for a reason; `None` when another runner has it.
pub async fn end(db: &Db, key: &Key, owner: &str, error: Option<&str>, now: i64) -> Result<Option<Job>, Error> {
    let state = if error.is_some() { JobState::Failed } else { JobState::Succeeded };
    let args = || args![key.account_id, &key.job_id, owner, state.name(), error, now];
    retrying(|| async {
        let mut tx = db.begin().await?;
        let row = tx.fetch_optional(END_JOB, args()).await?;
        tx.commit().await?;
        row.map(|row| job(&row)).transpose()
    })
    .await
}

const RELEASE_JOB: &str = "
UPDATE import_jobs SET lease_owner = '', lease_until = $4 WHERE account_id = $1 AND job_id = $2 AND lease_owner = $3";

/// Lets a job go, to be taken again after `until`.
pub async fn release(db: &Db, key: &Key, owner: &str, until: i64) -> Result<(), Error> {
    db.execute(RELEASE_JOB, args![key.account_id, &key.job_id, owner, until]).await.map(drop)
}

const GIVE_BACK_JOB: &str = "
UPDATE import_jobs SET lease_owner = '', lease_until = 0, attempts = attempts - 1
WHERE account_id = $1 AND job_id = $2 AND lease_owner = $3 AND attempts > 0";

/// Lets a job go as though it had not been taken.
pub async fn give_back(db: &Db, key: &Key, owner: &str) -> Result<(), Error> {
    db.execute(GIVE_BACK_JOB, args![key.account_id, &key.job_id, owner]).await?;
    // Its attempts were forgotten when it came further.
    release(db, key, owner, 0).await
}

const COUNT_OPEN: &str = "
SELECT count(*) AS n FROM import_jobs WHERE spool_id = $1 AND job_id = $2 AND state IN ('PENDING', 'RUNNING')";

/// Whether a job still needs its file.
pub async fn needs_file(db: &Db, spool_id: &str, job_id: &str) -> Result<bool, Error> {
    Ok(db.fetch_one(COUNT_OPEN, args![spool_id, job_id]).await?.get::<i64>("n")? > 0)
}

/// A job as its readers see it. What cannot be read of it is left out: one row hides no other.
fn job(row: &Row) -> Result<Job, Error> {
    let text = |name: &str| row.get::<String>(name);
    Ok(Job {
        account_id: row.get("account_id")?,
        job_id: row.get("job_id")?,
        user_id: row.get("user_id")?,
        upload_id: row.get("upload_id")?,
        kind: JobKind::from_name(&text("kind")?).unwrap_or(JobKind::Unknown),
        input: row.get("input")?,
        state: JobState::from_name(&text("state")?).unwrap_or(JobState::Failed),
        format: format_from_name(&text("format")?),
        collection_id: row.get("collection_id").ok().filter(|id| *id != NO_COLLECTION),
        collection_name: row.get("collection_name")?,
        path_only: row.get("path_only")?,
        progress: Progress {
            total_items: row.get("total_items")?,
            imported_items: row.get("imported_items")?,
            refused_items: row.get("refused_items")?,
            refusals: serde_json::from_str(&text("refusals")?).unwrap_or_default(),
            bytes_done: row.get("bytes_done")?,
            chunks_appended: row.get("chunks_appended")?,
            positions: serde_json::from_str(&text("positions")?).unwrap_or_default(),
        },
        content_digest: row.get("content_digest")?,
        bytes_total: row.get("bytes_total")?,
        error: row.get("error")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn claimed(row: &Row) -> Result<Claimed, Error> {
    let key = Key { account_id: row.get("account_id")?, job_id: row.get("job_id")? };
    let unreadable = |error: Error| format!("The job cannot be read: {error}");
    let job = readable(row).and_then(|()| job(row)).map_err(unreadable);
    Ok(Claimed { key, attempts: row.get("attempts")?, job })
}

/// What a runner must know of a job.
fn readable(row: &Row) -> Result<(), Error> {
    let (kind, format, positions): (String, String, String) =
        (row.get("kind")?, row.get("format")?, row.get("positions")?);
    row.get::<i32>("collection_id")?;
    let wrong = |text: String| Err(Error::Inconsistency(text));
    if JobKind::from_name(&kind).is_none() {
        return wrong(format!("kind {kind}"));
    }
    if !format.is_empty() && format_from_name(&format).is_none() {
        return wrong(format!("format {format}"));
    }
    match serde_json::from_str::<Positions>(&positions) {
        Ok(_) => Ok(()),
        Err(error) => wrong(format!("positions: {error}")),
    }
}

const CANCEL_OF: &str = "
UPDATE import_jobs SET state = 'CANCELLED', error = 'The collection was deleted', input = '', lease_owner = '',
    updated_at = $3
WHERE account_id = $1 AND collection_id = $2 AND state IN ('PENDING', 'RUNNING') RETURNING job_id, spool_id";

/// Cancels the jobs that fill a collection. Returns the files that were theirs, each with its spool.
pub async fn cancel_of(db: &Db, account_id: i64, collection_id: i32, now: i64) -> Result<Vec<(String, String)>, Error> {
    retrying(|| async {
        let mut tx = db.begin().await?;
        let rows = tx.fetch_all(CANCEL_OF, args![account_id, collection_id, now]).await?;
        tx.commit().await?;
        rows.iter().map(|row| Ok((row.get("job_id")?, row.get("spool_id")?))).collect()
    })
    .await
}

const FORGET_NAMES: &str = "
UPDATE import_jobs SET refusals = '[]' WHERE account_id = $1 AND collection_id = $2 AND refusals <> '[]'
    AND state NOT IN ('PENDING', 'RUNNING')";

/// Removes the refused items of ended jobs of a collection: their names are those of the file.
pub async fn forget_names(db: &Db, account_id: i64, collection_id: i32) -> Result<(), Error> {
    let args = || args![account_id, collection_id];
    retrying(|| async { db.execute(FORGET_NAMES, args()).await.map(drop) }).await
}

const DELETE_OLD: &str = "
DELETE FROM import_jobs WHERE updated_at < $1 AND state NOT IN ('PENDING', 'RUNNING')";

/// Removes jobs that ended before a time.
pub async fn delete_ended_before(db: &Db, time: i64) -> Result<u64, Error> {
    let args = || args![time];
    retrying(|| async { db.execute(DELETE_OLD, args()).await }).await
}
