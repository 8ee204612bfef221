use portolan_store::{Db, Error, Row, Tx, args};
use serde_json::Value;

use crate::job::{Job, Record, State, Subject, Task};

macro_rules! columns {
    () => {
        "account_id, job_id, kind, arguments, subject, collection_id, state, cursor, done_items, outcome, error, \
         attempts, created_at, updated_at"
    };
}

// A job that runs starts again after its end, so that no request is answered by work that began before it.
const INSERT: &str = "INSERT INTO jobs (service, account_id, job_id, kind, arguments, subject, collection_id, state, \
     active_name, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 'PENDING', $8, $9, $9) \
     ON CONFLICT (service, account_id, active_name) DO UPDATE \
     SET asked_again = CASE WHEN jobs.state = 'RUNNING' THEN 1 ELSE jobs.asked_again END RETURNING job_id";

pub(crate) async fn insert<T: Task>(
    tx: &mut Tx,
    service: &str,
    account_id: i64,
    job_id: &str,
    task: &T,
    subject: &Subject,
    now: i64,
) -> Result<String, Error> {
    let mut arguments = serde_json::to_value(task).map_err(|error| unreadable("arguments", &error))?;
    let kind = arguments.as_object_mut().and_then(|members| members.remove("kind"));
    let Some(Value::String(kind)) = kind else {
        return Err(Error::Inconsistency("a task has no tag `kind`".into()));
    };
    let active_name = format!("{kind} {}", subject.name);
    let collection_id = subject.collection_id.map(i64::from);
    let arguments = arguments.to_string();
    let row = args![service, account_id, job_id, kind, arguments, &subject.name, collection_id, active_name, now];
    tx.fetch_one(INSERT, row).await?.get("job_id")
}

/// A job that a worker has taken.
pub(crate) struct Claimed<T: Task> {
    pub record: Record,
    pub attempts: i64,
    /// What is wrong with what is stored, where it cannot be read.
    pub job: Result<Job<T>, String>,
}

const CLAIM: &str = concat!(
    "UPDATE jobs SET lease_owner = $2, due_at = $3, state = 'RUNNING', updated_at = $4, attempts = attempts + 1 ",
    "WHERE service = $1 AND active_name IS NOT NULL AND due_at <= $4 AND (account_id, job_id) IN ",
    "(SELECT account_id, job_id FROM jobs WHERE service = $1 AND active_name IS NOT NULL AND due_at <= $4 ",
    "ORDER BY created_at, account_id, job_id LIMIT 1) RETURNING ",
    columns!()
);
const ANY_DUE: &str = "SELECT 1 FROM jobs WHERE service = $1 AND active_name IS NOT NULL AND due_at <= $2 LIMIT 1";

/// Takes the oldest job that nobody works on, until a moment.
pub(crate) async fn claim<T: Task>(db: &Db, owner: &str, now: i64, until: i64) -> Result<Option<Claimed<T>>, Error> {
    // A read first: an idle worker takes no turn at the writer.
    if db.fetch_optional(ANY_DUE, args![db.service(), now]).await?.is_none() {
        return Ok(None);
    }
    let mut tx = db.begin().await?;
    let row = tx.fetch_optional(CLAIM, args![db.service(), owner, until, now]).await?;
    tx.commit().await?;
    row.map(|row| claimed(&row)).transpose()
}

const RENEW: &str = concat!(
    "UPDATE jobs SET due_at = $5, updated_at = $6 ",
    "WHERE service = $1 AND account_id = $2 AND job_id = $3 AND lease_owner = $4 AND active_name IS NOT NULL RETURNING ",
    columns!()
);

/// Keeps a claimed job in the transaction of a step; nothing when it is another worker's, or over.
pub(crate) async fn renew<T: Task>(
    tx: &mut Tx,
    service: &str,
    job: &Job<T>,
    owner: &str,
    until: i64,
    now: i64,
) -> Result<Option<Claimed<T>>, Error> {
    let row = tx.fetch_optional(RENEW, args![service, job.account_id, &job.job_id, owner, until, now]).await?;
    row.map(|row| claimed(&row)).transpose()
}

