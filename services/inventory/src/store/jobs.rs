use portolan_store::{Db, Error, Row, Tx, args};

use crate::model::jobs::{Job, JobKind, JobState};

macro_rules! columns {
    () => {
        "account_id, job_id, kind, state, collection_id, place, done_items, error, attempts, created_at, updated_at"
    };
}

// A job that runs is asked to start again after its end, so that no request is answered by work that began before it.
const INSERT: &str = "INSERT INTO inventory_jobs \
     (account_id, job_id, kind, collection_id, active_name, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $6) \
     ON CONFLICT (account_id, active_name) DO UPDATE \
     SET asked_again = CASE WHEN inventory_jobs.state = 'RUNNING' THEN 1 ELSE inventory_jobs.asked_again END \
     RETURNING job_id";

/// Notes work to be done and answers its id: that of the active job with the same name, when there is one.
pub async fn insert(
    tx: &mut Tx,
    account_id: i64,
    job_id: &str,
    kind: JobKind,
    collection_id: i32,
    now: i64,
) -> Result<String, Error> {
    let name = format!("{} {collection_id}", kind.name());
    tx.fetch_one(INSERT, args![account_id, job_id, kind.name(), collection_id, name, now]).await?.get("job_id")
}

const CLAIM: &str = concat!(
    "UPDATE inventory_jobs SET lease_owner = $1, lease_until = $2, state = 'RUNNING', updated_at = $3, ",
    "attempts = attempts + 1 WHERE (account_id, job_id) IN (SELECT account_id, job_id FROM inventory_jobs ",
    "WHERE active_name IS NOT NULL AND lease_until <= $3 ORDER BY created_at, account_id, job_id LIMIT 1) ",
    "AND active_name IS NOT NULL AND lease_until <= $3 RETURNING ",
    columns!()
);

/// Takes the oldest job that nobody works on, until `lease_until`.
pub async fn claim(db: &Db, owner: &str, now: i64, lease_until: i64) -> Result<Option<Job>, Error> {
    let mut tx = db.begin().await?;
    let row = tx.fetch_optional(CLAIM, args![owner, lease_until, now]).await?;
    tx.commit().await?;
    row.map(|row| read(&row)).transpose()
}

const CLAIM_ONE: &str = concat!(
    "UPDATE inventory_jobs SET lease_owner = $1, lease_until = $2, state = 'RUNNING', updated_at = $3, ",
    "attempts = attempts + 1 WHERE account_id = $4 AND job_id = $5 AND active_name IS NOT NULL AND lease_until <= $3 RETURNING ",
    columns!()
);

/// Takes this job, when nobody works on it.
pub async fn claim_one(
    db: &Db,
    owner: &str,
    now: i64,
    lease_until: i64,
    account_id: i64,
    job_id: &str,
) -> Result<Option<Job>, Error> {
    let mut tx = db.begin().await?;
    let row = tx.fetch_optional(CLAIM_ONE, args![owner, lease_until, now, account_id, job_id]).await?;
    tx.commit().await?;
    row.map(|row| read(&row)).transpose()
}

const RENEW: &str = concat!(
    "UPDATE inventory_jobs SET lease_until = $4, updated_at = $5 ",
    "WHERE account_id = $1 AND job_id = $2 AND lease_owner = $3 AND active_name IS NOT NULL RETURNING ",
    columns!()
);

/// Keeps a claimed job and answers how far it is; nothing when another worker has taken it over.
pub async fn renew(tx: &mut Tx, job: &Job, owner: &str, lease_until: i64, now: i64) -> Result<Option<Job>, Error> {
    let row = tx.fetch_optional(RENEW, args![job.account_id, &job.job_id, owner, lease_until, now]).await?;
    row.map(|row| read(&row)).transpose()
}

const ADVANCE: &str = "UPDATE inventory_jobs SET place = $3, done_items = done_items + $4, error = NULL, attempts = 0 \
     WHERE account_id = $1 AND job_id = $2";

/// Notes where the next step begins.
pub async fn advance(tx: &mut Tx, job: &Job, place: &str, done: i64) -> Result<(), Error> {
    tx.execute(ADVANCE, args![job.account_id, &job.job_id, place, done]).await.map(drop)
}

const FINISH: &str = "UPDATE inventory_jobs SET state = 'SUCCEEDED', active_name = NULL, lease_owner = NULL, \
     lease_until = 0, error = NULL, done_items = done_items + $3 \
     WHERE account_id = $1 AND job_id = $2 AND asked_again = 0";

