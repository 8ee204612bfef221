use portolan_ids::{AccountId, CollectionId, JobId, NamedCollectionId, UserId};
use portolan_store::{Error, Row};
use serde_json::Value;

use crate::{
    job::{Job, Readers, Record, State, Subject, Task},
    seal::Seal,
};

macro_rules! columns {
    () => {
        "account_id, job_id, kind, arguments, subject, collection_id, state, cursor, done_items, outcome, error, \
         attempts, created_at, updated_at, user_id, restricted, write_key, needs, sealed, bytes_done, bytes_total"
    };
}
pub(super) use columns;

/// Which job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub account_id: AccountId,
    pub job_id: JobId,
}

impl Key {
    pub fn of<T: Task>(job: &Job<T>) -> Self {
        Self { account_id: job.account_id, job_id: job.job_id.clone() }
    }
}

pub(super) fn key(row: &Row) -> Result<Key, Error> {
    Ok(Key { account_id: row.get("account_id")?, job_id: row.get("job_id")? })
}

/// A job as its readers see it; what cannot be read of it is left out.
pub(super) fn record(row: &Row) -> Result<Record, Error> {
    let Key { account_id, job_id } = key(row)?;
    let text = |name: &str| row.get::<String>(name).unwrap_or_default();
    let number = |name: &str| row.get::<i64>(name).unwrap_or_default();
    let json = |name: &str| serde_json::from_str(&text(name)).unwrap_or(Value::Null);
    let is_sealed = number("sealed") == 1;
    let kind = text("kind");
    let arguments = if is_sealed { Value::Null } else { json("arguments") };
    let user_id = Some(UserId(number("user_id"))).filter(|id| *id != UserId(0));
    Ok(Record {
        account_id,
        job_id,
        arguments: with_kind(arguments, &kind),
        kind,
        subject: Subject { name: text("subject"), readers: readers(row), user_id },
        state: State::parse(&text("state")).unwrap_or(State::Failed),
        key: text("write_key"),
        needs: text("needs"),
        cursor: json("cursor"),
        done_items: number("done_items"),
        bytes_done: number("bytes_done"),
        bytes_total: number("bytes_total"),
        outcome: json("outcome"),
        error: row.get("error").unwrap_or_default(),
        created_at: number("created_at"),
        updated_at: number("updated_at"),
    })
}

/// A collection that cannot be read is shown to nobody who does not see all.
fn readers(row: &Row) -> Readers {
    match row.get("collection_id") {
        Ok(Some(id)) => Readers::Collection(id),
        Ok(None) if row.get::<i64>("restricted").is_ok_and(|restricted| restricted == 0) => Readers::Account,
        _ => Readers::Unrestricted,
    }
}

fn with_kind(mut arguments: Value, kind: &str) -> Value {
    if let Some(members) = arguments.as_object_mut() {
        members.insert("kind".to_owned(), Value::String(kind.to_owned()));
    }
    arguments
}

/// A job as the work on it needs it.
///
/// # Errors
/// What is wrong with it, for the account to read.
pub(super) fn job<T: Task>(seal: &Seal, row: &Row, record: &Record) -> Result<Job<T>, String> {
    parse(seal, row, record).map_err(|detail| format!("The job cannot be read: {detail}"))
}

/// What stands there may be the user's, or a secret: it is not quoted.
fn wrong(part: &str, error: &serde_json::Error) -> String {
    if error.is_data() {
        return format!("its {part} do not fit its kind");
    }
    format!("its {part} are no JSON: line {}, column {}", error.line(), error.column())
}

fn parse<T: Task>(seal: &Seal, row: &Row, record: &Record) -> Result<Job<T>, String> {
    let damaged = |error: Error| error.to_string();
    let collection_id: Option<NamedCollectionId> = row.get("collection_id").map_err(damaged)?;
    if let Some(id) = collection_id {
        CollectionId::try_from(id).map_err(|_| format!("collection {id}"))?;
    }
    for name in ["user_id", "restricted", "done_items", "created_at"] {
        row.get::<i64>(name).map_err(damaged)?;
    }
    let (arguments, cursor): (String, String) =
        (row.get("arguments").map_err(damaged)?, row.get("cursor").map_err(damaged)?);
    let arguments = match row.get::<i64>("sealed").map_err(damaged)? {
        0 => arguments,
        _ => seal.open(&record.job_id, &arguments)?,
    };
    let arguments: Value = serde_json::from_str(&arguments).map_err(|error| wrong("arguments", &error))?;
    if !arguments.is_object() {
        return Err("its arguments are no object".to_owned());
    }
    let arguments = with_kind(arguments, &record.kind);
    let cursor: Option<T::Cursor> = serde_json::from_str(&cursor).map_err(|error| wrong("steps", &error))?;
    Ok(Job {
        account_id: record.account_id,
        job_id: record.job_id.clone(),
        task: serde_json::from_value(arguments).map_err(|error| wrong("arguments", &error))?,
        subject: record.subject.clone(),
        key: record.key.clone(),
        cursor: cursor.unwrap_or_default(),
        done_items: record.done_items,
        created_at: record.created_at,
    })
}