const ADVANCE: &str = "UPDATE jobs SET cursor = $4, done_items = done_items + $5, error = NULL, attempts = 0 \
     WHERE service = $1 AND account_id = $2 AND job_id = $3";

/// Notes where the next step begins.
pub(crate) async fn advance<T: Task>(
    tx: &mut Tx,
    service: &str,
    job: &Job<T>,
    cursor: &T::Cursor,
    done: i64,
) -> Result<(), Error> {
    let cursor = serde_json::to_string(cursor).map_err(|error| unreadable("cursor", &error))?;
    tx.execute(ADVANCE, args![service, job.account_id, &job.job_id, cursor, done]).await.map(drop)
}

const FINISH: &str = "UPDATE jobs SET state = 'SUCCEEDED', active_name = NULL, lease_owner = '', error = NULL, \
     done_items = done_items + $4, outcome = $5 \
     WHERE service = $1 AND account_id = $2 AND job_id = $3 AND asked_again = 0";
const RESTART: &str = "UPDATE jobs SET cursor = 'null', asked_again = 0, done_items = 0, attempts = 0, error = NULL \
     WHERE service = $1 AND account_id = $2 AND job_id = $3 AND asked_again = 1";

/// Ends a job, or starts it again when it was asked for meanwhile; true when it is over.
pub(crate) async fn finish<T: Task>(
    tx: &mut Tx,
    service: &str,
    job: &Job<T>,
    done: i64,
    outcome: &Value,
) -> Result<bool, Error> {
    let row = args![service, job.account_id, &job.job_id, done, outcome.to_string()];
    if tx.execute(FINISH, row).await? == 1 {
        return Ok(true);
    }
    tx.execute(RESTART, args![service, job.account_id, &job.job_id]).await?;
    Ok(false)
}

const RELEASE: &str = "UPDATE jobs SET state = 'PENDING', lease_owner = '', due_at = $5, error = $6 \
     WHERE service = $1 AND account_id = $2 AND job_id = $3 AND lease_owner = $4 AND active_name IS NOT NULL";

/// Gives a claimed job back, to be taken up from a moment on.
pub(crate) async fn release(
    db: &Db,
    job: &Record,
    owner: &str,
    due_at: i64,
    error: Option<String>,
) -> Result<(), Error> {
    let row = args![db.service(), job.account_id, &job.job_id, owner, due_at, error];
    db.execute(RELEASE, row).await.map(drop)
}

const FAIL: &str = "UPDATE jobs SET state = 'FAILED', active_name = NULL, lease_owner = '', error = $5, \
     updated_at = $6 WHERE service = $1 AND account_id = $2 AND job_id = $3 AND lease_owner = $4 \
     AND active_name IS NOT NULL";

/// Ends a claimed job with the reason for which it failed.
pub(crate) async fn fail(db: &Db, job: &Record, owner: &str, reason: &str, now: i64) -> Result<(), Error> {
    db.execute(FAIL, args![db.service(), job.account_id, &job.job_id, owner, reason, now]).await.map(drop)
}

const CANCEL: &str = "UPDATE jobs SET state = 'CANCELLED', active_name = NULL, lease_owner = '', error = $4, \
     updated_at = $5 WHERE service = $1 AND account_id = $2 AND job_id = $3 AND active_name IS NOT NULL";

pub(crate) async fn cancel(db: &Db, account_id: i64, job_id: &str, reason: &str, now: i64) -> Result<bool, Error> {
    Ok(db.execute(CANCEL, args![db.service(), account_id, job_id, reason, now]).await? == 1)
}

const SELECT_OLDEST: &str = "SELECT min(created_at) FROM jobs WHERE service = $1 AND active_name IS NOT NULL";

pub(crate) async fn oldest_active(db: &Db) -> Result<Option<i64>, Error> {
    db.fetch_one(SELECT_OLDEST, args![db.service()]).await?.get(0)
}

const DELETE_ENDED: &str = "DELETE FROM jobs WHERE service = $1 AND active_name IS NULL AND updated_at < $2";

pub(crate) async fn delete_ended(db: &Db, before: i64) -> Result<u64, Error> {
    db.execute(DELETE_ENDED, args![db.service(), before]).await
}

