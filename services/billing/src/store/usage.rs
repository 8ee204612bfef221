use std::collections::HashSet;

use portolan_ids::{AccountId, OrganizationId};
use portolan_store::{Bulk, Db, Error, Row, Tx, Value, args, retrying};

use crate::model::{
    features,
    refresh::Difference,
    usage::{self, Changes, Count, Event, EventKey, FeatureTotal, Recounted, Totals, Window},
    windows::Grain,
};

static INSERT_EVENTS: Bulk<5> = Bulk::new(
    "INSERT INTO usage_events (account_id, event_key, feature, value, time)",
    "ON CONFLICT DO NOTHING RETURNING account_id, event_key",
);

/// Claims the events and adds the new ones to the sums, in one transaction; answers the new ones.
pub async fn record(
    db: &Db,
    events: &[Event],
    distinct: &[usize],
    now: i64,
) -> Result<HashSet<(AccountId, EventKey)>, Error> {
    retrying(|| async {
        let mut tx = db.begin().await?;
        let rows = distinct.iter().map(|index| {
            let event = &events[*index];
            let key = Value::from(&event.key[..]);
            [event.account_id.into(), key, (&event.feature).into(), event.value.into(), event.time.into()]
        });
        let claimed = tx.bulk_returning(&INSERT_EVENTS, rows).await?;
        let claimed = claimed.iter().map(event_id).collect::<Result<HashSet<_>, _>>()?;
        db.fault("usage.claimed").await?;
        let new = distinct.iter().map(|index| &events[*index]).filter(|e| claimed.contains(&(e.account_id, e.key)));
        apply(&mut tx, &usage::changes(new), now).await?;
        tx.commit().await?;
        Ok(claimed)
    })
    .await
}

const LAST_OF_PAGE: &str = "
SELECT account_id, event_key FROM usage_events WHERE account_id > $1 OR (account_id = $1 AND event_key > $2)
ORDER BY account_id, event_key LIMIT 1 OFFSET $3";

const FORGET: &str = "
DELETE FROM usage_events WHERE time < $3 AND (account_id > $1 OR (account_id = $1 AND event_key > $2))";

const FORGET_PAGE: &str = "
DELETE FROM usage_events WHERE time < $3 AND (account_id > $1 OR (account_id = $1 AND event_key > $2))
    AND (account_id < $4 OR (account_id = $4 AND event_key <= $5))";

/// Forgets the events of one page of keys that happened before a moment; answers where the next page begins. The walk
/// along the keys needs no index that every event would have to be written to.
pub async fn forget(
    db: &Db,
    after: (AccountId, Vec<u8>),
    before: i64,
    page: i64,
) -> Result<Option<(AccountId, Vec<u8>)>, Error> {
    retrying(|| async {
        let key = Value::from(&after.1[..]);
        let Some(last) = db.fetch_optional(LAST_OF_PAGE, args![after.0, key.clone(), page - 1]).await? else {
            db.execute(FORGET, args![after.0, key, before]).await?;
            return Ok(None);
        };
        let last: (AccountId, Vec<u8>) = (last.get("account_id")?, last.get("event_key")?);
        db.execute(FORGET_PAGE, args![after.0, key, before, last.0, Value::from(&last.1[..])]).await?;
        Ok(Some(last))
    })
    .await
}

const NEXT_ACCOUNT: &str = "SELECT account_id FROM usage_buckets WHERE account_id > $1 ORDER BY account_id LIMIT 1";

/// The first account after this one of which anything is counted.
pub async fn next_account(db: &Db, after: i64) -> Result<Option<AccountId>, Error> {
    db.fetch_optional(NEXT_ACCOUNT, args![after]).await?.map(|row| row.get("account_id")).transpose()
}

/// By the features of the account, so that the primary key leads to the oldest windows of each.
const FORGET_WINDOWS: &str = "
DELETE FROM usage_buckets WHERE account_id = $1 AND grain = $2 AND (feature, start_at) IN (
    SELECT feature, start_at FROM usage_buckets WHERE account_id = $1 AND grain = $2 AND start_at < $3
        AND feature IN (SELECT feature FROM usage_buckets WHERE account_id = $1 AND grain = 'TOTAL') LIMIT $4)";

