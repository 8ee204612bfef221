use portolan_ids::OrganizationId;
use portolan_store::{Db, Error, args, retrying};

use crate::model::reports::Due;

const NOTE: &str = "
INSERT INTO usage_reports (organization_id, feature, value) VALUES ($1, $2, $3)
ON CONFLICT (organization_id, feature) DO UPDATE SET value = excluded.value WHERE usage_reports.value <> excluded.value";

const LIST_VALUES: &str = "SELECT feature, value FROM usage_reports WHERE organization_id = $1";

/// Keeps the values to be told of an organization.
pub async fn note(db: &Db, organization_id: &OrganizationId, values: &[(&str, i64)]) -> Result<(), Error> {
    let rows = db.fetch_all(LIST_VALUES, args![organization_id]).await?;
    let known = rows.iter().map(|row| Ok((row.get("feature")?, row.get("value")?)));
    let known = known.collect::<Result<Vec<(String, i64)>, Error>>()?;
    let is_known = |(feature, value): &&(&str, i64)| known.iter().any(|(f, v)| f == feature && v == value);
    let changed: Vec<_> = values.iter().filter(|value| !is_known(value)).collect();
    if changed.is_empty() {
        return Ok(());
    }
    retrying(|| async {
        let mut tx = db.begin().await?;
        for (feature, value) in &changed {
            tx.execute(NOTE, args![organization_id, *feature, *value]).await?;
        }
        tx.commit().await
    })
    .await
}

const DUE: &str = "
SELECT organization_id, feature, value FROM usage_reports
WHERE (reported IS NULL OR reported <> value) AND (organization_id > $1 OR (organization_id = $1 AND feature > $2))
ORDER BY organization_id, feature LIMIT $3";

/// What is to be told, after an organization and feature.
pub async fn due(db: &Db, after: (&OrganizationId, &str), limit: i64) -> Result<Vec<Due>, Error> {
    let rows = db.fetch_all(DUE, args![after.0, after.1, limit]).await?;
    let due = rows.iter().map(|row| {
        Ok(Due { organization_id: row.get("organization_id")?, feature: row.get("feature")?, value: row.get("value")? })
    });
    due.collect()
}

const TOLD: &str = "UPDATE usage_reports SET reported = $3 WHERE organization_id = $1 AND feature = $2";

pub async fn told(db: &Db, told: &[&Due]) -> Result<(), Error> {
    retrying(|| async {
        let mut tx = db.begin().await?;
        for Due { organization_id, feature, value } in told {
            tx.execute(TOLD, args![organization_id, feature, value]).await?;
        }
        tx.commit().await
    })
    .await
}

const LEASE: &str = "
INSERT INTO billing_leases (name, owner, until) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until
WHERE billing_leases.owner = excluded.owner OR billing_leases.until <= $4";

/// Takes or keeps a lease; false when another process has it.
pub async fn lease(db: &Db, name: &str, owner: &str, now: i64, until: i64) -> Result<bool, Error> {
    Ok(retrying(|| async { db.execute(LEASE, args![name, owner, until, now]).await }).await? == 1)
}
