use std::collections::HashMap;
use std::ops::RangeInclusive;

use portolan_store::{Bulk, Db, Error, Row, Tx, Value, args};

use super::endpoints::{json, to_json};
use super::{LIST_MAX, with_keys};
use crate::statistics::{Calls, Hour};

const SELECT: &str = "SELECT endpoint_key, hour, minutes, addresses FROM call_stats \
     WHERE account_id = $1 AND collection_id = $2 AND hour >= $3 AND hour <= $4 AND endpoint_key IN ({keys})";

/// The hours of some raw endpoints.
pub async fn list(
    db: &Db,
    account_id: i64,
    collection_id: i32,
    endpoint_keys: &[&str],
    hours: RangeInclusive<i64>,
) -> Result<Vec<(i64, Hour)>, Error> {
    let mut found = Vec::new();
    for keys in endpoint_keys.chunks(LIST_MAX) {
        let (sql, keys) = with_keys(SELECT, 5, keys);
        let mut arguments = args![account_id, collection_id, *hours.start(), *hours.end()];
        arguments.extend(keys);
        for row in db.fetch_all(sql, arguments).await? {
            found.push((row.get("hour")?, read(&row)?));
        }
    }
    Ok(found)
}

static SAVE: Bulk<6> = Bulk::new(
    "INSERT INTO call_stats (account_id, collection_id, endpoint_key, hour, minutes, addresses)",
    "ON CONFLICT (account_id, collection_id, endpoint_key, hour) DO UPDATE SET minutes = excluded.minutes, \
     addresses = excluded.addresses",
);

/// Adds calls to what is stored. The transaction holds the collection.
pub async fn add(tx: &mut Tx, account_id: i64, collection_id: i32, calls: Vec<(String, Calls)>) -> Result<(), Error> {
    let hours = || calls.iter().flat_map(|(_, calls)| calls.hours.keys().copied());
    let Some((first, last)) = hours().min().zip(hours().max()) else { return Ok(()) };
    let keys: Vec<&str> = calls.iter().map(|(key, _)| key.as_str()).collect();
    let mut known: HashMap<(String, i64), Hour> = HashMap::new();
    for keys in keys.chunks(LIST_MAX) {
        let (sql, keys) = with_keys(SELECT, 5, keys);
        let mut arguments = args![account_id, collection_id, first, last];
        arguments.extend(keys);
        for row in tx.fetch_all(sql, arguments).await? {
            known.insert((row.get("endpoint_key")?, row.get("hour")?), read(&row)?);
        }
    }
    let mut rows: Vec<[Value; 6]> = Vec::new();
    for (key, calls) in calls {
        for (hour, calls) in calls.hours {
            let mut sum = known.remove(&(key.clone(), hour)).unwrap_or_default();
            sum.merge(calls);
            rows.push([
                account_id.into(),
                collection_id.into(),
                (&key).into(),
                hour.into(),
                to_json(&sum.minutes)?.into(),
                to_json(&sum.addresses)?.into(),
            ]);
        }
    }
    tx.bulk(&SAVE, rows).await.map(drop)
}

const DELETE: &str = "DELETE FROM call_stats WHERE account_id = $1 AND collection_id = $2 AND endpoint_key IN ({keys})";

pub async fn delete(tx: &mut Tx, account_id: i64, collection_id: i32, keys: &[&str]) -> Result<(), Error> {
    super::delete_by_keys(tx, DELETE, account_id, collection_id, keys).await
}

fn read(row: &Row) -> Result<Hour, Error> {
    Ok(Hour { minutes: json(row, "minutes")?, addresses: json(row, "addresses")? })
}
