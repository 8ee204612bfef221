//! Keeps the memory of the edge current, and lets changes wait until it is.
//!
//! A replica asks at short intervals whether anything changed. Whoever changes a profile calls [`settle`] after its
//! commit and before its answer: it returns when no replica can decide by the old state any more. Either every
//! replica has acknowledged the change in its row, or so much time has passed since the commit that a replica which has
//! not is too old to decide; its row is then removed, and it has to make a new one, and read all changes after that,
//! before it decides again. No clock of another machine is compared with ours.

use std::time::{Duration, Instant};

use portolan_api::{Error, Result, Seldom};
use portolan_ids::ProfileId;
use portolan_runtime::now_s;
use tokio_util::sync::CancellationToken;

use super::{
    inner::Inner,
    profile::{Profile, sources},
};
use crate::{
    model::edge::{EndpointChange, ProfileChange},
    peers,
    store::edge as store,
};

const PAGE_ROWS: i64 = 2_000;
const PAGE_ENDPOINTS: i32 = 5_000;
/// Changes that are applied under one lock: decisions wait no longer than that.
const BATCH: usize = 500;
/// How often a change looks whether replicas have applied it.
const SETTLE_STEP: Duration = Duration::from_millis(10);
/// For the time between a replica's question and the moment its age is reckoned from.
const SETTLE_MARGIN: Duration = Duration::from_millis(50);
/// How often shadow endpoints are written and what has expired is forgotten.
const HOUSEKEEPING: Duration = Duration::from_secs(5);
/// Shadow endpoints that an account keeps.
const SHADOW_ROWS_MAX: i64 = 10_000;

/// Once a second, however often is asked.
fn tell(error: &Error) {
    static TOLD: Seldom = Seldom::new();
    let error = error.to_string();
    if let Some(kept_back) = TOLD.admits(&error) {
        tracing::warn!(error, kept_back, "the edge cannot follow changes");
    }
}

