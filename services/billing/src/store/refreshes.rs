use portolan_store::{Db, Error, args, retrying};

use crate::refresh::{Difference, Refresh, Run};

const REQUEST: &str = "
INSERT INTO usage_refreshes (organization_id, requested, done, requested_at, finished_at, differences, lease_owner,
    lease_until)
VALUES ($1, 1, 0, $2, 0, '[]', '', 0)
ON CONFLICT (organization_id) DO UPDATE SET requested = usage_refreshes.requested + 1, requested_at = excluded.requested_at";

pub async fn request(db: &Db, organization_id: &str, now: i64) -> Result<(), Error> {
    retrying(|| async { db.execute(REQUEST, args![organization_id, now]).await }).await.map(drop)
}

const GET: &str = "
SELECT requested, done, requested_at, finished_at, differences, lease_until FROM usage_refreshes
WHERE organization_id = $1";

pub async fn get(db: &Db, organization_id: &str, now: i64) -> Result<Option<Refresh>, Error> {
    let Some(row) = db.fetch_optional(GET, args![organization_id]).await? else { return Ok(None) };
    let differences = serde_json::from_str(&row.get::<String>("differences")?);
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
        differences: differences.map_err(|error| Error::Inconsistency(format!("differences: {error}")))?,
    }))
}

const ANY_DUE: &str =
    "SELECT organization_id FROM usage_refreshes WHERE done < requested AND lease_until <= $1 LIMIT 1";

/// The outer condition holds against a runner that read the same row.
const CLAIM: &str = "
UPDATE usage_refreshes SET lease_owner = $2, lease_until = $3
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

pub async fn end(db: &Db, run: &Run, owner: &str, differences: &[Difference], now: i64) -> Result<(), Error> {
    let differences = serde_json::to_string(differences).expect("texts and numbers always serialize");
    let args = || args![&run.organization_id, owner, run.requested, now, &differences];
    retrying(|| async { db.execute(END, args()).await }).await.map(drop)
}

const RELEASE: &str = "UPDATE usage_refreshes SET lease_owner = '', lease_until = $2 WHERE lease_owner = $1";

/// Gives back what a runner holds, to be taken up after a moment.
pub async fn release(db: &Db, owner: &str, until: i64) -> Result<(), Error> {
    retrying(|| async { db.execute(RELEASE, args![owner, until]).await }).await.map(drop)
}
