use portolan_ids::{AccountId, CollectionId, JobId};
use portolan_store::{Db, Error, args};

use super::rows::{Key, columns, record};
use crate::job::Record;

const SELECT_ONE: &str =
    concat!("SELECT ", columns!(), " FROM jobs WHERE service = $1 AND account_id = $2 AND job_id = $3");

pub(crate) async fn get(db: &Db, account_id: AccountId, job_id: &JobId) -> Result<Option<Record>, Error> {
    let row = db.fetch_optional(SELECT_ONE, args![db.service(), account_id, job_id]).await?;
    row.map(|row| record(&row)).transpose()
}

const SELECT_WRITTEN: &str =
    concat!("SELECT ", columns!(), " FROM jobs WHERE service = $1 AND account_id = $2 AND write_key = $3");

pub(crate) async fn find(db: &Db, account_id: AccountId, key: &str) -> Result<Option<Record>, Error> {
    let row = db.fetch_optional(SELECT_WRITTEN, args![db.service(), account_id, key]).await?;
    row.map(|row| record(&row)).transpose()
}

const SELECT_PAGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM jobs WHERE service = $1 AND account_id = $2 AND (created_at < $3 OR (created_at = $3 AND job_id < $4)) ",
    "ORDER BY created_at DESC, job_id DESC LIMIT $5"
);

pub(crate) async fn page(
    db: &Db,
    account_id: AccountId,
    before: (i64, &JobId),
    limit: i64,
) -> Result<Vec<Record>, Error> {
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

const SELECT_ENDED_OF: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM jobs WHERE service = $1 AND account_id = $2 AND collection_id = $3 AND active_name IS NULL"
);

pub(crate) async fn ended_of(
    db: &Db,
    account_id: AccountId,
    collection_id: CollectionId,
) -> Result<Vec<Record>, Error> {
    let rows = db.fetch_all(SELECT_ENDED_OF, args![db.service(), account_id, collection_id]).await?;
    rows.iter().map(record).collect()
}

const IS_ACTIVE: &str =
    "SELECT 1 FROM jobs WHERE service = $1 AND needs = $2 AND job_id = $3 AND active_name IS NOT NULL LIMIT 1";

pub(crate) async fn is_active(db: &Db, needs: &str, job_id: &JobId) -> Result<bool, Error> {
    Ok(db.fetch_optional(IS_ACTIVE, args![db.service(), needs, job_id]).await?.is_some())
}

const SELECT_OLDEST: &str = "SELECT min(created_at) FROM jobs WHERE service = $1 AND active_name IS NOT NULL";

pub(crate) async fn oldest_active(db: &Db) -> Result<Option<i64>, Error> {
    db.fetch_one(SELECT_OLDEST, args![db.service()]).await?.get(0)
}

const SELECT_ATTEMPTS: &str = "SELECT attempts FROM jobs WHERE service = $1 AND account_id = $2 AND job_id = $3";

const SELECT_ACTIVE_BYTES: &str = "SELECT cast(coalesce(sum(bytes_total), 0) AS BIGINT) AS bytes FROM jobs \
     WHERE service = $1 AND account_id = $2 AND active_name IS NOT NULL";

/// Bytes that the jobs of an account are to read which are not over.
pub(crate) async fn active_bytes(db: &Db, account_id: AccountId) -> Result<i64, Error> {
    db.fetch_one(SELECT_ACTIVE_BYTES, args![db.service(), account_id]).await?.get("bytes")
}

/// Attempts since the job last came further, with the one under way.
pub(crate) async fn attempts(db: &Db, key: &Key) -> Result<Option<i64>, Error> {
    let row = db.fetch_optional(SELECT_ATTEMPTS, args![db.service(), key.account_id, &key.job_id]).await?;
    row.map(|row| row.get("attempts")).transpose()
}
