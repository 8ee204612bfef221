use portolan_ids::JobId;
use portolan_store::{Error, Tx, Value as Column, args};
use serde_json::Value;

use crate::{
    job::{NewJob, Readers, State, Task},
    seal::Seal,
};

macro_rules! insert {
    () => {
        "INSERT INTO jobs (service, account_id, job_id, kind, arguments, subject, collection_id, state, active_name, \
         created_at, updated_at, user_id, restricted, write_key, needs, sealed, bytes_total, done_items, outcome) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, $12, $13, $14, $15, $16, $17, $18) "
    };
}

// A job that runs starts again after its end, so that no request is answered by work that began before it.
const ASK: &str = concat!(
    insert!(),
    "ON CONFLICT (service, account_id, active_name) DO UPDATE ",
    "SET asked_again = CASE WHEN jobs.state = 'RUNNING' THEN 1 ELSE jobs.asked_again END RETURNING job_id"
);
const ADD: &str = concat!(insert!(), "ON CONFLICT DO NOTHING");

/// A job of which one of a kind and subject is active at a time.
pub(crate) async fn ask<T: Task>(
    tx: &mut Tx,
    service: &str,
    seal: &Seal,
    job: &NewJob<T>,
    now: i64,
) -> Result<JobId, Error> {
    let (kind, arguments, is_sealed) = written(seal, job)?;
    let active_name = format!("{kind} {}", job.subject.name);
    let row = row(service, job, (kind, arguments, is_sealed), Some(active_name), None, None, now);
    tx.fetch_one(ASK, row).await?.get("job_id")
}

/// A job that a write makes once; false when it made one before. With what it did, it is over already.
pub(crate) async fn add<T: Task>(
    tx: &mut Tx,
    service: &str,
    seal: &Seal,
    job: &NewJob<T>,
    done: Option<(i64, &Value)>,
    now: i64,
) -> Result<bool, Error> {
    let written = written(seal, job)?;
    // Its id is its name: no other job is the same work.
    let active_name = done.is_none().then(|| job.job_id.to_string());
    let row = row(service, job, written, active_name, Some(job.key.clone()), done, now);
    Ok(tx.execute(ADD, row).await? == 1)
}

fn row<T: Task>(
    service: &str,
    job: &NewJob<T>,
    (kind, arguments, is_sealed): (String, String, bool),
    active_name: Option<String>,
    write_key: Option<String>,
    done: Option<(i64, &Value)>,
    now: i64,
) -> Vec<Column> {
    let state = if done.is_some() { State::Succeeded } else { State::Pending };
    let (done_items, outcome) = done.unwrap_or((0, &Value::Null));
    args![
        service,
        job.account_id,
        &job.job_id,
        kind,
        arguments,
        &job.subject.name,
        job.subject.collection_id(),
        state.name(),
        active_name,
        now,
        job.subject.user_id.unwrap_or_default(),
        job.subject.readers == Readers::Unrestricted,
        write_key,
        &job.needs,
        is_sealed,
        job.bytes_total,
        done_items,
        outcome.to_string()
    ]
}

/// The kind and the arguments as they are stored, and whether these are sealed.
fn written<T: Task>(seal: &Seal, job: &NewJob<T>) -> Result<(String, String, bool), Error> {
    let wrong = |detail: String| Error::Inconsistency(format!("a task cannot be written: {detail}"));
    let mut arguments = serde_json::to_value(&job.task).map_err(|error| wrong(error.to_string()))?;
    let kind = arguments.as_object_mut().and_then(|members| members.remove("kind"));
    let Some(Value::String(kind)) = kind else { return Err(wrong("it has no tag `kind`".to_owned())) };
    let arguments = arguments.to_string();
    if !job.task.is_secret() {
        return Ok((kind, arguments, false));
    }
    let sealed = seal.close(&job.job_id, &arguments).map_err(wrong)?;
    Ok((kind, sealed, true))
}
