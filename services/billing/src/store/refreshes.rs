use portolan_store::{Db, Error, args, retrying};

use crate::refresh::{Difference, Refresh, Run};

const REQUEST: &str = "
INSERT INTO usage_refreshes (organization_id, requested, done, requested_at, finished_at, differences, lease_owner,
    lease_until)
VALUES ($1, 1, 0, $2, 0, '[]', '', 0)
ON CONFLICT (organization_id) DO UPDATE SET requested = usage_refreshes.requested + 1, requested_at = excluded.requested_at
RETURNING requested, claimed, lease_until";

/// A job that no run has begun with answers later requests too.
const JOIN: &str = "UPDATE usage_refresh_jobs SET number = $3
WHERE account_id = $1 AND organization_id = $2 AND finished_at = 0 AND number > $4";

const INSERT_JOB: &str = "INSERT INTO usage_refresh_jobs (job_id, account_id, organization_id, number, created_at)
VALUES ($1, $2, $3, $4, $5)";

/// Asks for a run, and keeps the request as a job of the account.
pub async fn request(db: &Db, organization_id: &str, account_id: i64, job_id: &str, now: i64) -> Result<(), Error> {
    retrying(|| async {
        let mut tx = db.begin().await?;
        let row = tx.fetch_one(REQUEST, args![organization_id, now]).await?;
        let number: i64 = row.get("requested")?;
        let is_running = row.get::<i64>("lease_until")? > now;
        // A run that was given up begins anew with every request of then.
        let begun: i64 = if is_running { row.get("claimed")? } else { 0 };
        if tx.execute(JOIN, args![account_id, organization_id, number, begun]).await? == 0 {
            tx.execute(INSERT_JOB, args![job_id, account_id, organization_id, number, now]).await?;
        }
        tx.commit().await
    })
    .await
}

const GET: &str = "
SELECT requested, done, requested_at, finished_at, differences, lease_until FROM usage_refreshes
WHERE organization_id = $1";

pub async fn get(db: &Db, organization_id: &str, now: i64) -> Result<Option<Refresh>, Error> {
    let Some(row) = db.fetch_optional(GET, args![organization_id]).await? else { return Ok(None) };
    // For its reader alone: what cannot be read holds up no refresh.
    let differences = serde_json::from_str(&row.get::<String>("differences")?).unwrap_or_default();
    let is_done = row.get::<i64>("requested")? == row.get::<i64>("done")?;
    let state = if is_done {
        "SUCCEEDED"
    } else if row.get::<i64>("lease_until")? > now {
        "RUNNING"
    } else {
        "PENDING"
    };
    Ok(Some(Refresh {
        state,
        requested_at: row.get("requested_at")?,
        finished_at: row.get("finished_at")?,
        differences,
    }))
}

const ANY_DUE: &str =
    "SELECT organization_id FROM usage_refreshes WHERE done < requested AND lease_until <= $1 LIMIT 1";

/// The outer condition holds against a runner that read the same row.
const CLAIM: &str = "
UPDATE usage_refreshes SET lease_owner = $2, lease_until = $3, claimed = requested
WHERE done < requested AND lease_until <= $1 AND organization_id = (
    SELECT organization_id FROM usage_refreshes WHERE done < requested AND lease_until <= $1
    ORDER BY requested_at, organization_id LIMIT 1)
RETURNING organization_id, requested";

/// Takes the oldest run that nobody works on.
pub async fn claim(db: &Db, owner: &str, now: i64, until: i64) -> Result<Option<Run>, Error> {
    if db.fetch_optional(ANY_DUE, args![now]).await?.is_none() {
        return Ok(None);
    }
    retrying(|| async {
        let mut tx = db.begin().await?;
        let row = tx.fetch_optional(CLAIM, args![now, owner, until]).await?;
        tx.commit().await?;
        row.map(|row| Ok(Run { organization_id: row.get("organization_id")?, requested: row.get("requested")? }))
            .transpose()
    })
    .await
}

const END: &str = "
UPDATE usage_refreshes SET done = $3, finished_at = $4, differences = $5, lease_owner = '', lease_until = 0
WHERE organization_id = $1 AND lease_owner = $2";

const END_JOBS: &str = "UPDATE usage_refresh_jobs SET finished_at = $3, differences = $4
WHERE organization_id = $1 AND finished_at = 0 AND number <= $2";

pub async fn end(db: &Db, run: &Run, owner: &str, differences: &[Difference], now: i64) -> Result<(), Error> {
    let found = i64::try_from(differences.len()).unwrap_or(i64::MAX);
    let differences = serde_json::to_string(differences).expect("texts and numbers always serialize");
    retrying(|| async {
        let mut tx = db.begin().await?;
        let args = args![&run.organization_id, owner, run.requested, now, &differences];
        if tx.execute(END, args).await? == 1 {
            tx.execute(END_JOBS, args![&run.organization_id, run.requested, now, found]).await?;
        }
        tx.commit().await
    })
    .await
}

const RELEASE: &str = "UPDATE usage_refreshes SET lease_owner = '', lease_until = $2 WHERE lease_owner = $1";

/// Gives back what a runner holds, to be taken up after a moment.
pub async fn release(db: &Db, owner: &str, until: i64) -> Result<(), Error> {
    retrying(|| async { db.execute(RELEASE, args![owner, until]).await }).await.map(drop)
}
