//! The endpoints as one row each, and the feed of their changes, which the edge follows.
//!
//! # Invariants
//! - A row is there, and not removed, exactly when a raw URL of its effective URL is proven.
//! - Versions become visible in their order: who read version n has missed nothing below n.

use std::collections::BTreeMap;

use portolan_ids::{AccountId, CollectionId};
use portolan_runtime::now_s;
use portolan_store::Tx;

use crate::{
    Deps, Error,
    model::feed::{EdgeEndpoint, EndpointChange, TakenOver},
    store::feed,
};

/// Changes of one answer where the request names no number.
const PAGE_DEFAULT: i64 = 1_000;

/// Changes of one answer at most.
const PAGE_MAX: i64 = 10_000;

/// Bytes of the URLs of one answer, unless one alone has more. Readers take messages of 4 MiB.
const PAGE_BYTES_MAX: usize = 2 << 20;

/// Changes that are read from the store at once.
const ROWS: i64 = 500;

/// Brings the rows of these effective URLs up to date with the raw rows; `taken_over` is what some of them take over. The
/// transaction holds the collection, and takes no other lock after this.
pub async fn refresh(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    url_keys: &[&str],
    taken_over: &BTreeMap<String, TakenOver>,
) -> Result<(), Error> {
    let shown = feed::shown(tx, account_id, collection_id, url_keys).await?;
    let mut known = feed::known(tx, account_id, collection_id, url_keys).await?;
    let mut changes = Vec::new();
    for (url_key, shown) in shown {
        let row = known.remove(&url_key);
        let taken_over = taken_over.get(&url_key).copied().unwrap_or_default();
        if taken_over != TakenOver::default() || row.as_ref().is_none_or(|row| row.removed || row.shown != shown) {
            let endpoint_id = row.map(|row| row.endpoint_id);
            changes.push(EndpointChange { url_key, endpoint_id, shown, removed: false, taken_over });
        }
    }
    let mut gone: Vec<_> = known.into_iter().filter(|(_, row)| !row.removed).collect();
    gone.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    changes.extend(gone.into_iter().map(|(url_key, row)| EndpointChange {
        url_key,
        endpoint_id: Some(row.endpoint_id),
        shown: row.shown,
        removed: true,
        taken_over: TakenOver::default(),
    }));
    if changes.is_empty() {
        return Ok(());
    }
    let count = i64::try_from(changes.len()).unwrap_or(i64::MAX);
    let first = feed::reserve_versions(tx, count).await?;
    Ok(feed::save(tx, account_id, collection_id, &changes, first, now_s()).await?)
}

/// Removes all endpoints of deleted collections. The transaction holds the collections, and takes no other lock after
/// this.
pub async fn remove_collections(
    tx: &mut Tx,
    account_id: AccountId,
    collection_ids: &[CollectionId],
) -> Result<(), Error> {
    for id in collection_ids {
        if let Some((low, high)) = feed::id_range(tx, account_id, *id).await? {
            let first = feed::reserve_versions(tx, high - low + 1).await?;
            feed::remove_all(tx, account_id, *id, first - low, now_s()).await?;
        }
    }
    Ok(())
}

/// Tells the edge of all endpoints of these collections again, whose own state changed. The transaction holds the
/// collections, and takes no other lock after this.
pub async fn touch_collections(
    tx: &mut Tx,
    account_id: AccountId,
    collection_ids: &[CollectionId],
) -> Result<(), Error> {
    for id in collection_ids {
        if let Some((low, high)) = feed::id_range(tx, account_id, *id).await? {
            let first = feed::reserve_versions(tx, high - low + 1).await?;
            feed::touch_all(tx, account_id, *id, first - low).await?;
        }
    }
    Ok(())
}

/// What changed after a version, and whether that is all. A page ends where its number or its bytes are enough, so that
/// no account's endpoints make one that cannot be read.
pub async fn changes(deps: &Deps, after_version: i64, page_size: i32) -> Result<(Vec<EdgeEndpoint>, bool), Error> {
    let limit = match i64::from(page_size) {
        size if size <= 0 => PAGE_DEFAULT,
        size => size.min(PAGE_MAX),
    };
    let mut changes: Vec<EdgeEndpoint> = Vec::new();
    let (mut after, mut left, mut bytes) = (after_version, limit, 0);
    loop {
        let rows = feed::changes(&deps.db, after, left.min(ROWS) + 1).await?;
        let is_last = i64::try_from(rows.len()).is_ok_and(|count| count <= left.min(ROWS));
        for change in rows.into_iter().take(usize::try_from(left.min(ROWS)).unwrap_or(usize::MAX)) {
            bytes += change.url.len() + change.host_name.as_ref().map_or(0, String::len);
            if bytes > PAGE_BYTES_MAX && !changes.is_empty() {
                return Ok((changes, false));
            }
            after = change.version;
            left -= 1;
            changes.push(change);
        }
        if is_last || left == 0 {
            return Ok((changes, is_last));
        }
    }
}
