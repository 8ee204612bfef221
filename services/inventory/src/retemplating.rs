//! What is stored, brought to the rules of templates that are in force: the program's, of which a newer version may come
//! with an upgrade, and the account's kinds of data, which tell identifiers in URLs too.
//!
//! # Invariants
//! - Afterwards a collection has the endpoints that the same calls make when they are recorded today. Nothing that was
//!   counted is lost, or counted twice; what users and testers said of endpoints follows them.
//! - A step leaves a whole inventory behind: calls that come meanwhile are recorded by the rules of today, and a job that
//!   ends early is taken up where it ended.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use portolan_engine::{Detectors, Method, template::Catalog};
use portolan_ids::{AccountId, CollectionId};
use portolan_jobs::Portion;
use portolan_store::{Tx, retrying};
use tokio_util::sync::CancellationToken;

use crate::{
    Deps, Error, catalogs, jobs,
    model::{
        deltas::Target,
        endpoints::RawEndpoint,
        jobs::{Cursor, Step, Task, WalkPoint, next, over},
        keys,
    },
    redaction, store,
    writer::{self, Changed, Form, note_changes},
};

/// Raw URLs that are brought to their form of today in one transaction, with their stored calls.
const RESHAPED_PER_STEP: usize = 100;

/// Raw URLs that go to another endpoint in one transaction.
const MOVED_PER_STEP: usize = 500;

/// Raw URLs whose endpoint is looked up in one transaction.
const LOOKED_UP_PER_STEP: usize = 20_000;

/// Rows read at once while raw URLs are looked up.
const PAGE: i64 = 2_000;

/// How long the start waits for a store that does not answer.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Has every account whose collections follow older rules than the program's brought to these.
pub async fn ask_where_due(deps: Deps, stop: CancellationToken) {
    while let Err(error) = ask_all(&deps).await {
        tracing::warn!(%error, "collections of older rules stay as they are for now");
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(RETRY_AFTER) => {}
        }
    }
}

/// As [`ask_where_due`], once; answers the accounts.
///
/// # Errors
/// When the store cannot be reached.
pub async fn ask_all(deps: &Deps) -> Result<Vec<AccountId>, Error> {
    let accounts = store::templates::outdated_accounts(&deps.db).await?;
    for account_id in &accounts {
        retrying(|| async {
            let mut tx = deps.db.begin().await?;
            jobs::ask(deps, &mut tx, *account_id, Task::ApplyTemplateRules).await?;
            tx.commit().await?;
            Ok::<_, Error>(())
        })
        .await?;
    }
    if !accounts.is_empty() {
        tracing::info!(accounts = accounts.len(), "collections are brought to the rules of templates in force");
        deps.jobs.notify();
    }
    Ok(accounts)
}

/// Brings some raw URLs of the account's next collection that follows older rules to those in force.
pub(crate) async fn step(
    deps: &Deps,
    tx: &mut Tx,
    account_id: AccountId,
    cursor: &Cursor,
    detectors: &Detectors,
    portion: Portion,
) -> Result<Step, Error> {
    let from = cursor.place();
    let Some(collection_id) = store::templates::next_outdated(tx, account_id, from.collection_id).await? else {
        return Ok(over(0));
    };
    let mut place = WalkPoint { collection_id: collection_id.into(), ..WalkPoint::default() };
    match from.collection_id == place.collection_id && (from.shaped || !from.key.is_empty()) {
        true => place = from,
        false => store::templates::begin(tx, account_id, collection_id).await?,
    }
    match place.shaped {
        false => reshape(tx, account_id, collection_id, place, detectors, portion).await,
        true => assign(deps, tx, account_id, collection_id, place, portion).await,
    }
}

/// The first pass over a collection: each raw URL gets its form of today.
async fn reshape(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    place: WalkPoint,
    detectors: &Detectors,
    portion: Portion,
) -> Result<Step, Error> {
    let Some(held) = store::templates::hold(tx, account_id, collection_id, false).await? else {
        return Ok(next(Cursor::At(WalkPoint::behind(collection_id)), 0));
    };
    let page =
        store::endpoints::page(tx, account_id, collection_id, &place.key, portion.limit(RESHAPED_PER_STEP)).await?;
    let Some((last, _)) = page.last() else {
        return Ok(next(Cursor::At(WalkPoint { key: String::new(), shaped: true, ..place }), 0));
    };
    let place = WalkPoint { key: last.key.clone(), ..place };
    let target = held.host.map_or(Target::Collection(collection_id.into()), Target::Host);
    let form = Form { target, is_redacted: held.redacted, detectors };
    let mut changed = Changed::default();
    writer::reshape(tx, account_id, collection_id, &form, page, &mut changed).await?;
    if !changed.url_keys.is_empty() {
        store::templates::hold(tx, account_id, collection_id, true).await?;
    }
    note_changes(tx, &BTreeMap::from([((account_id, collection_id), changed)])).await?;
    Ok(next(Cursor::At(place), 0))
}

