//! What testers report: when an endpoint was tested and what they found.

use std::collections::BTreeMap;

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_ids::CollectionId;
use portolan_runtime::now_s;
use portolan_store::retrying;

use crate::{
    Deps, Error, access,
    model::{
        collections::NO_COLLECTION,
        endpoints::EndpointId,
        issues::{Open, Report, Severities, fault},
    },
    store,
    view::View,
};

/// Reports of one request.
const REPORTS_MAX: usize = 1_000;

/// A test counts as current for this long.
const CURRENT_S: i64 = 30 * 24 * 3_600;

/// Takes reports; answers which were refused and why.
///
/// # Errors
/// `LIST_TOO_LONG`.
pub async fn take(deps: &Deps, caller: &Caller, reports: Vec<Report>) -> Result<Vec<(usize, &'static str)>, Error> {
    if reports.len() > REPORTS_MAX {
        let error = portolan_api::Error::new(Reason::ListTooLong);
        return Err(error.with("member", "issues").with("limit", REPORTS_MAX).into());
    }
    let view = View::of(deps, caller).await?;
    let now = now_s();
    retrying(|| async {
        let mut rejected = Vec::new();
        let mut tx = deps.db.begin().await?;
        for (index, report) in reports.iter().enumerate() {
            let mut report = report.clone();
            if report.status.is_empty() {
                report.status = "OPEN".to_owned();
            }
            if report.tested_at <= 0 || report.tested_at > now {
                report.tested_at = now;
            }
            if let Some(reason) = fault(&report) {
                rejected.push((index, reason));
                continue;
            }
            let (id, key) = (report.endpoint.collection_id, report.endpoint.url_key());
            let known = view.shows_key(id, &key)
                && store::issues::note_test(&mut tx, caller.account_id, id, &key, report.tested_at).await?;
            if !known {
                rejected.push((index, "no such endpoint exists"));
            } else if !report.severity.is_empty() {
                store::issues::save(&mut tx, caller.account_id, &key, &report).await?;
            }
        }
        tx.commit().await?;
        Ok::<_, Error>(rejected)
    })
    .await
}

/// Endpoints tested within 30 days, by collection; only those asked for, unless none is.
pub async fn coverage(
    deps: &Deps,
    caller: &Caller,
    only: &[CollectionId],
) -> Result<BTreeMap<CollectionId, i64>, Error> {
    let (view, since) = (View::of(deps, caller).await?, now_s() - CURRENT_S);
    let (db, account_id) = (&deps.db, caller.account_id);
    let granting = Some(view.granting());
    let all = store::issues::tested_since(db, account_id, since, None).await?;
    let of_owners = view.of_owners(all, store::issues::tested_since(db, account_id, since, granting).await?);
    let all = store::issues::tested_of_groups_since(db, account_id, since, None).await?;
    let of_groups = view.of_groups(all, store::issues::tested_of_groups_since(db, account_id, since, granting).await?);
    let mut tested: BTreeMap<CollectionId, i64> = BTreeMap::new();
    for (id, count) in of_owners.into_iter().chain(of_groups) {
        if view.lists(id) && (only.is_empty() || only.contains(&id)) {
            *tested.entry(id).or_default() += count;
        }
    }
    Ok(tested)
}

/// Open issues by severity, of each collection and group.
pub async fn by_collection(deps: &Deps, caller: &Caller) -> Result<BTreeMap<CollectionId, Severities>, Error> {
    let view = View::of(deps, caller).await?;
    let mut counts: BTreeMap<CollectionId, Severities> = BTreeMap::new();
    let of_owners = open_of_owners(deps, caller, &view, None).await?;
    let of_groups = open_of_groups(deps, caller, &view, None).await?;
    for (id, open) in of_owners.into_iter().chain(of_groups) {
        if view.lists(id) {
            *counts.entry(id).or_default().entry(open.severity).or_default() += open.count;
        }
    }
    Ok(counts)
}

/// Open issues by severity, of each endpoint of a collection or group.
///
/// # Errors
/// `COLLECTION_ID_MISSING`, `COLLECTION_DEACTIVATED`.
pub async fn by_endpoint(
    deps: &Deps,
    caller: &Caller,
    collection_id: CollectionId,
) -> Result<Vec<(EndpointId, Severities)>, Error> {
    if collection_id == NO_COLLECTION {
        return Err(Reason::CollectionIdMissing.into());
    }
    let Some(collection) = access::readable(deps, caller, collection_id).await? else { return Ok(Vec::new()) };
    let mut counts: BTreeMap<(String, String), Severities> = BTreeMap::new();
    let view = View::of(deps, caller).await?;
    let open = match collection.is_group() {
        true => open_of_groups(deps, caller, &view, Some(collection.id)).await?,
        false => open_of_owners(deps, caller, &view, Some(collection.id)).await?,
    };
    for (_, open) in open {
        *counts.entry((open.url, open.method)).or_default().entry(open.severity).or_default() += open.count;
    }
    let wrap = |((url, method), severities)| (EndpointId { collection_id, url, method }, severities);
    Ok(counts.into_iter().map(wrap).collect())
}

async fn open_of_owners(
    deps: &Deps,
    caller: &Caller,
    view: &View,
    only: Option<CollectionId>,
) -> Result<Vec<(CollectionId, Open)>, Error> {
    let all = store::issues::open(&deps.db, caller.account_id, only, None).await?;
    Ok(view.of_owners(all, store::issues::open(&deps.db, caller.account_id, only, Some(view.granting())).await?))
}

async fn open_of_groups(
    deps: &Deps,
    caller: &Caller,
    view: &View,
    only: Option<CollectionId>,
) -> Result<Vec<(CollectionId, Open)>, Error> {
    let (db, account_id) = (&deps.db, caller.account_id);
    let all = store::issues::open_of_groups(db, account_id, only, None).await?;
    Ok(view.of_groups(all, store::issues::open_of_groups(db, account_id, only, Some(view.granting())).await?))
}
