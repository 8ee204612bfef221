//! Accounts of an organization, and the names of people and organizations.

use portolan_api::{Error, Reason, Result};
use portolan_authz::{Caller, Role, Scope};
use portolan_ids::AccountId;
use portolan_store::Tx;
use serde_json::json;

use crate::{
    Deps, grants,
    history::{self, Change},
    model::members::admin_everywhere,
    sessions::{self, Opened},
    store,
};

const ACCOUNT_NAME_CHARS_MAX: usize = 100;
/// Who is in more accounts than this makes no other.
const ACCOUNTS_MAX: i64 = 10;
const NAME_CHARS_MAX: usize = 24;
/// What accounts are limited by.
const LIMITED: &str = "ACTIVE_ACCOUNTS";

/// Makes an account in the caller's organization, which the session moves into.
///
/// # Errors
/// `ACCOUNT_NAME_INVALID`, `FEATURE_LIMIT_EXCEEDED`, `TOO_MANY_ACCOUNTS`; `ACCOUNT_NOT_SWITCHED` for API keys, whose account
/// is made.
pub async fn create(deps: &Deps, caller: &Caller, name: &str) -> Result<Opened> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > ACCOUNT_NAME_CHARS_MAX {
        return Err(Reason::AccountNameInvalid.into());
    }
    let mut tx = begin(deps, caller).await?;
    // The organization's row lock makes requests queue, so that the count is right.
    let account_id = store::next_id(&mut tx, "account").await?;
    if store::count_own_accounts(&mut tx, caller.user_id).await? > ACCOUNTS_MAX {
        return Err(Error::new(Reason::TooManyAccounts).with("limit", ACCOUNTS_MAX + 1));
    }
    let made = store::insert_account(&mut tx, account_id, &caller.organization_id, name, deps.clock.now()).await?;
    store::insert_first_membership(&mut tx, &made, (account_id, caller.user_id), None, &admin_everywhere()).await?;
    let change = Change::of("account", account_id).after(&json!({ "name": name })).by("account.create");
    history::record(&deps.audit, &mut tx, caller, change).await?;
    if caller.credential.is_key() {
        tx.commit().await?;
        return Err(Reason::AccountNotSwitched.into());
    }
    let started = sessions::switch(deps, &mut tx, caller, account_id).await?;
    sessions::commit_ending(deps, tx, caller.user_id).await?;
    sessions::opened(deps, started, account_id).await
}

/// Begins the transaction that makes one more account in the caller's organization. It holds the organization, so the
/// plan's limit is still kept when it commits.
///
/// # Errors
/// `FEATURE_LIMIT_EXCEEDED`, `FEATURE_NOT_IN_PLAN`; `BILLING_PROVIDER_UNAVAILABLE` when the plan is not known.
pub(crate) async fn begin(deps: &Deps, caller: &Caller) -> Result<Tx> {
    let organization_id = &caller.organization_id;
    let mut used = store::count_open_accounts(&deps.db, organization_id).await?;
    loop {
        // Billing may write where this transaction would keep it waiting, so it is asked before.
        let limit = deps.peers.limit(caller.account_id, LIMITED, 1, used).await?;
        let mut tx = deps.db.begin().await?;
        used = store::count_open_accounts_held(&mut tx, organization_id).await?;
        if limit.is_none_or(|limit| used < limit) {
            return Ok(tx);
        }
        // Others were faster. The limit may be reached and the grace begin, which billing judges.
        tx.rollback().await?;
    }
}

/// Moves the caller's session into another account of theirs.
///
/// # Errors
/// `ACCOUNT_NOT_FOUND` also when the caller is no member; `SESSION_REQUIRED` for API keys.
pub async fn switch(deps: &Deps, caller: &Caller, account_id: AccountId) -> Result<Opened> {
    let own = store::list_accounts_of_user(&deps.db, caller.user_id).await?;
    if !own.contains_key(&account_id) {
        return Err(Reason::AccountNotFound.into());
    }
    if caller.credential.is_key() {
        return Err(Reason::SessionRequired.into());
    }
    let mut tx = deps.db.begin().await?;
    let started = sessions::switch(deps, &mut tx, caller, account_id).await?;
    let change = Change::of("account", account_id).by("session.switch");
    history::record(&deps.audit, &mut tx, caller, change).await?;
    sessions::commit_ending(deps, tx, caller.user_id).await?;
    sessions::opened(deps, started, account_id).await
}

/// Changes the caller's name and, for an administrator of the organization, its name: both or neither.
///
/// # Errors
/// `USERNAME_…`, then `ORGANIZATION_NAME_…`: empty, characters, too long; `ORGANIZATION_NOT_FOUND` for an ADMIN who names
/// an organization that they do not administer.
pub async fn update_names(deps: &Deps, caller: &Caller, username: &str, organization: &str) -> Result<()> {
    let username =
        checked_name(username, "-", [Reason::UsernameEmpty, Reason::UsernameCharacters, Reason::UsernameTooLong])?;
    // The organization belongs to the whole account, so the API scope decides, whatever scope the call names.
    let own = grants::get(deps, caller.account_id, caller.user_id, Scope::Api).await?;
    let organization = match own.base_role {
        Role::Admin if !own.administers_organization() => match organization.trim() {
            "" => None,
            _ => return Err(Reason::OrganizationNotFound.into()),
        },
        Role::Admin => Some(checked_name(
            organization,
            ".&-",
            [Reason::OrganizationNameEmpty, Reason::OrganizationNameCharacters, Reason::OrganizationNameTooLong],
        )?),
        _ => None,
    };
    let mut tx = deps.db.begin().await?;
    store::update_user_name(&mut tx, caller.user_id, username).await?;
    if let Some(name) = organization {
        store::update_organization_name(&mut tx, &caller.organization_id, name).await?;
    }
    let after = json!({ "organization": organization });
    let change = Change::of("user", caller.user_id).after(&after).by("user.update");
    history::record(&deps.audit, &mut tx, caller, change).await?;
    Ok(tx.commit().await?)
}

fn checked_name<'n>(name: &'n str, signs: &str, [empty, characters, too_long]: [Reason; 3]) -> Result<&'n str> {
    let name = name.trim();
    if name.is_empty() {
        return Err(empty.into());
    }
    if !name.chars().all(|c| c.is_alphanumeric() || c == ' ' || signs.contains(c)) {
        return Err(characters.into());
    }
    if name.chars().count() > NAME_CHARS_MAX { Err(too_long.into()) } else { Ok(name) }
}
