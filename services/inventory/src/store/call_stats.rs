use std::{collections::HashMap, ops::RangeInclusive};

use portolan_ids::{AccountId, CollectionId};
use portolan_store::{Bulk, Db, Error, Row, Tx, Value, args};

use crate::{
    model::calls::{Calls, Hour},
    store::{
        LIST_MAX, by_keys,
        endpoints::{json, to_json},
        with_keys,
    },
};

const SELECT: &str = "SELECT endpoint_key, hour, minutes, addresses FROM call_stats \
     WHERE account_id = $1 AND collection_id = $2 AND hour >= $3 AND hour <= $4 AND endpoint_key IN ({keys})";

/// The hours of some raw endpoints.
pub async fn list(
    db: &Db,
    account_id: AccountId,
    collection_id: CollectionId,
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
pub async fn add(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    calls: Vec<(String, Calls)>,
) -> Result<(), Error> {
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

const SELECT_ALL: &str = "SELECT endpoint_key, hour, minutes, addresses FROM call_stats \
     WHERE account_id = $1 AND collection_id = $2 AND endpoint_key IN ({keys})";

/// All calls of some raw endpoints.
pub async fn of_endpoints(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    endpoint_keys: &[&str],
) -> Result<HashMap<String, Calls>, Error> {
    let mut found: HashMap<String, Calls> = HashMap::new();
    for row in by_keys(tx, SELECT_ALL, account_id, collection_id, endpoint_keys).await? {
        let calls = found.entry(row.get("endpoint_key")?).or_default();
        calls.hours.entry(row.get("hour")?).or_default().merge(read(&row)?);
    }
    Ok(found)
}

/// Puts the calls of some raw endpoints together under one of them, without their addresses.
pub async fn join(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    endpoint_keys: &[&str],
    under: &str,
) -> Result<(), Error> {
    let mut calls = Calls::default();
    for row in by_keys(&mut *tx, SELECT_ALL, account_id, collection_id, endpoint_keys).await? {
        let hour = Hour { addresses: Default::default(), ..read(&row)? };
        calls.hours.entry(row.get("hour")?).or_default().merge(hour);
    }
    super::belongings::delete_stats(tx, account_id, collection_id, endpoint_keys).await?;
    add(tx, account_id, collection_id, vec![(under.to_owned(), calls)]).await
}

const FORGET_ADDRESSES: &str =
    "UPDATE call_stats SET addresses = '{}' WHERE account_id = $1 AND collection_id = $2 AND addresses <> '{}'";

/// Forgets who called the endpoints of a collection.
pub async fn forget_addresses(tx: &mut Tx, account_id: AccountId, collection_id: CollectionId) -> Result<(), Error> {
    tx.execute(FORGET_ADDRESSES, args![account_id, collection_id]).await.map(drop)
}

const DELETE_OLDER: &str = "DELETE FROM call_stats WHERE (account_id, collection_id, endpoint_key, hour) IN \
     (SELECT account_id, collection_id, endpoint_key, hour FROM call_stats WHERE hour < $1 LIMIT $2)";

/// Forgets some of the calls before an hour since the epoch, of every account.
pub async fn delete_older(db: &Db, hour: i64, limit: i64) -> Result<u64, Error> {
    db.execute(DELETE_OLDER, args![hour, limit]).await
}

const FORGET_OLD_ADDRESSES: &str = "UPDATE call_stats SET addresses = '{}' \
     WHERE (account_id, collection_id, endpoint_key, hour) IN \
     (SELECT account_id, collection_id, endpoint_key, hour FROM call_stats WHERE addresses <> '{}' AND hour < $1 LIMIT $2)";

/// Forgets some of the addresses that called before an hour since the epoch, of every account.
pub async fn forget_older_addresses(db: &Db, hour: i64, limit: i64) -> Result<u64, Error> {
    db.execute(FORGET_OLD_ADDRESSES, args![hour, limit]).await
}

fn read(row: &Row) -> Result<Hour, Error> {
    Ok(Hour { minutes: json(row, "minutes")?, addresses: json(row, "addresses")? })
}
