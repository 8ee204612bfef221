use portolan_store::{Db, Error, Row, args, retrying};

use crate::jobs::Job;

const GET: &str = "
SELECT j.job_id, j.number, j.differences, j.created_at, j.finished_at, r.claimed, r.lease_until
FROM usage_refresh_jobs j JOIN usage_refreshes r ON r.organization_id = j.organization_id
WHERE j.account_id = $1 AND j.job_id = $2";

pub async fn get(db: &Db, account_id: i64, job_id: &str, now: i64) -> Result<Option<Job>, Error> {
    db.fetch_optional(GET, args![account_id, job_id]).await?.map(|row| job(&row, now)).transpose()
}

const LIST: &str = "
SELECT j.job_id, j.number, j.differences, j.created_at, j.finished_at, r.claimed, r.lease_until
FROM usage_refresh_jobs j JOIN usage_refreshes r ON r.organization_id = j.organization_id
WHERE j.account_id = $1 AND (j.created_at < $2 OR (j.created_at = $2 AND j.job_id < $3))
ORDER BY j.created_at DESC, j.job_id DESC LIMIT $4";

/// The jobs of an account before a moment and id, the newest first.
pub async fn list(db: &Db, account_id: i64, before: (i64, &str), limit: i64, now: i64) -> Result<Vec<Job>, Error> {
    let rows = db.fetch_all(LIST, args![account_id, before.0, before.1, limit]).await?;
    rows.iter().map(|row| job(row, now)).collect()
}

fn job(row: &Row, now: i64) -> Result<Job, Error> {
    let (created_at, finished_at): (i64, i64) = (row.get("created_at")?, row.get("finished_at")?);
    let has_begun = row.get::<i64>("number")? <= row.get::<i64>("claimed")?;
    let state = if finished_at > 0 {
        "SUCCEEDED"
    } else if has_begun && row.get::<i64>("lease_until")? > now {
        "RUNNING"
    } else {
        "PENDING"
    };
    Ok(Job {
        job_id: row.get("job_id")?,
        state,
        differences: row.get("differences")?,
        created_at,
        updated_at: created_at.max(finished_at),
    })
}

const DELETE_ENDED: &str = "DELETE FROM usage_refresh_jobs WHERE finished_at > 0 AND finished_at < $1";

/// Forgets jobs that ended before a moment.
pub async fn delete_ended(db: &Db, before: i64) -> Result<(), Error> {
    retrying(|| async { db.execute(DELETE_ENDED, args![before]).await }).await.map(drop)
}