const RESTART: &str = "UPDATE inventory_jobs SET place = '', asked_again = 0, done_items = 0, attempts = 0 \
     WHERE account_id = $1 AND job_id = $2 AND asked_again = 1";

/// Ends a job, or starts it again when it was asked for meanwhile; true when it is over.
pub async fn finish(tx: &mut Tx, job: &Job, done: i64) -> Result<bool, Error> {
    if tx.execute(FINISH, args![job.account_id, &job.job_id, done]).await? == 1 {
        return Ok(true);
    }
    tx.execute(RESTART, args![job.account_id, &job.job_id]).await?;
    Ok(false)
}

const RELEASE: &str = "UPDATE inventory_jobs SET lease_until = $4, error = $5 \
     WHERE account_id = $1 AND job_id = $2 AND lease_owner = $3 AND active_name IS NOT NULL";

/// Gives a claimed job back, to be taken up from `due_at` on.
pub async fn release(db: &Db, job: &Job, owner: &str, due_at: i64, error: Option<String>) -> Result<(), Error> {
    db.execute(RELEASE, args![job.account_id, &job.job_id, owner, due_at, error]).await.map(drop)
}

const FAIL: &str = "UPDATE inventory_jobs SET state = 'FAILED', active_name = NULL, lease_owner = NULL, \
     lease_until = 0, error = $4 \
     WHERE account_id = $1 AND job_id = $2 AND lease_owner = $3 AND active_name IS NOT NULL AND asked_again = 0";

/// Ends a job with the reason for which it failed, or starts it again when it was asked for meanwhile.
pub async fn fail(db: &Db, job: &Job, owner: &str, reason: &str) -> Result<(), Error> {
    let mut tx = db.begin().await?;
    if tx.execute(FAIL, args![job.account_id, &job.job_id, owner, reason]).await? == 0 {
        tx.execute(RESTART, args![job.account_id, &job.job_id]).await?;
    }
    tx.commit().await
}

const SELECT_OLDEST: &str = "SELECT min(created_at) FROM inventory_jobs WHERE active_name IS NOT NULL";

/// When the oldest job was asked for that is not over, in Unix seconds.
pub async fn oldest_active(db: &Db) -> Result<Option<i64>, Error> {
    db.fetch_one(SELECT_OLDEST, args![]).await?.get(0)
}

const PRUNE: &str = "DELETE FROM inventory_jobs WHERE account_id = $1 AND active_name IS NULL AND updated_at < $2";

/// Forgets jobs that ended long ago.
pub async fn prune(tx: &mut Tx, account_id: i64, before: i64) -> Result<(), Error> {
    tx.execute(PRUNE, args![account_id, before]).await.map(drop)
}

const SELECT_ONE: &str = concat!("SELECT ", columns!(), " FROM inventory_jobs WHERE account_id = $1 AND job_id = $2");

pub async fn get(db: &Db, account_id: i64, job_id: &str) -> Result<Option<Job>, Error> {
    db.fetch_optional(SELECT_ONE, args![account_id, job_id]).await?.map(|row| read(&row)).transpose()
}

const SELECT_PAGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM inventory_jobs WHERE account_id = $1 AND (created_at < $2 OR (created_at = $2 AND job_id < $3)) ",
    "ORDER BY created_at DESC, job_id DESC LIMIT $4"
);

/// The newest jobs before a place in the list.
pub async fn page(
    db: &Db,
    account_id: i64,
    before_created_at: i64,
    before_job_id: &str,
    limit: i64,
) -> Result<Vec<Job>, Error> {
    let rows = db.fetch_all(SELECT_PAGE, args![account_id, before_created_at, before_job_id, limit]).await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Job, Error> {
    let (kind, state) = (row.get::<String>("kind")?, row.get::<String>("state")?);
    let collection_id = row.get::<i64>("collection_id")?;
    Ok(Job {
        account_id: row.get("account_id")?,
        job_id: row.get("job_id")?,
        kind: JobKind::from_name(&kind).ok_or_else(|| Error::Inconsistency(format!("job kind {kind}")))?,
        state: JobState::from_name(&state).ok_or_else(|| Error::Inconsistency(format!("job state {state}")))?,
        collection_id: i32::try_from(collection_id)
            .map_err(|_| Error::Inconsistency(format!("collection id {collection_id} is out of range")))?,
        place: row.get("place")?,
        done_items: row.get("done_items")?,
        error: row.get("error")?,
        attempts: row.get("attempts")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}
