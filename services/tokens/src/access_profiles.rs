//! Access profiles of the first generation: each carries its own settings.

use portolan_api::Result;
use portolan_authz::Caller;
use portolan_ids::{AccountId, ApiClientId, ProfileId};
use portolan_runtime::digest;

use crate::{
    Deps, api_clients, bounds, changes,
    clock::now_ms,
    model::{
        auth_settings::{AuthPatch, AuthSettings, check_addresses},
        profiles::{Profile, Shown, Which},
        violations::{BLANK, Violations},
        workspaces::Page,
    },
    profiles,
    store::profiles as store,
    workspaces,
};

/// What a request says of a profile; `None` stays, an inner `None` clears.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// Of each member: `None` leaves it as it is, `Some(None)` is a null in the request.
    pub name: Option<Option<String>>,
    /// Addresses and ranges; empty allows every one.
    pub ip_allow_list: Option<Vec<String>>,
    /// How callers prove who they are.
    pub auth: AuthPatch,
}

/// # Errors
/// `VALIDATION_FAILED` for a page out of range.
pub async fn list(
    deps: &Deps,
    account_id: AccountId,
    client_id: Option<ApiClientId>,
    page: Page,
) -> Result<Vec<Profile>> {
    store::list_legacy(&deps.db, &deps.secrets, account_id, client_id, page).await
}

/// Makes a profile, which is active at once. `client`: `None` for the client `Default`; its text as it was given.
///
/// # Errors
/// `VALIDATION_FAILED`; `CREDENTIAL_BOUNDED` for a profile that reaches further than the calling credential.
pub async fn create(
    deps: &Deps,
    caller: &Caller,
    account_id: AccountId,
    client: Option<&str>,
    patch: Patch,
) -> Result<Shown> {
    let now = now_ms();
    let mut profile = Profile {
        id: ProfileId(0),
        account_id,
        client_id: ApiClientId(0),
        is_legacy: true,
        name: String::new(),
        active: true,
        active_since: Some(now),
        ip_allow_list: Vec::new(),
        ip_deny_list: Vec::new(),
        auth: AuthSettings::default(),
        oauth_client_id: None,
        grant_version: 0,
        created_at: now,
        updated_at: now,
        secret_write_id: String::new(),
        secret_end: String::new(),
    };
    let mut violations = Violations::default();
    let client_id = match client.map(workspaces::number) {
        None => None,
        Some(Some(id)) if api_clients::is_legacy(deps, account_id, id).await? => Some(id),
        Some(_) => {
            violations.add("api_client_id", "is invalid");
            None
        }
    };
    if patch.auth.auth_type.is_none() {
        violations.add("auth_type", BLANK);
    }
    apply(deps, &mut profile, Patch { name: Some(patch.name.flatten()), ..patch }, true, violations).await?;
    bounds::must_cover_profile(&bounds::of(deps, caller).await?, &profile)?;
    let write_id = &caller.info.write_id;
    let mut tx = deps.db.begin().await?;
    let version = changes::next(&mut tx).await?;
    if let Some(profile) = store::find_by_write(&mut tx, &deps.secrets, account_id, write_id).await? {
        return Ok(Shown { profile, issued: None });
    }
    profile.client_id = match client_id {
        Some(id) => id.into(),
        None => api_clients::default_legacy(deps, &mut tx, account_id, version).await?,
    };
    profiles::insert(deps, caller, tx, profile, version).await
}

/// Changes what is given. A secret is made when the kind of authentication becomes one that has a secret.
///
/// # Errors
/// `NOT_FOUND`, `VALIDATION_FAILED`; `CREDENTIAL_BOUNDED` for a profile that reaches further than the calling credential,
/// before or after.
pub async fn update(deps: &Deps, caller: &Caller, which: Which, patch: Patch) -> Result<Shown> {
    let own = bounds::of(deps, caller).await?;
    // Checked on what is there now; the change itself is applied to what is there under the lock.
    let mut tx = deps.db.begin_read().await?;
    let mut checked = profiles::find(deps, &mut tx, which).await?;
    drop(tx);
    let asks_collections = patch.auth.collection_ids.is_some();
    apply(deps, &mut checked, patch.clone(), asks_collections, Violations::default()).await?;

    let write_id = &caller.info.write_id;
    let mut tx = deps.db.begin().await?;
    let version = changes::next(&mut tx).await?;
    let before = profiles::find(deps, &mut tx, which).await?;
    let mut profile = before.clone();
    let mut violations = Violations::default();
    merge(&mut profile, patch, &mut violations);
    violations.refuse()?;
    [&before, &profile].into_iter().try_for_each(|profile| bounds::must_cover_profile(&own, profile))?;
    let is_new_kind = profile.auth_type() != before.auth_type();
    let issued = (is_new_kind && profile.auth_type().has_own_secret()).then(|| profile.issue(write_id));
    if is_new_kind && issued.is_none() {
        // The secret goes on as the key that a claim carries; nothing else of it is valid.
        profile.oauth_client_id = None;
        profile.grant_version += 1;
    }
    profile.updated_at = now_ms();
    let digest = issued.as_ref().map(|issued| digest(&issued.secret));
    store::update(&mut tx, &profile, digest.as_deref(), &deps.secrets, version).await?;
    profiles::record(&mut tx, caller, &before, &profile).await?;
    deps.edge.commit(tx).await?;
    Ok(Shown { profile, issued })
}

/// Applies a patch and refuses every fault, those of collections among them.
async fn apply(
    deps: &Deps,
    profile: &mut Profile,
    patch: Patch,
    asks_collections: bool,
    mut violations: Violations,
) -> Result<()> {
    merge(profile, patch, &mut violations);
    if asks_collections {
        workspaces::check_collections(deps, profile.account_id, &profile.auth.collection_ids, &mut violations).await?;
    }
    violations.refuse()
}

fn merge(profile: &mut Profile, patch: Patch, violations: &mut Violations) {
    if let Some(name) = patch.name {
        profile.name = name.unwrap_or_default();
    }
    violations.name("name", &profile.name);
    profile.ip_allow_list = patch.ip_allow_list.unwrap_or_else(|| std::mem::take(&mut profile.ip_allow_list));
    check_addresses("ip_allow_list", &profile.ip_allow_list, violations);
    profile.auth.apply(patch.auth, violations);
}
