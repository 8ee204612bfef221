//! Custom roles: a built-in role with collections of its own, narrowed to some features.
//!
//! # Invariants
//! - Names are unique in an account without regard to case, and one role at most is the default: both by the database.
//! - Every change of an account's roles or members holds the account's row lock, so such changes happen one by one.
//! - A role that is held or invited is not deleted, and the last ADMIN of the API scope stays.

use portolan_api::{Error, Reason, Result};
use portolan_authz::{Caller, Role, features_named, role_key};
use portolan_ids::{AccountId, CollectionId};
use portolan_store::Tx;

use crate::{
    Deps, collections, grants,
    history::{self, Change},
    members,
    model::roles::{CustomRole, key},
    store,
};

const NAME_CHARS_MAX: usize = 50;
/// Longest list of features that a role takes.
const FEATURES_MAX: usize = 100;

/// Members of a role as a caller gives them.
#[derive(Clone, Debug, Default)]
pub struct RoleInput {
    /// Unique in the account, whatever its case.
    pub name: String,
    /// The built-in role that bounds it.
    pub base_role: String,
    /// What it opens; `None` leaves it as it is.
    pub collection_ids: Option<Vec<CollectionId>>,
    /// Access groups and features; `None` leaves them as they are.
    pub features: Option<Vec<String>>,
    /// `None` leaves it as it is.
    pub opens_threat_protection: Option<bool>,
    /// `None` leaves it as it is.
    pub is_default: Option<bool>,
}

/// Makes a role.
///
/// # Errors
/// In this order: what is wrong with the name, `ROLE_NAME_TAKEN`, `BASE_ROLE_INVALID`, `ROLE_DEFAULT_TAKEN`,
/// `ROLE_FEATURE_UNKNOWN`, `ROLE_COLLECTION_UNKNOWN`, `ROLE_ABOVE_CALLER` for what the caller does not hold.
pub async fn create(deps: &Deps, caller: &Caller, input: RoleInput) -> Result<()> {
    checked_name(&input.name)?;
    let unknown_collection = collections::unknown(deps, caller, input.collection_ids.as_deref()).await?;
    create_with(deps, caller, input, unknown_collection).await
}

/// As [`create`], for a caller who knows which of the collections does not exist.
///
/// # Errors
/// As [`create`].
pub async fn create_with(
    deps: &Deps,
    caller: &Caller,
    input: RoleInput,
    unknown_collection: Option<CollectionId>,
) -> Result<()> {
    let name = checked_name(&input.name)?;
    let mut tx = deps.db.begin().await?;
    store::lock_account(&mut tx, caller.account_id).await?;
    let roles = store::list_custom_roles(&mut tx, caller.account_id).await?;
    if roles.iter().any(|role| role.key() == key(name)) {
        return Err(Reason::RoleNameTaken.into());
    }
    let role = CustomRole {
        name: name.to_owned(),
        base_role: checked_base_role(&input.base_role)?,
        is_default: input.is_default.unwrap_or_default(),
        collection_ids: input.collection_ids.unwrap_or_default(),
        features: input.features.unwrap_or_default(),
        opens_threat_protection: input.opens_threat_protection.unwrap_or_default(),
        is_emptied: false,
    };
    check_rest(&role, &roles, unknown_collection)?;
    must_cover(&mut tx, caller, &roles, &[&role]).await?;
    if !store::insert_custom_role(&mut tx, caller.account_id, &role, deps.clock.now()).await? {
        // Without the lock above this is where a racing role of the same name or another default would show.
        return Err(Reason::RoleNameTaken.into());
    }
    history::record(&deps.audit, &mut tx, caller, Change::of("role", &role.name).after(&role).by("role.create"))
        .await?;
    Ok(tx.commit().await?)
}

/// Replaces the base role, and of the rest what is given. Holders have the change before this answers.
///
/// # Errors
/// What is wrong with the name, `ROLE_NOT_FOUND`, then as for [`create`]; `SELF_CHANGE` for a role that the caller holds;
/// `LAST_ADMIN`.
pub async fn update(deps: &Deps, caller: &Caller, input: RoleInput) -> Result<()> {
    checked_name(&input.name)?;
    let unknown_collection = collections::unknown(deps, caller, input.collection_ids.as_deref()).await?;
    update_with(deps, caller, input, unknown_collection).await
}

