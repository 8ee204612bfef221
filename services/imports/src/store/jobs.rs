use portolan_formats::Format;
use portolan_log::Positions;
use portolan_store::{Db, Error, Row, Tx, args, retrying};

use crate::jobs::{Job, JobKind, JobState, Progress};

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
        state_name(job.state),
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

/// The outer condition holds against a runner that read the same row.
const CLAIM_JOB: &str = "
UPDATE import_jobs SET state = 'RUNNING', lease_owner = $2, lease_until = $3, updated_at = $4
WHERE lease_until < $4 AND state IN ('PENDING', 'RUNNING') AND (account_id, job_id) = (
    SELECT account_id, job_id FROM import_jobs
    WHERE spool_id IN ($1, '') AND state IN ('PENDING', 'RUNNING') AND lease_until < $4
    ORDER BY created_at, job_id LIMIT 1)
RETURNING *";

const ANY_DUE: &str = "
SELECT job_id FROM import_jobs
WHERE spool_id IN ($1, '') AND state IN ('PENDING', 'RUNNING') AND lease_until < $2 LIMIT 1";

/// Takes the oldest job of a spool that nobody works on.
pub async fn claim(db: &Db, spool_id: &str, owner: &str, until: i64, now: i64) -> Result<Option<Job>, Error> {
    // An idle runner looks often, and a look must not take the only writer.
    if db.fetch_optional(ANY_DUE, args![spool_id, now]).await?.is_none() {
        return Ok(None);
    }
    retrying(|| async {
        let mut tx = db.begin().await?;
        let row = tx.fetch_optional(CLAIM_JOB, args![spool_id, owner, until, now]).await?;
        tx.commit().await?;
        row.map(|row| job(&row)).transpose()
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
UPDATE import_jobs SET total_items = $4, imported_items = $5, refused_items = $6, refusals = $7, bytes_done = $8,
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
UPDATE import_jobs SET state = $4, error = $5, bytes_done = $6, lease_owner = '', input = '', updated_at = $7
WHERE account_id = $1 AND job_id = $2 AND lease_owner = $3";

/// Ends a job: succeeded, or failed for a reason; false when another runner has it.
pub async fn end(db: &Db, job: &Job, owner: &str, error: Option<&str>, now: i64) -> Result<bool, Error> {
    let state = if error.is_some() { JobState::Failed } else { JobState::Succeeded };
    let args = || args![job.account_id, &job.job_id, owner, state_name(state), error, job.bytes_total, now];
    Ok(retrying(|| async { db.execute(END_JOB, args()).await }).await? == 1)
}

const RELEASE_JOB: &str = "
UPDATE import_jobs SET lease_owner = '', lease_until = $4 WHERE account_id = $1 AND job_id = $2 AND lease_owner = $3";

/// Gives a job back, to be taken again after `until`.
pub async fn release(db: &Db, job: &Job, owner: &str, until: i64) -> Result<(), Error> {
    db.execute(RELEASE_JOB, args![job.account_id, &job.job_id, owner, until]).await.map(drop)
}

const COUNT_OPEN: &str = "
SELECT count(*) AS n FROM import_jobs WHERE spool_id = $1 AND upload_id = $2 AND state IN ('PENDING', 'RUNNING')";

/// Whether a job still needs the file of an upload.
pub async fn needs_file(db: &Db, spool_id: &str, upload_id: &str) -> Result<bool, Error> {
    Ok(db.fetch_one(COUNT_OPEN, args![spool_id, upload_id]).await?.get::<i64>("n")? > 0)
}

fn job(row: &Row) -> Result<Job, Error> {
    let json = |name: &str, error: serde_json::Error| Error::Inconsistency(format!("{name} of a job: {error}"));
    let refusals: String = row.get("refusals")?;
    let positions: String = row.get("positions")?;
    Ok(Job {
        account_id: row.get("account_id")?,
        job_id: row.get("job_id")?,
        user_id: row.get("user_id")?,
        upload_id: row.get("upload_id")?,
        kind: parse_kind(&row.get::<String>("kind")?)?,
        input: row.get("input")?,
        state: parse_state(&row.get::<String>("state")?)?,
        format: parse_format(&row.get::<String>("format")?)?,
        collection_id: Some(row.get("collection_id")?).filter(|id| *id != NO_COLLECTION),
        collection_name: row.get("collection_name")?,
        path_only: row.get("path_only")?,
        progress: Progress {
            total_items: row.get("total_items")?,
            imported_items: row.get("imported_items")?,
            refused_items: row.get("refused_items")?,
            // What a job refused is for its reader alone: it never holds up the work.
            refusals: serde_json::from_str(&refusals).unwrap_or_default(),
            bytes_done: row.get("bytes_done")?,
            chunks_appended: row.get("chunks_appended")?,
            positions: serde_json::from_str::<Positions>(&positions).map_err(|error| json("positions", error))?,
        },
        content_digest: row.get("content_digest")?,
        bytes_total: row.get("bytes_total")?,
        error: row.get("error")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

pub fn state_name(state: JobState) -> &'static str {
    match state {
        JobState::Pending => "PENDING",
        JobState::Running => "RUNNING",
        JobState::Succeeded => "SUCCEEDED",
        JobState::Failed => "FAILED",
        JobState::Cancelled => "CANCELLED",
    }
}

fn parse_state(name: &str) -> Result<JobState, Error> {
    let states = [JobState::Pending, JobState::Running, JobState::Succeeded, JobState::Failed, JobState::Cancelled];
    let found = states.into_iter().find(|state| state_name(*state) == name);
    found.ok_or_else(|| Error::Inconsistency(format!("job state {name}")))
}

fn parse_kind(name: &str) -> Result<JobKind, Error> {
    JobKind::from_name(name).ok_or_else(|| Error::Inconsistency(format!("job kind {name}")))
}

pub fn format_name(format: Format) -> &'static str {
    match format {
        Format::Har => "HAR",
        Format::OpenApi => "OPENAPI",
        Format::Postman => "POSTMAN",
        Format::Imperva => "IMPERVA",
    }
}

fn parse_format(name: &str) -> Result<Option<Format>, Error> {
    if name.is_empty() {
        return Ok(None);
    }
    let formats = [Format::Har, Format::OpenApi, Format::Postman, Format::Imperva];
    let found = formats.into_iter().find(|format| format_name(*format) == name);
    found.map(Some).ok_or_else(|| Error::Inconsistency(format!("job format {name}")))
}

const CANCEL_OF: &str = "
UPDATE import_jobs SET state = 'CANCELLED', error = 'The collection was deleted', input = '', lease_owner = '',
    updated_at = $3
WHERE account_id = $1 AND collection_id = $2 AND state IN ('PENDING', 'RUNNING') RETURNING upload_id, spool_id";

/// Cancels the jobs that fill a collection. Answers the files that were theirs, each with its spool.
pub async fn cancel_of(db: &Db, account_id: i64, collection_id: i32, now: i64) -> Result<Vec<(String, String)>, Error> {
    retrying(|| async {
        let mut tx = db.begin().await?;
        let rows = tx.fetch_all(CANCEL_OF, args![account_id, collection_id, now]).await?;
        tx.commit().await?;
        rows.iter().map(|row| Ok((row.get("upload_id")?, row.get("spool_id")?))).collect()
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
