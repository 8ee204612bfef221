//! Months that leave the database. Their events are in a file before they are removed, and the anchor of the chain, what
//! the first event that stays follows, is under the seal of its head.

use std::path::{Path, PathBuf};

use portolan_api::{Error, Result};
use portolan_ids::AccountId;
use portolan_store::Db;
use serde_json::json;
use time::{Date, Month, OffsetDateTime};

use super::{
    chain::{extend, moved},
    file::Writer,
    keys::AuditKeys,
    verify::Walk,
};
use crate::{
    clock::now_ms,
    model::audit::{Event, Head, SealedHead},
    store::audit as store,
};

const PAGE: i64 = 500;
const EXPORT: &str = "audit.export";
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// A month of a chain that is in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Whose events have left.
    pub account_id: AccountId,
    /// As `2026-01`, in UTC.
    pub month: String,
    /// How many have left.
    pub events: i64,
    /// The file that they are in.
    pub path: PathBuf,
}

/// From when on events stay that are kept for so many days, in Unix milliseconds.
pub fn kept_from_ms(keep_days: u32) -> i64 {
    now_ms() - i64::from(keep_days) * DAY_MS
}

/// The first moment of a month such as `2026-01`, UTC, in Unix milliseconds.
pub fn month_start_ms(month: &str) -> Option<i64> {
    let (year, month) = month.split_once('-')?;
    let month = Month::try_from(month.parse::<u8>().ok()?).ok()?;
    start_ms(Date::from_calendar_date(year.parse().ok()?, month, 1).ok()?)
}

fn start_ms(day: Date) -> Option<i64> {
    day.midnight().assume_utc().unix_timestamp().checked_mul(1_000)
}

/// The month of a moment, and the moment at which it ends. What no calendar has is in no month, and stays.
fn month_of(time_ms: i64) -> Option<(String, i64)> {
    let day = OffsetDateTime::from_unix_timestamp(time_ms.div_euclid(1_000)).ok()?.date();
    let first = day.replace_day(1).ok()?;
    let next = (first + time::Duration::days(31)).replace_day(1).ok()?;
    Some((format!("{:04}-{:02}", first.year(), u8::from(first.month())), start_ms(next)?))
}

/// Exports the months that ended before this moment, of every chain but the registry, and removes them. A chain that does
/// not hold stays as it is.
///
/// # Errors
/// Any of the store; when a file cannot be written, with nothing of it removed.
pub async fn export(db: &Db, keys: &AuditKeys, directory: &Path, before_ms: i64) -> Result<Vec<Exported>> {
    let mut tx = db.begin_read().await?;
    let heads = store::list_heads(&mut tx).await?;
    tx.rollback().await?;
    let mut all = Vec::new();
    for SealedHead { head, .. } in heads.into_iter().filter(|sealed| sealed.head.account_id > AccountId(0)) {
        while let Some(exported) = export_month(db, keys, directory, head.account_id, before_ms).await? {
            all.push(exported);
        }
    }
    Ok(all)
}

/// Exports the oldest month of a chain; nothing when it stays.
async fn export_month(
    db: &Db,
    keys: &AuditKeys,
    directory: &Path,
    account_id: AccountId,
    before_ms: i64,
) -> Result<Option<Exported>> {
    let failed = |error: std::io::Error| Error::internal(format!("{}: {error}", directory.display()));
    let mut tx = db.begin_read().await?;
    let Some(sealed) = store::find_head(&mut tx, account_id).await? else { return Ok(None) };
    let head = &sealed.head;
    let first = store::after(&mut tx, account_id, head.anchor_seq, 1).await?.pop();
    let month = first.and_then(|first| month_of(first.time_ms));
    let Some((month, end_ms)) = month.filter(|(_, end_ms)| *end_ms <= before_ms) else {
        tx.rollback().await?;
        return Ok(None);
    };
    let until = store::first_since(&mut tx, account_id, head.anchor_seq, end_ms).await?.unwrap_or(i64::MAX);
    let is_intact = keys.find(&sealed.key_id).is_some_and(|key| sealed.is_intact(&key));
    let mut walk = Walk::new(keys, head);
    let mut writer = Writer::create(directory, head, &month).map_err(failed)?;
    let mut broken = (!is_intact).then_some(head.seq);
    'pages: loop {
        let page = store::after(&mut tx, account_id, walk.seq(), PAGE).await?;
        if page.is_empty() {
            break;
        }
        for entry in page {
            if entry.seq >= until {
                break 'pages;
            }
            if let Err((seq, _)) = walk.step(&entry, &[]) {
                broken = Some(seq);
                break 'pages;
            }
            writer.write(&entry).map_err(failed)?;
        }
    }
    tx.rollback().await?;
    if let Some(seq) = broken {
        tracing::error!(
            account_id = account_id.get(),
            seq,
            "the audit does not hold, so nothing of it leaves: see `portolan audit verify`"
        );
        return Ok(None);
    }
    let (end_seq, end_hash) = walk.into_place();
    let path = writer.finish(keys, end_seq, &end_hash).map_err(failed)?;
    let events = end_seq - head.anchor_seq;
    let exported = Exported { account_id, month, events, path };
    let anchor = Head { anchor_seq: end_seq, anchor_hash: end_hash, ..head.clone() };
    Ok(remove(db, keys, head.anchor_seq, &anchor, &exported).await?.then_some(exported))
}

/// Removes what is in a file, and puts the anchor behind it; false when another process was faster.
async fn remove(db: &Db, keys: &AuditKeys, from_seq: i64, anchor: &Head, exported: &Exported) -> Result<bool> {
    let account_id = anchor.account_id;
    let mut tx = db.begin().await?;
    let sealed = store::lock_head(&mut tx, account_id).await?.filter(|sealed| sealed.head.anchor_seq == from_seq);
    let Some(sealed) = sealed else {
        tx.rollback().await?;
        return Ok(false);
    };
    let (anchor_seq, anchor_hash) = (anchor.anchor_seq, anchor.anchor_hash.clone());
    store::delete_until(&mut tx, account_id, anchor_seq).await?;
    let head = Head { anchor_seq, anchor_hash, ..sealed.head.clone() };
    let name = exported.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let event = Event {
        event_id: uuid::Uuid::now_v7().to_string(),
        account_id,
        action: EXPORT.to_owned(),
        outcome: "DONE".to_owned(),
        resource: "audit".to_owned(),
        resource_id: exported.month.clone(),
        after: json!({ "file": name, "events": exported.events, "lastSequence": anchor_seq }).to_string(),
        time_ms: now_ms(),
        count: 1,
        ..Event::default()
    };
    let sealed = moved(keys, sealed, head)?;
    extend(keys, &mut tx, sealed, vec![event]).await?;
    tx.commit().await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_those_of_the_calendar() {
        for (time_ms, month, next) in [
            (1_767_225_599_999, "2025-12", "2026-01"),
            (1_767_225_600_000, "2026-01", "2026-02"),
            (1_709_164_800_000, "2024-02", "2024-03"),
            (0, "1970-01", "1970-02"),
        ] {
            assert_eq!(month_of(time_ms), Some((month.to_owned(), month_start_ms(next).unwrap())), "{time_ms}");
        }
        assert_eq!(month_of(i64::MAX), None);
        for wrong in ["2026", "2026-13", "2026-00", "-01", "x-01"] {
            assert_eq!(month_start_ms(wrong), None, "{wrong}");
        }
    }
}
