//! Endpoints under the limit of a plan: an import reserves what it will add before its records are accepted, so that
//! racing imports never exceed the limit together and nothing that was accepted has to be thrown away.
//!
//! # Invariants
//! - A reservation is judged against the endpoints of the inventory and all other reservations of the organization,
//!   while its row lock makes the others wait.
//! - It counts until ingest has read the records, which counts their endpoints in the same transaction.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use portolan_engine::template::RawEndpoint;
use portolan_ids::{AccountId, CollectionId, OrganizationId};
use portolan_log::Positions;
use portolan_runtime::now_s;
use portolan_store::Tx;

use crate::{
    Deps, Error, catalogs,
    model::{
        collections::{GEN_AI_TAG, MCP_TAG},
        keys,
    },
    peers, store,
};

/// What endpoints are limited by.
const LIMITED: &str = "ACTIVE_ENDPOINTS";

/// An import that died between its reservation and the log holds it for so long.
const LEASE_S: i64 = 120;

/// Between the append of records and the note where they lie an import needs no longer than this…
const OPEN_MAX: Duration = Duration::from_secs(1);

/// … and those who would have room without it look again after this.
const OPEN_PAUSE: Duration = Duration::from_millis(20);

/// What records say of raw URLs, by collection.
pub type Candidates = BTreeMap<CollectionId, Vec<RawEndpoint>>;

/// What is to be reserved.
#[derive(Clone, Copy)]
pub enum Wanted<'c> {
    /// The endpoints that these raw URLs add.
    New(&'c Candidates),
    /// A number of endpoints that exist already and do not count yet.
    Waiting(i64),
}

/// Holds a reservation until ingest has read everything below these positions.
pub async fn settle(deps: &Deps, id: &str, positions: &Positions) -> Result<(), Error> {
    Ok(store::reservations::settle(&deps.db, id, deps.log.source(), positions).await?)
}

/// Reserves endpoints. A repetition under the same id takes the place of the first.
///
/// # Errors
/// `FEATURE_LIMIT_EXCEEDED`, `FEATURE_NOT_IN_PLAN`; `BILLING_PROVIDER_UNAVAILABLE` when the plan is not known.
pub async fn reserve(deps: &Deps, account_id: AccountId, id: &str, wanted: Wanted<'_>) -> Result<(), Error> {
    let plan = plan(deps, account_id).await?;
    let organization_id = &plan.organization_id;
    // Nothing is allowed before billing was asked, which must not happen while this holds a transaction.
    let mut limit = Some(i64::MIN);
    let begun = Instant::now();
    loop {
        let mut tx = deps.db.begin().await?;
        // The lock stands before what is held: others reserve meanwhile.
        store::reservations::lock(&mut tx, organization_id).await?;
        let held = store::reservations::held(&mut tx, organization_id, id, now_s()).await?;
        let used = held.all + plan.used(&mut tx, LIMITED).await?;
        let added = match wanted {
            Wanted::New(candidates) => added(&mut tx, account_id, candidates).await?,
            Wanted::Waiting(endpoints) => endpoints,
        };
        if added > 0 && limit.is_none_or(|limit| used.saturating_add(added) <= limit) {
            store::reservations::insert(&mut tx, id, (organization_id, account_id), added, now_s() + LEASE_S).await?;
            tx.commit().await?;
            return Ok(());
        }
        if added == 0 {
            tx.commit().await?;
            return Ok(());
        }
        tx.rollback().await?;
        // Whoever was faster may have used up the limit; billing judges whether a grace goes on. What may be counted twice
        // for a moment is no reason to refuse before the moment is over.
        let is_open = held.open > 0 && begun.elapsed() < OPEN_MAX;
        let used_surely = if is_open { used - held.open } else { used };
        limit = deps.peers.limit(account_id, LIMITED, added, used_surely).await?;
        if is_open && limit.is_some_and(|limit| used.saturating_add(added) > limit) {
            tokio::time::sleep(OPEN_PAUSE).await;
        }
    }
}

/// Who uses what one plan allows.
pub(crate) struct Plan {
    organization_id: OrganizationId,
    /// All accounts of the organization.
    accounts: BTreeSet<AccountId>,
}

impl Plan {
    /// What is used of a feature at this moment; whoever else asks waits until the transaction ends.
    pub async fn used(&self, tx: &mut Tx, feature: &str) -> Result<i64, Error> {
        store::reservations::lock(tx, &self.organization_id).await?;
        let mut used = 0;
        for account_id in &self.accounts {
            used += store::reservations::used(tx, *account_id, feature).await?;
        }
        Ok(used)
    }
}

/// The plan of an account.
pub(crate) async fn plan(deps: &Deps, account_id: AccountId) -> Result<Plan, Error> {
    let organization = peers::organization(&deps.peers, account_id).await?;
    let accounts = organization.account_ids.into_iter().chain([account_id]).collect();
    Ok(Plan { organization_id: organization.id, accounts })
}

/// How many endpoints the raw URLs add to those that are there: each collection's templates are followed as ingest will.
async fn added(tx: &mut Tx, account_id: AccountId, candidates: &Candidates) -> Result<i64, Error> {
    let mut added = 0;
    for (collection_id, raws) in candidates {
        let Some(collection) = store::collections::get_in(tx, account_id, *collection_id).await? else { continue };
        let is_counted = !collection.deleted
            && !collection.deactivated
            && !collection.is_group()
            && ![MCP_TAG, GEN_AI_TAG].iter().any(|tag| collection.has_tag(tag));
        if !is_counted {
            continue;
        }
        let mut catalog = catalogs::load(tx, account_id, *collection_id).await?;
        catalog.update_all(raws);
        let proven = raws.iter().filter(|raw| raw.proven);
        let url = |raw: &RawEndpoint| catalog.effective(raw.method, &raw.url).unwrap_or_else(|| raw.url.clone());
        let keys: BTreeSet<String> = proven.map(|raw| keys::endpoint_key(raw.method.name(), &url(raw))).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let known = store::endpoints::count_proven(tx, account_id, *collection_id, &keys).await?;
        added += i64::try_from(keys.len()).unwrap_or(i64::MAX) - known;
    }
    Ok(added)
}
