//! The endpoints as one row each, and the feed of their changes, which the edge follows.
//!
//! # Invariants
//! - A row is there, and not removed, exactly when a raw URL of its effective URL is proven.
//! - Versions become visible in their order: who read version n has missed nothing below n.

use portolan_engine::template::SplitUrl;
use portolan_store::Tx;

use crate::store::api_endpoints::{self, Shown};
use crate::{Deps, Error};
use portolan_runtime::now_s;

/// Changes of one answer where the request names no number.
const PAGE_DEFAULT: i64 = 1_000;
/// Changes of one answer at most.
const PAGE_MAX: i64 = 10_000;

/// What became of one effective URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub url_key: String,
    /// Nothing for an endpoint that was never there.
    pub endpoint_id: Option<i64>,
    pub shown: Shown,
    pub removed: bool,
}

/// The state of an endpoint at its last change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeEndpoint {
    pub version: i64,
    pub endpoint_id: i64,
    pub account_id: i64,
    pub collection_id: i32,
    /// Of the collection.
    pub host_name: Option<String>,
    pub method: String,
    pub url: String,
    pub active: bool,
    pub removed: bool,
}

impl EdgeEndpoint {
    /// Host in lower case and path; the host is empty when none is known.
    pub fn host_and_path(&self) -> (String, String) {
        if self.removed {
            return (String::new(), String::new());
        }
        let origin = SplitUrl::new(&self.url).origin;
        let path = &self.url[origin.len()..];
        let authority = origin.split_once("//").map_or("", |(_, authority)| authority);
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let host = match (&self.host_name, authority) {
            (Some(host), "") => host,
            (_, authority) => authority,
        };
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        (host.to_lowercase(), path)
    }
}

/// Brings the rows of these effective URLs up to date with the raw rows. The transaction holds the collection, and takes
/// no other lock after this.
pub async fn refresh(tx: &mut Tx, account_id: i64, collection_id: i32, url_keys: &[&str]) -> Result<(), Error> {
    let shown = api_endpoints::shown(tx, account_id, collection_id, url_keys).await?;
    let mut known = api_endpoints::known(tx, account_id, collection_id, url_keys).await?;
    let mut changes = Vec::new();
    for (url_key, shown) in shown {
        let row = known.remove(&url_key);
        if row.as_ref().is_none_or(|row| row.removed || row.shown != shown) {
            changes.push(Change { url_key, endpoint_id: row.map(|row| row.endpoint_id), shown, removed: false });
        }
    }
    let mut gone: Vec<_> = known.into_iter().filter(|(_, row)| !row.removed).collect();
    gone.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    changes.extend(gone.into_iter().map(|(url_key, row)| Change {
        url_key,
        endpoint_id: Some(row.endpoint_id),
        shown: row.shown,
        removed: true,
    }));
    if changes.is_empty() {
        return Ok(());
    }
    let count = i64::try_from(changes.len()).unwrap_or(i64::MAX);
    let first = api_endpoints::reserve_versions(tx, count).await?;
    Ok(api_endpoints::save(tx, account_id, collection_id, &changes, first, now_s()).await?)
}

/// Removes all endpoints of deleted collections. The transaction holds the collections, and takes no other lock after
/// this.
pub async fn remove_collections(tx: &mut Tx, account_id: i64, collection_ids: &[i32]) -> Result<(), Error> {
    for id in collection_ids {
        if let Some((low, high)) = api_endpoints::id_range(tx, account_id, *id).await? {
            let first = api_endpoints::reserve_versions(tx, high - low + 1).await?;
            api_endpoints::remove_all(tx, account_id, *id, first - low, now_s()).await?;
        }
    }
    Ok(())
}

/// Tells the edge of all endpoints of these collections again, whose own state changed. The transaction holds the
/// collections, and takes no other lock after this.
pub async fn touch_collections(tx: &mut Tx, account_id: i64, collection_ids: &[i32]) -> Result<(), Error> {
    for id in collection_ids {
        if let Some((low, high)) = api_endpoints::id_range(tx, account_id, *id).await? {
            let first = api_endpoints::reserve_versions(tx, high - low + 1).await?;
            api_endpoints::touch_all(tx, account_id, *id, first - low).await?;
        }
    }
    Ok(())
}

/// What changed after a version, and whether that is all.
pub async fn changes(deps: &Deps, after_version: i64, page_size: i32) -> Result<(Vec<EdgeEndpoint>, bool), Error> {
    let limit = match i64::from(page_size) {
        size if size <= 0 => PAGE_DEFAULT,
        size => size.min(PAGE_MAX),
    };
    let mut changes = api_endpoints::changes(&deps.db, after_version, limit + 1).await?;
    let complete = i64::try_from(changes.len()).is_ok_and(|count| count <= limit);
    changes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok((changes, complete))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_path_come_from_the_url_or_the_collection() {
        let of = |host: Option<&str>, url: &str| {
            EdgeEndpoint {
                version: 1,
                endpoint_id: 1,
                account_id: 1,
                collection_id: 1,
                host_name: host.map(str::to_owned),
                method: "GET".into(),
                url: url.into(),
                active: true,
                removed: false,
            }
            .host_and_path()
        };
        assert_eq!(
            of(None, "https://API.example.com:8443/a/INTEGER"),
            ("api.example.com:8443".into(), "/a/INTEGER".into())
        );
        assert_eq!(of(Some("h.example.com"), "/a"), ("h.example.com".into(), "/a".into()));
        assert_eq!(of(None, "/a"), (String::new(), "/a".into()));
        assert_eq!(of(None, "https://api.example.com"), ("api.example.com".into(), "/".into()));
    }
}