/// The second pass: each raw URL goes to the endpoint that it belongs to.
async fn assign(
    deps: &Deps,
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    place: WalkPoint,
    portion: Portion,
) -> Result<Step, Error> {
    let Some(held) = store::templates::hold(tx, account_id, collection_id, false).await? else {
        return Ok(next(Cursor::At(WalkPoint::behind(collection_id)), 0));
    };
    let (catalog, is_lasting) = match deps.shared.retemplated.take(account_id, collection_id, held.ingest_version) {
        Some(catalog) => (catalog, true),
        None => load(tx, account_id, collection_id).await?,
    };
    let (mut moving, mut done, mut key, mut is_over) = (Vec::new(), 0, place.key.clone(), false);
    let (moved_max, looked_up_max) = (portion.of(MOVED_PER_STEP), portion.of(LOOKED_UP_PER_STEP));
    while moving.len() < moved_max && done < looked_up_max && !is_over {
        let page = store::endpoints::page(tx, account_id, collection_id, &key, PAGE).await?;
        is_over = page.is_empty();
        for (raw, _) in page {
            if moving.len() >= moved_max {
                break;
            }
            key.clone_from(&raw.key);
            done += 1;
            let entry = (Method::parse(&raw.method), raw.key, raw.raw_url, raw.url);
            if let Some(effective) = writer::destination(&catalog, &entry) {
                moving.push((entry, effective));
            }
        }
    }
    let of_move = |((method, _, _, url), to): &(writer::Entry, String)| {
        [url, to].map(|url| keys::endpoint_key(method.name(), url))
    };
    let affected: BTreeSet<String> = moving.iter().flat_map(of_move).collect();
    let affected: Vec<&str> = affected.iter().map(String::as_str).collect();
    let before = store::endpoints::count_proven(tx, account_id, collection_id, &affected).await?;
    let mut changed = Changed::default();
    for (entry, effective) in &moving {
        writer::move_to(tx, account_id, collection_id, entry, effective, &mut changed).await?;
    }
    let after = store::endpoints::count_proven(tx, account_id, collection_id, &affected).await?;
    if after != before {
        store::collections::add_endpoints(tx, account_id, collection_id, after - before).await?;
    }
    // In a redacted collection nothing stands under a URL that a template covers.
    let is_collapsed = held.redacted && redaction::collapse(tx, account_id, collection_id, &changed.url_keys).await?;
    note_changes(tx, &BTreeMap::from([((account_id, collection_id), changed)])).await?;
    if is_collapsed {
        store::collections::forget_removed_urls(tx, account_id, collection_id).await?;
    }
    if is_collapsed || !is_lasting {
        // The facts of raw URLs have changed, so what ingest remembers of them is out of date.
        store::templates::hold(tx, account_id, collection_id, true).await?;
    } else {
        deps.shared.retemplated.put(account_id, collection_id, held.ingest_version, catalog);
    }
    if is_over {
        store::collections::recount(tx, account_id, collection_id).await?;
        store::templates::end(tx, account_id, collection_id).await?;
        return Ok(next(Cursor::At(WalkPoint::behind(collection_id)), done));
    }
    Ok(next(Cursor::At(WalkPoint { key, ..place }), done))
}

/// The catalog of a collection from its rows, and whether these are as it says: raw URLs that would join a template that
/// was taken apart by hand are marked first.
async fn load(tx: &mut Tx, account_id: AccountId, collection_id: CollectionId) -> Result<(Catalog, bool), Error> {
    let mut raws = Vec::new();
    let note = |raw: &RawEndpoint| raws.push((Method::parse(&raw.method), raw.raw_url.clone()));
    let mut catalog = catalogs::load_each(tx, account_id, collection_id, note).await?;
    let has_marked = writer::keep_apart(tx, account_id, collection_id, &mut catalog, &raws).await?;
    Ok((catalog, !has_marked))
}