/// Forgets some of an account's windows that began before a moment, and returns how many.
pub async fn forget_windows(
    db: &Db,
    account_id: AccountId,
    grain: Grain,
    before: i64,
    limit: i64,
) -> Result<u64, Error> {
    retrying(|| db.execute(FORGET_WINDOWS, args![account_id, grain.name(), before, limit])).await
}

fn event_id(row: &Row) -> Result<(AccountId, EventKey), Error> {
    let key: Vec<u8> = row.get("event_key")?;
    let key = key.try_into().map_err(|_| Error::Inconsistency("an event key has not 16 bytes".into()))?;
    Ok((row.get("account_id")?, key))
}

static ADD_TO_BUCKETS: Bulk<7> = Bulk::new(
    "INSERT INTO usage_buckets (account_id, feature, grain, start_at, value, events, recorded_at)",
    "ON CONFLICT (account_id, grain, feature, start_at) DO UPDATE SET value = usage_buckets.value + excluded.value,
     events = usage_buckets.events + excluded.events,
     recorded_at = CASE WHEN usage_buckets.recorded_at > excluded.recorded_at THEN usage_buckets.recorded_at
     ELSE excluded.recorded_at END",
);

async fn apply(tx: &mut Tx, changes: &Changes<'_>, now: i64) -> Result<(), Error> {
    let rows = changes.iter().map(|((account_id, grain, feature, start), change)| {
        let (feature, grain) = (Value::from(*feature), Value::from(grain.name()));
        [account_id.into(), feature, grain, start.into(), change.value.into(), change.events.into(), now.into()]
    });
    tx.bulk(&ADD_TO_BUCKETS, rows).await.map(drop)
}

const RAISE_VERSION: &str = "
INSERT INTO usage_versions (account_id, feature, version) VALUES ($1, $2, $3)
ON CONFLICT (account_id, feature) DO UPDATE SET version = excluded.version
WHERE usage_versions.version < excluded.version";

const GET_TOTAL: &str =
    "SELECT value FROM usage_buckets WHERE account_id = $1 AND grain = 'TOTAL' AND feature = $2 AND start_at = 0";

/// Sets the totals whose version is higher than the known one; the windows of now get the differences.
pub async fn report(db: &Db, counts: &[Count], now: i64) -> Result<(), Error> {
    retrying(|| async {
        let mut tx = db.begin().await?;
        for count in counts {
            // The row stays locked to the end, so the total read next is the one that the difference refers to.
            let args = args![count.account_id, &count.feature, count.version];
            if tx.execute(RAISE_VERSION, args).await? == 1 {
                set_total(&mut tx, count, now).await?;
            }
        }
        db.fault("usage.reported").await?;
        tx.commit().await
    })
    .await
}

async fn set_total(tx: &mut Tx, count: &Count, now: i64) -> Result<(), Error> {
    let total = get_total(tx, count.account_id, &count.feature).await?;
    let mut changes = Changes::new();
    usage::add(&mut changes, count.account_id, &count.feature, count.count - total, now);
    apply(tx, &changes, now).await
}

async fn get_total(tx: &mut Tx, account_id: AccountId, feature: &str) -> Result<i64, Error> {
    let row = tx.fetch_optional(GET_TOTAL, args![account_id, feature]).await?;
    row.map_or(Ok(0), |row| row.get("value"))
}

const LOCK_VERSION: &str = "
INSERT INTO usage_versions (account_id, feature, version) VALUES ($1, $2, -1)
ON CONFLICT (account_id, feature) DO UPDATE SET version = usage_versions.version RETURNING version";

/// Sets the total to a new count, and returns what it differed from: the owner's own count, or what was recorded here
/// under the same version.
pub async fn reconcile(tx: &mut Tx, recounted: &Recounted, now: i64) -> Result<Option<Difference>, Error> {
    let Recounted { account_id, feature, kept, counted, settled_version, count, version } = recounted;
    let known: i64 = tx.fetch_one(LOCK_VERSION, args![account_id, feature]).await?.get("version")?;
    let total = get_total(tx, *account_id, feature).await?;
    // Either may be wrong: what the owner kept, and, when it had all arrived, what is recorded of it here.
    let is_wrong_here = *settled_version == Some(known) && total != *counted;
    let recorded = if is_wrong_here { total } else { *kept };
    if known < *version {
        tx.execute(RAISE_VERSION, args![account_id, feature, version]).await?;
        if total != *count {
            let count = Count { account_id: *account_id, feature: feature.clone(), count: *count, version: 0 };
            set_total(tx, &count, now).await?;
        }
    }
    let differs = recorded != *counted;
    let (account_id, feature, counted) = (*account_id, feature.clone(), *counted);
    Ok(differs.then_some(Difference { account_id, feature, recorded, counted }))
}

