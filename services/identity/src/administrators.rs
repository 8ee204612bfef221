//! Authority over an organization: given and taken by those who hold it.

use portolan_api::{Access, Feature, Reason, Result};
use portolan_authz::Caller;
use portolan_ids::UserId;
use portolan_runtime::now_s;
use serde_json::json;

use crate::{
    Deps, grants,
    history::{self, Change},
    model::{organizations::Administrator, rights::Rights, users},
    store,
};

/// Who administers the caller's organization, the first one first.
pub async fn list(deps: &Deps, caller: &Caller) -> Result<Vec<Administrator>> {
    store::list_administrators(&deps.db, &caller.organization_id).await
}

/// Lets an ADMIN of the caller's account administer the organization.
///
/// # Errors
/// In this order: `USER_NOT_FOUND`, `ADMINISTRATOR_INVALID` for a member who is no ADMIN, `ROLE_ABOVE_CALLER` when the
/// caller has lost the authority meanwhile.
pub async fn add(deps: &Deps, caller: &Caller, email: &str) -> Result<()> {
    let (account_id, organization_id) = (caller.account_id, &caller.organization_id);
    let login_key = &users::login_key(email);
    grants::change(deps, [], |tx| {
        grants::work(async move {
            store::lock_administrators(tx, organization_id).await?;
            store::lock_account(tx, account_id).await?;
            let member = store::find_member(tx, account_id, login_key).await?.ok_or(Reason::UserNotFound)?;
            let roles = store::list_custom_roles(&mut *tx, account_id).await?;
            let given = Rights::of(&roles, &member.membership, true);
            if !given.in_api().is_some_and(|grant| grant.allows(Feature::AdminActions, Access::ReadWrite)) {
                return Err(Reason::AdministratorInvalid.into());
            }
            grants::must_cover(tx, caller, &roles, &[given]).await?;
            let accounts = store::list_own_accounts(tx, organization_id, member.user_id).await?;
            if store::add_administrator(tx, (organization_id, &accounts), member.user_id, now_s()).await? {
                let change = Change::of("user", member.user_id).after(&json!({ "administersOrganization": true }));
                history::record(&deps.audit, tx, caller, change).await?;
            }
            Ok(())
        })
    })
    .await
}

/// Ends the authority of an administrator, also the caller's own.
///
/// # Errors
/// In this order: `ROLE_ABOVE_CALLER` when the caller has lost the authority meanwhile, `USER_NOT_FOUND` for who is no
/// administrator, `LAST_ADMINISTRATOR`.
pub async fn remove(deps: &Deps, caller: &Caller, user_id: UserId) -> Result<()> {
    let (account_id, organization_id) = (caller.account_id, &caller.organization_id);
    grants::change(deps, [], |tx| {
        grants::work(async move {
            store::lock_administrators(tx, organization_id).await?;
            if !store::is_administrator(&mut **tx, account_id, caller.user_id).await? {
                return Err(Reason::RoleAboveCaller.into());
            }
            let accounts = store::list_own_accounts(tx, organization_id, user_id).await?;
            if !store::remove_administrator(tx, (organization_id, &accounts), user_id).await? {
                return Err(Reason::UserNotFound.into());
            }
            if store::count_administrators(tx, organization_id).await? == 0 {
                return Err(Reason::LastAdministrator.into());
            }
            let change = Change::of("user", user_id).before(&json!({ "administersOrganization": true }));
            history::record(&deps.audit, tx, caller, change).await
        })
    })
    .await
}
