//! Keys of clients: the second generation. The settings are the client's; a key has a name and its addresses.

use portolan_api::{Reason, Result};
use portolan_authz::Caller;
use portolan_ids::{AccountId, ApiClientId, ProfileId};

use crate::{
    Deps, bounds, changes,
    clock::now_ms,
    model::{
        auth_settings::{AuthSettings, check_addresses},
        profiles::{Profile, Shown, Which},
        violations::{BLANK, Violations},
        workspaces::Page,
    },
    profiles,
    store::{self, profiles as table},
};

/// What a request says of a key; `None` stays, an inner `None` clears.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// Of each member: `None` leaves it as it is, `Some(None)` is a null in the request.
    pub name: Option<Option<String>>,
    /// Addresses and ranges; empty allows every one.
    pub ip_allow_list: Option<Vec<String>>,
    /// Addresses and ranges; they win over those that are allowed.
    pub ip_deny_list: Option<Vec<String>>,
}

/// The keys of a client and how many there are on all pages.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn list(
    deps: &Deps,
    account_id: AccountId,
    client_id: ApiClientId,
    page: Page,
) -> Result<(Vec<Profile>, i64)> {
    if store::clients::find(&deps.db, &deps.secrets, account_id, client_id).await?.is_none() {
        return Err(Reason::NotFound.into());
    }
    let keys = table::list_of_client(&deps.db, &deps.secrets, account_id, client_id, page).await?;
    Ok((keys, table::count_of_client(&deps.db, account_id, client_id).await?))
}

/// # Errors
/// `NOT_FOUND`, `VALIDATION_FAILED`; `CREDENTIAL_BOUNDED` for a key that reaches further than the calling credential.
pub async fn create(
    deps: &Deps,
    caller: &Caller,
    account_id: AccountId,
    client_id: ApiClientId,
    active: Option<bool>,
    patch: Patch,
) -> Result<Shown> {
    let now = now_ms();
    let write_id = &caller.info.write_id;
    let own = bounds::of(deps, caller).await?;
    let mut tx = deps.db.begin().await?;
    let version = changes::next(&mut tx).await?;
    let client = store::clients::find_in(&mut tx, &deps.secrets, account_id, client_id).await?;
    let client = client.ok_or(Reason::NotFound)?;
    let mut profile = Profile {
        id: ProfileId(0),
        account_id,
        client_id,
        is_legacy: false,
        name: String::new(),
        active: active.unwrap_or_default(),
        active_since: active.unwrap_or_default().then_some(now),
        ip_allow_list: Vec::new(),
        ip_deny_list: Vec::new(),
        auth: AuthSettings { auth_type: client.auth.auth_type, ..AuthSettings::default() },
        oauth_client_id: None,
        grant_version: 0,
        created_at: now,
        updated_at: now,
        secret_write_id: String::new(),
        secret_end: String::new(),
    };
    let mut violations = Violations::default();
    if client.is_legacy {
        violations.add("api_client_id", "is a client of access profiles, which has no auth_type for its keys");
    }
    if active.is_none() {
        violations.add("active", BLANK);
    }
    merge(&mut profile, patch, &mut violations);
    violations.refuse()?;
    bounds::must_cover_profile(&own, &profile)?;
    if let Some(profile) = table::find_by_write(&mut tx, &deps.secrets, account_id, write_id).await? {
        return Ok(Shown { profile, issued: None });
    }
    profiles::insert(deps, caller, tx, profile, version).await
}

/// # Errors
/// `NOT_FOUND`, `VALIDATION_FAILED`; `CREDENTIAL_BOUNDED` for a key that reaches further than the calling credential, before
/// or after.
pub async fn update(deps: &Deps, caller: &Caller, which: Which, patch: Patch) -> Result<Profile> {
    let own = bounds::of(deps, caller).await?;
    let mut tx = deps.db.begin().await?;
    let version = changes::next(&mut tx).await?;
    let before = profiles::find(deps, &mut tx, which).await?;
    let mut profile = before.clone();
    let mut violations = Violations::default();
    merge(&mut profile, patch, &mut violations);
    violations.refuse()?;
    [&before, &profile].into_iter().try_for_each(|profile| bounds::must_cover_profile(&own, profile))?;
    profile.updated_at = now_ms();
    table::update(&mut tx, &profile, None, &deps.secrets, version).await?;
    profiles::record(&mut tx, caller, &before, &profile).await?;
    deps.edge.commit(tx).await?;
    Ok(profile)
}

fn merge(profile: &mut Profile, patch: Patch, violations: &mut Violations) {
    if let Some(name) = patch.name {
        profile.name = name.unwrap_or_default();
    }
    violations.name("name", &profile.name);
    profile.ip_allow_list = patch.ip_allow_list.unwrap_or_else(|| std::mem::take(&mut profile.ip_allow_list));
    profile.ip_deny_list = patch.ip_deny_list.unwrap_or_else(|| std::mem::take(&mut profile.ip_deny_list));
    check_addresses("ip_allow_list", &profile.ip_allow_list, violations);
    check_addresses("ip_deny_list", &profile.ip_deny_list, violations);
}