const ORGANIZATION_TOTALS: &str = "
SELECT b.feature AS feature, b.grain AS grain, cast(sum(b.value) as bigint) AS value
FROM billing_accounts a JOIN usage_buckets b ON b.account_id = a.account_id
WHERE a.organization_id = $1
    AND ((b.grain = 'TOTAL' AND b.start_at = 0) OR (b.grain = 'MONTH' AND b.start_at = $2))
GROUP BY b.feature, b.grain";

/// What all accounts of an organization use: what exists now, and what happened in the month of `now`.
pub async fn totals(db: &Db, organization_id: &OrganizationId, now: i64) -> Result<Totals, Error> {
    let mut totals = Totals::default();
    for row in db.fetch_all(ORGANIZATION_TOTALS, args![organization_id, Grain::Month.start(now)]).await? {
        let (feature, grain): (String, String) = (row.get("feature")?, row.get("grain")?);
        if is_present(&feature, &grain) {
            totals.set(&feature, row.get("value")?);
        }
    }
    Ok(totals)
}

const ACCOUNT_TOTALS: &str = "
SELECT feature, grain, value, recorded_at FROM usage_buckets
WHERE account_id = $1 AND ((grain = 'TOTAL' AND start_at = 0) OR (grain = 'MONTH' AND start_at = $2))
ORDER BY feature";

/// What an account uses, by feature.
pub async fn account_totals(db: &Db, account_id: AccountId, now: i64) -> Result<Vec<FeatureTotal>, Error> {
    let mut totals = Vec::new();
    for row in db.fetch_all(ACCOUNT_TOTALS, args![account_id, Grain::Month.start(now)]).await? {
        let (feature, grain): (String, String) = (row.get("feature")?, row.get("grain")?);
        if is_present(&feature, &grain) {
            totals.push(FeatureTotal { feature, usage: row.get("value")?, recorded_at: row.get("recorded_at")? });
        }
    }
    Ok(totals)
}

fn is_present(feature: &str, grain: &str) -> bool {
    features::is_standing(feature) == (grain == Grain::Total.name())
}

/// Which windows are asked for.
pub struct WindowQuery<'q> {
    pub account_id: AccountId,
    pub grain: Grain,
    /// `None` for every feature.
    pub feature: Option<&'q str>,
    pub start: i64,
    pub end: i64,
    /// Feature and beginning of the last window of the page before.
    pub after: (&'q str, i64),
    pub limit: i64,
}

const WINDOWS_OF_FEATURE: &str = "
SELECT feature, start_at, value, events FROM usage_buckets
WHERE account_id = $1 AND grain = $2 AND feature = $3 AND start_at >= $4 AND start_at < $5 AND start_at > $6
ORDER BY start_at LIMIT $7";

const WINDOWS: &str = "
SELECT feature, start_at, value, events FROM usage_buckets
WHERE account_id = $1 AND grain = $2 AND start_at >= $3 AND start_at < $4
    AND (feature > $5 OR (feature = $5 AND start_at > $6))
ORDER BY feature, start_at LIMIT $7";

/// Windows by feature and time.
pub async fn windows(db: &Db, query: &WindowQuery<'_>) -> Result<Vec<Window>, Error> {
    let WindowQuery { account_id, grain, feature, start, end, after, limit } = query;
    let rows = match feature {
        Some(feature) => {
            let after = if after.0.is_empty() { i64::MIN } else { after.1 };
            let args = args![account_id, grain.name(), *feature, start, end, after, limit];
            db.fetch_all(WINDOWS_OF_FEATURE, args).await?
        }
        None => db.fetch_all(WINDOWS, args![account_id, grain.name(), start, end, after.0, after.1, limit]).await?,
    };
    let window = |row: &Row| {
        Ok(Window {
            feature: row.get("feature")?,
            start: row.get("start_at")?,
            value: row.get("value")?,
            events: row.get("events")?,
        })
    };
    rows.iter().map(window).collect()
}