/// As [`update`], for a caller who knows which of the collections does not exist.
///
/// # Errors
/// As [`update`].
pub async fn update_with(
    deps: &Deps,
    caller: &Caller,
    input: RoleInput,
    unknown_collection: Option<CollectionId>,
) -> Result<()> {
    let name = checked_name(&input.name)?;
    let keys = [role_key(caller.account_id, name)];
    let input = &input;
    grants::change(deps, keys, |tx| {
        grants::work(async move {
            store::lock_account(tx, caller.account_id).await?;
            let roles = store::list_custom_roles(&mut *tx, caller.account_id).await?;
            let before = roles.iter().find(|role| role.key() == key(name)).ok_or(Reason::RoleNotFound)?;
            let role = CustomRole {
                name: before.name.clone(),
                base_role: checked_base_role(&input.base_role)?,
                is_emptied: before.is_emptied && input.collection_ids.is_none(),
                collection_ids: input.collection_ids.clone().unwrap_or_else(|| before.collection_ids.clone()),
                features: input.features.clone().unwrap_or_else(|| before.features.clone()),
                opens_threat_protection: input.opens_threat_protection.unwrap_or(before.opens_threat_protection),
                is_default: input.is_default.unwrap_or(before.is_default),
            };
            check_rest(&role, &roles, unknown_collection)?;
            must_not_hold(tx, caller, &role).await?;
            must_cover(tx, caller, &roles, &[before, &role]).await?;
            let admins_before = members::count_admins(tx, caller.account_id).await?;
            store::update_custom_role(tx, caller.account_id, &role).await?;
            members::keep_an_admin(tx, caller.account_id, admins_before).await?;
            let change = Change::of("role", &role.name).before(before).after(&role).by("role.update");
            history::record(&deps.audit, tx, caller, change).await
        })
    })
    .await
}

/// Deletes a role.
///
/// # Errors
/// `ROLE_NOT_FOUND`; `ROLE_HELD`, `ROLE_INVITED`; `ROLE_ABOVE_CALLER`.
pub async fn delete(deps: &Deps, caller: &Caller, name: &str) -> Result<()> {
    let mut tx = deps.db.begin().await?;
    store::lock_account(&mut tx, caller.account_id).await?;
    let roles = store::list_custom_roles(&mut tx, caller.account_id).await?;
    let role = roles.iter().find(|role| role.key() == key(name)).ok_or(Reason::RoleNotFound)?;
    let members = store::list_members(&mut tx, caller.account_id).await?;
    if members.iter().any(|member| member.membership.holds(&role.key())) {
        return Err(Reason::RoleHeld.into());
    }
    let invitations = store::list_invitations(&mut tx, caller.account_id, deps.clock.now()).await?;
    if invitations.iter().any(|invitation| invitation.names(&role.key())) {
        return Err(Reason::RoleInvited.into());
    }
    must_cover(&mut tx, caller, &roles, &[role]).await?;
    store::delete_custom_role(&mut tx, caller.account_id, &role.key()).await?;
    history::record(&deps.audit, &mut tx, caller, Change::of("role", &role.name).before(role).by("role.delete"))
        .await?;
    Ok(tx.commit().await?)
}

/// The custom roles of the account, by name.
pub async fn list(deps: &Deps, account_id: AccountId) -> Result<Vec<CustomRole>> {
    store::list_custom_roles(&deps.db, account_id).await
}

fn checked_name(name: &str) -> Result<&str> {
    let name = name.trim();
    if name.is_empty() {
        return Err(Reason::RoleNameEmpty.into());
    }
    if name.chars().count() > NAME_CHARS_MAX {
        return Err(Reason::RoleNameTooLong.into());
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-') {
        return Err(Reason::RoleNameCharacters.into());
    }
    if Role::parse(&key(name)).is_some() {
        return Err(Reason::RoleNameReserved.into());
    }
    Ok(name)
}

fn checked_base_role(name: &str) -> Result<Role> {
    let role = Role::parse(name.trim()).filter(|role| *role != Role::NoAccess);
    Ok(role.ok_or(Reason::BaseRoleInvalid)?)
}

/// A role may be given in any scope, but roles are administered in the API scope, so what the caller holds there covers
/// what the role was and becomes.
async fn must_cover(tx: &mut Tx, caller: &Caller, roles: &[CustomRole], touched: &[&CustomRole]) -> Result<()> {
    let own = grants::rights_of(tx, roles, caller.account_id, caller.user_id).await?;
    let covers = |role: &&CustomRole| own.in_api().is_some_and(|own| own.covers(&role.grant()));
    if touched.iter().all(covers) { Ok(()) } else { Err(Reason::RoleAboveCaller.into()) }
}

/// Nobody changes a role that they hold.
async fn must_not_hold(tx: &mut Tx, caller: &Caller, role: &CustomRole) -> Result<()> {
    let own = store::find_membership(&mut *tx, caller.account_id, caller.user_id).await?;
    if own.is_some_and(|own| own.holds(&role.key())) { Err(Reason::SelfChange.into()) } else { Ok(()) }
}

fn check_rest(role: &CustomRole, roles: &[CustomRole], unknown_collection: Option<CollectionId>) -> Result<()> {
    if role.is_default && roles.iter().any(|other| other.is_default && other.key() != role.key()) {
        return Err(Reason::RoleDefaultTaken.into());
    }
    if role.features.len() > FEATURES_MAX {
        return Err(Error::new(Reason::RoleFeatureUnknown).with("feature", "too many"));
    }
    if let Some(unknown) = role.features.iter().find(|name| features_named(name).is_none()) {
        return Err(Error::new(Reason::RoleFeatureUnknown).with("feature", unknown));
    }
    match unknown_collection {
        Some(id) => Err(Error::new(Reason::RoleCollectionUnknown).with("id", id)),
        None => Ok(()),
    }
}