const SELECT_ONE: &str =
    concat!("SELECT ", columns!(), " FROM jobs WHERE service = $1 AND account_id = $2 AND job_id = $3");

pub(crate) async fn get(db: &Db, account_id: i64, job_id: &str) -> Result<Option<Record>, Error> {
    let row = db.fetch_optional(SELECT_ONE, args![db.service(), account_id, job_id]).await?;
    row.map(|row| record(&row)).transpose()
}

const SELECT_PAGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM jobs WHERE service = $1 AND account_id = $2 AND (created_at < $3 OR (created_at = $3 AND job_id < $4)) ",
    "ORDER BY created_at DESC, job_id DESC LIMIT $5"
);

/// The newest jobs before a place in the list.
pub(crate) async fn page(db: &Db, account_id: i64, before: (i64, &str), limit: i64) -> Result<Vec<Record>, Error> {
    let rows = db.fetch_all(SELECT_PAGE, args![db.service(), account_id, before.0, before.1, limit]).await?;
    rows.iter().map(record).collect()
}

const SELECT_NEWEST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM jobs WHERE service = $1 AND subject = $2 ORDER BY created_at DESC, job_id DESC LIMIT 1"
);
const SELECT_NEWEST_ENDED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM jobs WHERE service = $1 AND subject = $2 AND active_name IS NULL ",
    "ORDER BY updated_at DESC, job_id DESC LIMIT 1"
);

pub(crate) async fn newest(db: &Db, subject: &str) -> Result<Option<Record>, Error> {
    db.fetch_optional(SELECT_NEWEST, args![db.service(), subject]).await?.map(|row| record(&row)).transpose()
}

pub(crate) async fn newest_ended(db: &Db, subject: &str) -> Result<Option<Record>, Error> {
    db.fetch_optional(SELECT_NEWEST_ENDED, args![db.service(), subject]).await?.map(|row| record(&row)).transpose()
}

fn unreadable(what: &str, error: &serde_json::Error) -> Error {
    Error::Inconsistency(format!("{what} of a job: {error}"))
}

fn record(row: &Row) -> Result<Record, Error> {
    let state: String = row.get("state")?;
    let collection_id: Option<i64> = row.get("collection_id")?;
    let out_of_range = |_| Error::Inconsistency("the collection id of a job is out of range".into());
    let outcome: String = row.get("outcome")?;
    Ok(Record {
        account_id: row.get("account_id")?,
        job_id: row.get("job_id")?,
        kind: row.get("kind")?,
        subject: Subject {
            name: row.get("subject")?,
            collection_id: collection_id.map(i32::try_from).transpose().map_err(out_of_range)?,
        },
        state: State::parse(&state).ok_or_else(|| Error::Inconsistency(format!("job state {state}")))?,
        done_items: row.get("done_items")?,
        // For its reader alone: what cannot be read holds up no work.
        outcome: serde_json::from_str(&outcome).unwrap_or_default(),
        error: row.get("error")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn claimed<T: Task>(row: &Row) -> Result<Claimed<T>, Error> {
    let record = record(row)?;
    let (arguments, cursor): (String, String) = (row.get("arguments")?, row.get("cursor")?);
    let job = parse(&record, &arguments, &cursor).map_err(|error| format!("the job cannot be read: {error}"));
    Ok(Claimed { record, attempts: row.get("attempts")?, job })
}

fn parse<T: Task>(record: &Record, arguments: &str, cursor: &str) -> Result<Job<T>, serde_json::Error> {
    let mut arguments: serde_json::Map<String, Value> = serde_json::from_str(arguments)?;
    arguments.insert("kind".to_owned(), Value::String(record.kind.clone()));
    let cursor: Option<T::Cursor> = serde_json::from_str(cursor)?;
    Ok(Job {
        account_id: record.account_id,
        job_id: record.job_id.clone(),
        task: serde_json::from_value(Value::Object(arguments))?,
        subject: record.subject.clone(),
        cursor: cursor.unwrap_or_default(),
        done_items: record.done_items,
    })
}