/// Follows the changes until told to stop.
pub(super) async fn run(edge: &Inner, stop: &CancellationToken) {
    let mut housekept = Instant::now();
    while !stop.is_cancelled() {
        let asked_at = Instant::now();
        let polls = async { tokio::join!(poll_profiles(edge), poll_endpoints(edge), poll_tenants(edge)) };
        let Some((profiles, endpoints, tenants)) = stop.run_until_cancelled(polls).await else { return };
        for error in [profiles.err(), endpoints.err(), tenants.err()].into_iter().flatten() {
            tell(&error);
        }
        edge.loaded.send_replace(true);
        if housekept.elapsed() >= HOUSEKEEPING {
            housekept = Instant::now();
            housekeep(edge).await;
        }
        let pause = edge.rules.poll.saturating_sub(asked_at.elapsed()).max(Duration::from_millis(1));
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Applies what changed of profiles. When it returns well, everything that was committed before its call is applied.
pub(super) async fn poll_profiles(edge: &Inner) -> Result<()> {
    let mut cursor = edge.cursor.lock().await;
    loop {
        let asked_at = Instant::now();
        let position = store::position(&edge.db, &edge.replica_id).await?;
        if position.applied.is_none() {
            // Changes may have been answered meanwhile without waiting for this replica: what it knows counts from a
            // question asked after the row is there.
            store::register(&edge.db, &edge.replica_id, *cursor).await?;
            continue;
        }
        if position.version > *cursor {
            read_profiles(edge, *cursor).await?;
            read_access_tokens(edge, *cursor).await?;
            // Whoever waits for the acknowledgment may have changed what other services tell. While one of them does not
            // answer, its knowledge grows old and decides nothing in the end.
            for error in [poll_endpoints(edge).await.err(), poll_tenants(edge).await.err()].into_iter().flatten() {
                tell(&error);
            }
            *cursor = position.version;
        }
        if position.applied != Some(*cursor) && !store::acknowledge(&edge.db, &edge.replica_id, *cursor).await? {
            continue;
        }
        edge.fresh.profiles_at(asked_at);
        return Ok(());
    }
}

async fn read_profiles(edge: &Inner, after: i64) -> Result<()> {
    let mut next = after;
    loop {
        let page = store::profiles(&edge.db, next, PAGE_ROWS).await?;
        let Some(last) = page.last() else { break };
        next = last.version;
        apply(edge, page);
    }
    // A client carries settings of its profiles.
    let mut next = (after + 1, ProfileId(i64::MIN));
    loop {
        let page = store::profiles_of_clients(&edge.db, next, PAGE_ROWS).await?;
        let Some(last) = page.last() else { return Ok(()) };
        next = (last.client_version, last.row.profile_id);
        apply(edge, page);
    }
}

fn apply(edge: &Inner, page: Vec<ProfileChange>) {
    let mut opened = Vec::with_capacity(page.len());
    for mut change in page {
        if let Some(sealed) = change.row.jwt_secret.take() {
            // A secret that cannot be opened leaves a profile without one, which refuses.
            change.row.jwt_secret = edge.secrets.open(&change.place, &sealed).ok();
        }
        opened.push((change.row.profile_id, change.is_there.then(|| Profile::new(change.row))));
    }
    let mut opened = opened.into_iter().peekable();
    while opened.peek().is_some() {
        let mut profiles = edge.profiles_mut();
        for (profile_id, profile) in opened.by_ref().take(BATCH) {
            match profile {
                Some(profile) => profiles.put(profile),
                None => profiles.remove(profile_id),
            }
        }
    }
}

async fn read_access_tokens(edge: &Inner, after: i64) -> Result<()> {
    let mut next = after;
    loop {
        let page = store::access_tokens(&edge.db, next, PAGE_ROWS).await?;
        let Some((last, ..)) = page.last() else { return Ok(()) };
        next = *last;
        let mut profiles = edge.profiles_mut();
        for (_, digest, token) in page {
            if let Some(digest) = digest {
                profiles.put_access_token(digest, token);
            }
        }
    }
}

/// Applies what changed of endpoints.
pub(super) async fn poll_endpoints(edge: &Inner) -> Result<()> {
    let mut cursor = edge.endpoints_cursor.lock().await;
    let asked_at = Instant::now();
    loop {
        let page = peers::endpoint_changes(&edge.peers, *cursor, PAGE_ENDPOINTS).await?;
        let mut changes = page.changes.into_iter().peekable();
        while changes.peek().is_some() {
            let mut routes = edge.routes_mut();
            for change in changes.by_ref().take(BATCH) {
                match change {
                    EndpointChange::Put(endpoint) => routes.put(&endpoint),
                    EndpointChange::Removed(endpoint_id) => routes.remove(endpoint_id),
                }
            }
        }
        *cursor = page.last_version;
        if page.is_complete {
            edge.fresh.endpoints_at(asked_at);
            return Ok(());
        }
    }
}

/// Applies what changed of the states of accounts.
pub(super) async fn poll_tenants(edge: &Inner) -> Result<()> {
    let mut cursor = edge.tenants_cursor.lock().await;
    let asked_at = Instant::now();
    let states = peers::tenant_states(&edge.peers, *cursor).await?;
    if !states.tenants.is_empty() {
        let mut routes = edge.routes_mut();
        for (account_id, is_open) in states.tenants {
            routes.set_open(account_id, is_open);
        }
    }
    *cursor = states.last_version;
    edge.fresh.tenants_at(asked_at);
    Ok(())
}

/// Returns when no replica decides by a state before the changes that are committed at this moment.
pub(super) async fn settle(edge: &Inner) -> Result<()> {
    let committed_at = Instant::now();
    let version = store::position(&edge.db, &edge.replica_id).await?.version;
    if edge.is_running() {
        // When it fails the row of this replica stays behind, and is waited for like any other.
        let _ = poll_profiles(edge).await;
    }
    while store::behind(&edge.db, version).await? > 0 {
        if committed_at.elapsed() > edge.rules.profiles_age_max + SETTLE_MARGIN {
            store::drop_behind(&edge.db, version).await?;
            break;
        }
        tokio::time::sleep(SETTLE_STEP).await;
    }
    Ok(())
}

async fn housekeep(edge: &Inner) {
    edge.profiles_mut().forget_expired(now_s());
    let sources = sources(edge.profiles().iter());
    edge.keys.retain(&sources);
    write_shadow(edge).await;
}

/// Writes the counts of shadow endpoints.
pub(super) async fn write_shadow(edge: &Inner) {
    let counts = edge.shadow.take();
    if counts.is_empty() {
        return;
    }
    let written = async {
        let mut tx = edge.db.begin().await?;
        for (key, count) in &counts {
            store::count_shadow(&mut tx, key, *count, SHADOW_ROWS_MAX).await?;
        }
        tx.commit().await?;
        Ok::<_, portolan_api::Error>(())
    };
    if let Err(error) = written.await {
        tracing::warn!(%error, "shadow endpoints cannot be written");
        edge.shadow.put_back(counts);
    }
}
