//! Profiles: one credential of a client each. An access profile of the first generation and a key of the second are the
//! same thing; what differs is where its settings stand.
//!
//! # Invariants
//! - Of a secret only the digest is kept; it is answered once.
//! - Each change takes the next number of the change feed.
//! - A disabled or refreshed profile has another grant version, which ends its access tokens.

use portolan_api::{Reason, Result};
use portolan_authz::Caller;
use portolan_outbox::Change;
use portolan_runtime::digest;
use portolan_store::Tx;

use crate::{
    Deps, bounds, changes,
    clock::now_ms,
    store::{profiles as store, sequences},
};

pub use crate::model::profiles::{Issued, IssuedMembers, Profile, Shown, Which, Within};

/// Keeps a new profile with its first credential, and ends the transaction. The caller's own bounds must cover it.
pub(crate) async fn insert(
    deps: &Deps,
    caller: &Caller,
    mut tx: Tx,
    mut profile: Profile,
    version: i64,
) -> Result<Shown> {
    profile.id = sequences::next_number(&mut tx, "api_profile").await?;
    let issued = profile.issue(&caller.info.write_id);
    store::insert(&mut tx, &profile, &digest(&issued.secret), &deps.secrets, version).await?;
    let change = Change::of("accessProfile", profile.id).after(&profile.described());
    portolan_outbox::audit(&mut tx, caller, change).await?;
    deps.edge.commit(tx).await?;
    Ok(Shown { profile, issued: Some(issued) })
}

/// # Errors
/// `NOT_FOUND`; `CREDENTIAL_BOUNDED` for a profile that is switched on and reaches further than the calling credential.
pub async fn set_active(deps: &Deps, caller: &Caller, which: Which, active: bool) -> Result<Profile> {
    let own = bounds::of(deps, caller).await?;
    let mut tx = deps.db.begin().await?;
    let version = changes::next(&mut tx).await?;
    let before = find(deps, &mut tx, which).await?;
    if active {
        bounds::must_cover_profile(&own, &before)?;
    }
    if before.active == active {
        return Ok(before);
    }
    let mut profile = before.clone();
    profile.updated_at = now_ms();
    profile.set_active(active, profile.updated_at);
    store::update(&mut tx, &profile, None, &deps.secrets, version).await?;
    record(&mut tx, caller, &before, &profile).await?;
    deps.edge.commit(tx).await?;
    Ok(profile)
}

/// Gives a profile a new secret; the old one is dead from the same moment.
///
/// # Errors
/// `NOT_FOUND`; `CREDENTIAL_BOUNDED` for a profile that reaches further than the calling credential;
/// `REFRESH_NOT_POSSIBLE` for callers that sign for themselves.
pub async fn refresh(deps: &Deps, caller: &Caller, which: Which) -> Result<Shown> {
    let write_id = &caller.info.write_id;
    let own = bounds::of(deps, caller).await?;
    let mut tx = deps.db.begin().await?;
    let version = changes::next(&mut tx).await?;
    let before = find(deps, &mut tx, which).await?;
    bounds::must_cover_profile(&own, &before)?;
    if !before.auth_type().has_own_secret() {
        return Err(Reason::RefreshNotPossible.into());
    }
    if before.secret_write_id == *write_id {
        return Ok(Shown { profile: before, issued: None });
    }
    let mut profile = before.clone();
    let issued = profile.issue(write_id);
    profile.updated_at = now_ms();
    store::update(&mut tx, &profile, Some(&digest(&issued.secret)), &deps.secrets, version).await?;
    record(&mut tx, caller, &before, &profile).await?;
    deps.edge.commit(tx).await?;
    Ok(Shown { profile, issued: Some(issued) })
}

/// # Errors
/// `NOT_FOUND`.
pub(crate) async fn find(deps: &Deps, tx: &mut Tx, which: Which) -> Result<Profile> {
    let found = store::find(tx, &deps.secrets, which.account_id, which.id).await?;
    let found = found.filter(|profile| match which.within {
        Within::Legacy => profile.is_legacy,
        Within::Client(id) => profile.client_id == id,
    });
    Ok(found.ok_or(Reason::NotFound)?)
}

pub(crate) async fn record(tx: &mut Tx, caller: &Caller, before: &Profile, after: &Profile) -> Result<()> {
    let change = Change::of("accessProfile", after.id).before(&before.described()).after(&after.described());
    Ok(portolan_outbox::audit(tx, caller, change).await?)
}
