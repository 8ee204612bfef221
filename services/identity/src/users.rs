//! Users, and the accounts they belong to.

use std::collections::BTreeMap;

use portolan_api::{Reason, Result};
use portolan_authz::Caller;
use portolan_ids::{AccountId, OrganizationId, UserId};

use crate::{
    Deps,
    model::users::{User, login_key},
    store,
};

/// What a user sees of themselves.
pub struct Profile {
    /// The user.
    pub user: User,
    /// The built-in role behind the user's role in the scope of the call.
    pub role: String,
    /// The names of their accounts.
    pub accounts: BTreeMap<AccountId, String>,
    /// The role in each product scope, in the account of the session.
    pub scope_roles: BTreeMap<String, String>,
    /// Of that account.
    pub organization_id: OrganizationId,
    /// As its administrator calls it.
    pub organization_name: String,
}

/// Makes a user who is a member of an account.
///
/// # Errors
/// `INTERNAL` when the login is taken.
pub async fn create(deps: &Deps, new: NewUser<'_>) -> Result<UserId> {
    let password_hash = deps.passwords.hash(new.password.to_owned()).await?;
    let mut tx = deps.db.begin().await?;
    let user_id = store::next_id(&mut tx, "user").await?;
    let made = store::insert_user(&mut tx, user_id, new.login, &login_key(new.login), &password_hash).await?;
    let (pair, role) = ((new.account_id, user_id), Some(new.role));
    store::insert_first_membership(&mut tx, &made, pair, role, &BTreeMap::new()).await?;
    tx.commit().await?;
    Ok(user_id)
}

/// What [`create`] takes.
pub struct NewUser<'a> {
    /// The account that they join.
    pub account_id: AccountId,
    /// Their e-mail address.
    pub login: &'a str,
    /// In clear; its hash is kept.
    pub password: &'a str,
    /// Their role, built-in or custom.
    pub role: &'a str,
}

/// The caller's own profile.
pub async fn profile(deps: &Deps, caller: &Caller) -> Result<Profile> {
    let user = store::find_user(&deps.db, caller.user_id).await?.ok_or(Reason::UserNotFound)?;
    let membership = store::find_membership(&deps.db, caller.account_id, caller.user_id).await?;
    let organization_name = store::find_organization_name(&deps.db, &caller.organization_id).await?;
    Ok(Profile {
        user,
        role: caller.grant.base_role.name().to_owned(),
        accounts: store::list_accounts_of_user(&deps.db, caller.user_id).await?,
        scope_roles: membership.ok_or(Reason::UserNotFound)?.scope_roles,
        organization_id: caller.organization_id.clone(),
        organization_name: organization_name.unwrap_or_default(),
    })
}

/// A member of an account.
///
/// # Errors
/// `USER_NOT_FOUND`, also for users of other accounts.
pub async fn get(deps: &Deps, account_id: AccountId, user_id: UserId) -> Result<User> {
    store::find_membership(&deps.db, account_id, user_id).await?.ok_or(Reason::UserNotFound)?;
    Ok(store::find_user(&deps.db, user_id).await?.ok_or(Reason::UserNotFound)?)
}
