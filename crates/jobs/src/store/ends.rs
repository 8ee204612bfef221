use portolan_ids::{AccountId, CollectionId, JobId};
use portolan_store::{Db, Error, Tx, args};
use serde_json::Value;

use super::rows::{self, Key, columns};
use crate::job::Record;

/// What every end has in common.
macro_rules! end {
    () => {
        "active_name = NULL, lease_owner = '', arguments = CASE WHEN sealed = 1 THEN '{}' ELSE arguments END"
    };
}

const FINISH: &str = concat!(
    "UPDATE jobs SET state = 'SUCCEEDED', error = NULL, bytes_done = bytes_total, done_items = done_items + $4, ",
    "outcome = $5, ",
    end!(),
    " WHERE service = $1 AND account_id = $2 AND job_id = $3 AND asked_again = 0 RETURNING ",
    columns!()
);
const RESTART: &str = "UPDATE jobs SET cursor = 'null', asked_again = 0, done_items = 0, bytes_done = 0, attempts = 0, \
     error = NULL WHERE service = $1 AND account_id = $2 AND job_id = $3 AND asked_again = 1";

/// Ends a job, or starts it again when it was asked for meanwhile; the job when it is over.
pub(crate) async fn finish(
    tx: &mut Tx,
    service: &str,
    key: &Key,
    done: i64,
    outcome: &Value,
) -> Result<Option<Record>, Error> {
    let row = args![service, key.account_id, &key.job_id, done, outcome.to_string()];
    if let Some(row) = tx.fetch_optional(FINISH, row).await? {
        return rows::record(&row).map(Some);
    }
    tx.execute(RESTART, args![service, key.account_id, &key.job_id]).await?;
    Ok(None)
}

const FAIL: &str = concat!(
    "UPDATE jobs SET state = 'FAILED', error = $5, updated_at = $6, ",
    end!(),
    " WHERE service = $1 AND account_id = $2 AND job_id = $3 AND lease_owner = $4 AND active_name IS NOT NULL ",
    "AND asked_again = 0 RETURNING ",
    columns!()
);
const FAIL_AND_RESTART: &str = "UPDATE jobs SET state = 'PENDING', lease_owner = '', due_at = 0, cursor = 'null', \
     asked_again = 0, done_items = 0, bytes_done = 0, attempts = 0, error = $5, updated_at = $6 \
     WHERE service = $1 AND account_id = $2 AND job_id = $3 AND lease_owner = $4 AND active_name IS NOT NULL \
     AND asked_again = 1";

/// Ends a claimed job with the reason for which it failed, or starts it again when it was asked for meanwhile; the job
/// when it is over.
pub(crate) async fn fail(
    tx: &mut Tx,
    service: &str,
    key: &Key,
    lease: &str,
    reason: &str,
    now: i64,
) -> Result<Option<Record>, Error> {
    let row = || args![service, key.account_id, &key.job_id, lease, reason, now];
    let ended = tx.fetch_optional(FAIL, row()).await?;
    if ended.is_none() {
        tx.execute(FAIL_AND_RESTART, row()).await?;
    }
    ended.map(|row| rows::record(&row)).transpose()
}

const CANCEL: &str = concat!(
    "UPDATE jobs SET state = 'CANCELLED', error = $4, updated_at = $5, ",
    end!(),
    " WHERE service = $1 AND account_id = $2 AND job_id = $3 AND active_name IS NOT NULL RETURNING ",
    columns!()
);

pub(crate) async fn cancel(
    tx: &mut Tx,
    service: &str,
    account_id: AccountId,
    job_id: &JobId,
    reason: &str,
    now: i64,
) -> Result<Option<Record>, Error> {
    let row = tx.fetch_optional(CANCEL, args![service, account_id, job_id, reason, now]).await?;
    row.map(|row| rows::record(&row)).transpose()
}

const CANCEL_OF: &str = concat!(
    "UPDATE jobs SET state = 'CANCELLED', error = $4, updated_at = $5, ",
    end!(),
    " WHERE service = $1 AND account_id = $2 AND collection_id = $3 AND active_name IS NOT NULL RETURNING ",
    columns!()
);

pub(crate) async fn cancel_of(
    tx: &mut Tx,
    service: &str,
    account_id: AccountId,
    collection_id: CollectionId,
    reason: &str,
    now: i64,
) -> Result<Vec<Record>, Error> {
    let rows = tx.fetch_all(CANCEL_OF, args![service, account_id, collection_id, reason, now]).await?;
    rows.iter().map(rows::record).collect()
}

const REPLACE_OUTCOME: &str = "UPDATE jobs SET outcome = $4, cursor = 'null' \
     WHERE service = $1 AND account_id = $2 AND job_id = $3 AND active_name IS NULL";

pub(crate) async fn replace_outcome(
    db: &Db,
    account_id: AccountId,
    job_id: &JobId,
    outcome: &Value,
) -> Result<(), Error> {
    let row = args![db.service(), account_id, job_id, outcome.to_string()];
    db.execute(REPLACE_OUTCOME, row).await.map(drop)
}

const DELETE_ENDED: &str = "DELETE FROM jobs WHERE service = $1 AND active_name IS NULL AND updated_at < $2";

pub(crate) async fn delete_ended(db: &Db, before: i64) -> Result<u64, Error> {
    db.execute(DELETE_ENDED, args![db.service(), before]).await
}
