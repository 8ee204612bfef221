use portolan_store::{Db, Error, Row, Tx, args};

use super::rows::{self, Key, columns};
use crate::{
    job::{Job, Record, Task},
    seal::Seal,
};

/// A job that a worker has taken.
pub(crate) struct Claimed<T: Task> {
    pub key: Key,
    pub record: Record,
    /// Since it last came further, with this one.
    pub attempts: i64,
    /// What is wrong with what is stored, where it cannot be read.
    pub job: Result<Job<T>, String>,
}

fn claimed<T: Task>(seal: &Seal, row: &Row) -> Result<Claimed<T>, Error> {
    let (key, record) = (rows::key(row)?, rows::record(row)?);
    let job = rows::job(seal, row, &record);
    // Attempts that cannot be counted would never end.
    Ok(Claimed { key, record, attempts: row.get("attempts").unwrap_or(i64::MAX), job })
}

// The outer condition holds against a worker that read the same row. An account whose jobs are worked on waits behind
// others: many jobs of one delay no other for longer than one job takes.
const CLAIM: &str = concat!(
    "UPDATE jobs SET lease_owner = $2, due_at = $3, state = 'RUNNING', updated_at = $4, attempts = attempts + 1 ",
    "WHERE service = $1 AND active_name IS NOT NULL AND due_at <= $4 AND (account_id, job_id) IN ",
    "(SELECT j.account_id, j.job_id FROM jobs j WHERE j.service = $1 AND j.active_name IS NOT NULL AND j.due_at <= $4 ",
    "AND j.needs IN ('', $5) ORDER BY (SELECT count(*) FROM jobs r WHERE r.service = $1 AND r.account_id = j.account_id ",
    "AND r.lease_owner <> '' AND r.due_at > $4), j.created_at, j.account_id, j.job_id LIMIT 1) RETURNING ",
    columns!()
);
const ANY_DUE: &str = "SELECT 1 FROM jobs WHERE service = $1 AND active_name IS NOT NULL AND due_at <= $2 \
     AND needs IN ('', $3) LIMIT 1";

/// Takes the oldest job that nobody works on, until a moment.
pub(crate) async fn claim<T: Task>(
    db: &Db,
    seal: &Seal,
    lease: &str,
    has: &str,
    now: i64,
    until: i64,
) -> Result<Option<Claimed<T>>, Error> {
    // A read first: an idle worker takes no turn at the writer.
    if db.fetch_optional(ANY_DUE, args![db.service(), now, has]).await?.is_none() {
        return Ok(None);
    }
    let mut tx = db.begin().await?;
    let row = tx.fetch_optional(CLAIM, args![db.service(), lease, until, now, has]).await?;
    tx.commit_unsynced().await?;
    row.map(|row| claimed(seal, &row)).transpose()
}

const CLAIM_ONE: &str = concat!(
    "UPDATE jobs SET lease_owner = $2, due_at = $3, state = 'RUNNING', updated_at = $4, attempts = attempts + 1 ",
    "WHERE service = $1 AND account_id = $5 AND job_id = $6 AND active_name IS NOT NULL AND due_at <= $4 RETURNING ",
    columns!()
);

/// Takes this job, when it is due.
pub(crate) async fn claim_one<T: Task>(
    db: &Db,
    seal: &Seal,
    lease: &str,
    key: &Key,
    now: i64,
    until: i64,
) -> Result<Option<Claimed<T>>, Error> {
    let mut tx = db.begin().await?;
    let row = args![db.service(), lease, until, now, key.account_id, &key.job_id];
    let row = tx.fetch_optional(CLAIM_ONE, row).await?;
    tx.commit_unsynced().await?;
    row.map(|row| claimed(seal, &row)).transpose()
}

const TAKE: &str = concat!(
    "UPDATE jobs SET due_at = $5, updated_at = $6 ",
    "WHERE service = $1 AND account_id = $2 AND job_id = $3 AND lease_owner = $4 AND active_name IS NOT NULL RETURNING ",
    columns!()
);

/// Keeps a claimed job in the transaction of a step, and reads how far it is; nothing when it is another worker's, or
/// over. The row is locked until the commit, so nobody takes it meanwhile.
pub(crate) async fn take<T: Task>(
    tx: &mut Tx,
    service: &str,
    seal: &Seal,
    key: &Key,
    lease: &str,
    now: i64,
    until: i64,
) -> Result<Option<Claimed<T>>, Error> {
    let row = tx.fetch_optional(TAKE, args![service, key.account_id, &key.job_id, lease, until, now]).await?;
    row.map(|row| claimed(seal, &row)).transpose()
}

const KEEP: &str = "UPDATE jobs SET due_at = $5, bytes_done = $6, updated_at = $7 \
     WHERE service = $1 AND account_id = $2 AND job_id = $3 AND lease_owner = $4 AND active_name IS NOT NULL";

/// Keeps a claimed job; false when it is another worker's, or over.
pub(crate) async fn keep(
    tx: &mut Tx,
    service: &str,
    key: &Key,
    lease: &str,
    until: i64,
    bytes_done: i64,
    now: i64,
) -> Result<bool, Error> {
    let row = args![service, key.account_id, &key.job_id, lease, until, bytes_done, now];
    Ok(tx.execute(KEEP, row).await? == 1)
}

const ADVANCE: &str = "UPDATE jobs SET cursor = $4, done_items = done_items + $5, \
     error = CASE WHEN $6 = 1 THEN NULL ELSE error END, attempts = CASE WHEN $6 = 1 THEN 0 ELSE attempts END \
     WHERE service = $1 AND account_id = $2 AND job_id = $3";

/// Notes where the next step begins; without having come further, the attempts that are left stay as they are.
pub(crate) async fn advance<T: Task>(
    tx: &mut Tx,
    service: &str,
    key: &Key,
    cursor: &T::Cursor,
    done: i64,
    is_further: bool,
) -> Result<(), Error> {
    let cursor = serde_json::to_string(cursor).map_err(|error| Error::Inconsistency(format!("a cursor: {error}")))?;
    let row = args![service, key.account_id, &key.job_id, cursor, done, is_further];
    tx.execute(ADVANCE, row).await.map(drop)
}

const RELEASE: &str = "UPDATE jobs SET state = 'PENDING', lease_owner = '', due_at = $5, error = $6 \
     WHERE service = $1 AND account_id = $2 AND job_id = $3 AND lease_owner = $4 AND active_name IS NOT NULL";

/// Gives a claimed job back, to be taken up from a moment on.
pub(crate) async fn release(db: &Db, key: &Key, lease: &str, due_at: i64, error: Option<String>) -> Result<(), Error> {
    let row = args![db.service(), key.account_id, &key.job_id, lease, due_at, error];
    db.execute(RELEASE, row).await.map(drop)
}

const GIVE_BACK: &str = "UPDATE jobs SET state = 'PENDING', lease_owner = '', due_at = 0, \
     attempts = CASE WHEN attempts > 0 THEN attempts - 1 ELSE 0 END \
     WHERE service = $1 AND account_id = $2 AND job_id = $3 AND lease_owner = $4 AND active_name IS NOT NULL";

/// Gives a claimed job back as though it had not been taken.
pub(crate) async fn give_back(db: &Db, key: &Key, lease: &str) -> Result<(), Error> {
    db.execute(GIVE_BACK, args![db.service(), key.account_id, &key.job_id, lease]).await.map(drop)
}
