//! Durable work: jobs that are leased, taken up after a crash, and done in steps of one transaction each.
//!
//! # Invariants
//! - A step and the place where the next one begins are one transaction: a crash repeats at most one step, and no step
//!   is applied twice.
//! - A job that fails, or whose worker dies, many times in a row without a step ends as failed with its reason.
//! - In an account at most one job of a kind and collection is active. Asked for again while it runs, it starts again
//!   after its end, so every request is followed by a whole run.

use portolan_runtime::now_s;
use portolan_store::Tx;

use crate::{
    Deps, Error,
    model::{
        collections::NO_COLLECTION,
        jobs::{Job, JobKind},
    },
    store,
};

/// Jobs of one answer where the request names no number.
const PAGE_DEFAULT: i64 = 100;

/// Jobs of one answer at most.
const PAGE_MAX: i64 = 1_000;

/// Notes work in the transaction that makes it necessary, and answers the job's id.
pub(crate) async fn ask(
    tx: &mut Tx,
    account_id: i64,
    kind: JobKind,
    collection_id: Option<i32>,
) -> Result<String, Error> {
    let job_id = uuid::Uuid::now_v7().to_string();
    let collection_id = collection_id.unwrap_or(NO_COLLECTION);
    Ok(store::jobs::insert(tx, account_id, &job_id, kind, collection_id, now_s()).await?)
}

/// One job of an account.
pub async fn get(deps: &Deps, account_id: i64, job_id: &str) -> Result<Option<Job>, Error> {
    if job_id.contains('\0') {
        return Ok(None);
    }
    Ok(store::jobs::get(&deps.db, account_id, job_id).await?)
}

/// The newest jobs before a place in the list, which is the newest of all when nothing is named.
pub async fn list(
    deps: &Deps,
    account_id: i64,
    page_size: i32,
    before: Option<(i64, String)>,
) -> Result<Vec<Job>, Error> {
    let limit = match i64::from(page_size) {
        size if size <= 0 => PAGE_DEFAULT,
        size => size.min(PAGE_MAX),
    };
    let (created_at, job_id) = before.unwrap_or((i64::MAX, String::new()));
    Ok(store::jobs::page(&deps.db, account_id, created_at, &job_id, limit).await?)
}
