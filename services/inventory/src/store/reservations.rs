use std::collections::BTreeMap;

use portolan_ids::{AccountId, OrganizationId};
use portolan_log::Positions;
use portolan_store::{Db, Error, Tx, args, retrying};

const LOCK: &str = "INSERT INTO endpoint_reservation_locks (organization_id) VALUES ($1)
    ON CONFLICT (organization_id) DO UPDATE SET organization_id = excluded.organization_id";

/// Makes all who reserve for an organization queue until the transaction ends.
pub async fn lock(tx: &mut Tx, organization_id: &OrganizationId) -> Result<(), Error> {
    tx.execute(LOCK, args![organization_id]).await.map(drop)
}

const CURSORS: &str = "SELECT source, partition_id, next_offset FROM ingest_cursors";

const LANES: &str = "SELECT source, partition_id, lane, next_offset FROM ingest_lanes";

const LIST: &str =
    "SELECT reservation_id, account_id, endpoints, until_at, source, positions FROM endpoint_reservations
    WHERE organization_id = $1";

const DELETE: &str = "DELETE FROM endpoint_reservations WHERE reservation_id = $1";

/// Endpoints that others have reserved.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held {
    /// All that the inventory may not have yet.
    pub all: i64,
    /// Those of them of which nobody knows yet where their records lie: the inventory may have counted them already.
    pub open: i64,
}

/// Endpoints that others have reserved and the inventory has not got yet. Reservations that hold nothing any longer,
/// and an earlier one of the same id, are removed. The caller reads the endpoints of the inventory after this: ingest
/// moves on and counts in one transaction, so what it does in between counts twice for a moment and is never missed.
pub async fn held(tx: &mut Tx, organization_id: &OrganizationId, own_id: &str, now: i64) -> Result<Held, Error> {
    let mut next: BTreeMap<(String, i64), i64> = BTreeMap::new();
    for row in tx.fetch_all(CURSORS, args![]).await? {
        next.insert((row.get("source")?, row.get("partition_id")?), row.get("next_offset")?);
    }
    let mut ahead: BTreeMap<(String, i64, i64), i64> = BTreeMap::new();
    for row in tx.fetch_all(LANES, args![]).await? {
        ahead.insert((row.get("source")?, row.get("partition_id")?, row.get("lane")?), row.get("next_offset")?);
    }
    let mut held = Held::default();
    for row in tx.fetch_all(LIST, args![organization_id]).await? {
        let (id, source): (String, String) = (row.get("reservation_id")?, row.get("source")?);
        let positions: String = row.get("positions")?;
        let is_held = if positions.is_empty() {
            row.get::<i64>("until_at")? > now
        } else {
            let lane = row.get("account_id")?;
            let read = |partition: i64| {
                let ahead = ahead.get(&(source.clone(), partition, lane));
                next.get(&(source.clone(), partition)).max(ahead).copied().unwrap_or_default()
            };
            // Positions that cannot be read are those of a reservation that nobody can settle: it ends.
            serde_json::from_str::<Positions>(&positions)
                .is_ok_and(|positions| positions.iter().any(|(partition, offset)| read(*partition) < *offset))
        };
        if is_held && id != own_id {
            let endpoints: i64 = row.get("endpoints")?;
            held.all += endpoints;
            held.open += if positions.is_empty() { endpoints } else { 0 };
        } else {
            tx.execute(DELETE, args![&id]).await?;
        }
    }
    Ok(held)
}

const INSERT: &str =
    "INSERT INTO endpoint_reservations (reservation_id, organization_id, account_id, endpoints, until_at)
    VALUES ($1, $2, $3, $4, $5)";

/// Holds endpoints of a plan for an account.
pub async fn insert(
    tx: &mut Tx,
    id: &str,
    (organization_id, account_id): (&OrganizationId, AccountId),
    endpoints: i64,
    until: i64,
) -> Result<(), Error> {
    tx.execute(INSERT, args![id, organization_id, account_id, endpoints, until]).await.map(drop)
}

const SETTLE: &str = "UPDATE endpoint_reservations SET source = $2, positions = $3 WHERE reservation_id = $1";

/// Holds a reservation until ingest has read as far as these positions.
pub async fn settle(db: &Db, id: &str, source: &str, positions: &Positions) -> Result<(), Error> {
    let positions = serde_json::to_string(positions).map_err(|error| Error::Inconsistency(error.to_string()))?;
    retrying(|| async { db.execute(SETTLE, args![id, source, &positions]).await }).await.map(drop)
}

/// Gives a reservation up.
pub async fn delete(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tx.execute(DELETE, args![id]).await.map(drop)
}

const USED: &str = "SELECT cast(coalesce(sum(used), 0) as bigint) AS used FROM collection_usage
    WHERE account_id = $1 AND feature = $2";

/// What an account uses of a feature at this moment.
pub async fn used(tx: &mut Tx, account_id: AccountId, feature: &str) -> Result<i64, Error> {
    tx.fetch_one(USED, args![account_id, feature]).await?.get("used")
}
