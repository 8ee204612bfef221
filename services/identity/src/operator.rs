//! What an operator does at the machine of the installation, who has no session: the way back in for people whose
//! password or key is lost. It works on the database, beside running processes.

use portolan_api::{Access, Error, Feature, Reason, Result};
use portolan_ids::{AccountId, UserId};
use portolan_limit::Limits;
use portolan_store::Db;

use crate::{
    audit::AuditKeys,
    history::{self, Actor, Change},
    model::{
        members::{Member, admin_everywhere},
        rights, users,
    },
    passwords,
    random::random_password,
    store, throttle,
};

/// Somebody an API key may belong to.
pub struct Person {
    /// The account that they are found in.
    pub account_id: AccountId,
    /// The user.
    pub user_id: UserId,
    /// Their e-mail address.
    pub login: String,
}

/// Gives a user a new password; every session and every reset token of the user ends, and failed logins are forgotten.
/// Returns the password, made here where none is given.
///
/// # Errors
/// `USER_NOT_FOUND`; what is wrong with the password.
pub async fn reset_password(
    db: &Db,
    keys: &AuditKeys,
    limits: &Limits,
    login: &str,
    password: Option<String>,
) -> Result<String> {
    let login_key = users::login_key(login);
    let user = store::find_user_by_login(db, &login_key).await?.ok_or(Reason::UserNotFound)?;
    let (password, hash) = hashed(password).await?;
    let account_id = store::list_accounts_of_user(db, user.id).await?.into_keys().next().unwrap_or_default();
    let mut tx = db.begin().await?;
    store::update_password(&mut tx, user.id, &hash).await?;
    store::delete_resets(&mut tx, user.id).await?;
    store::delete_sessions_of_user(&mut tx, user.id).await?;
    store::delete_login_places_of_user(&mut tx, user.id).await?;
    let actor = Actor { account_id, user_id: user.id, client_address: String::new() };
    history::record_by(keys, &mut tx, &actor, Change::of("user", user.id).by("user.password.update")).await?;
    tx.commit().await?;
    // The command shares no Redis with the processes that may have copies of the sessions.
    portolan_authz::near::settled().await;
    throttle::forget_failures(limits, &login_key).await?;
    Ok(password)
}

/// Makes an administrator of an account. Returns the password, made here where none is given.
///
/// # Errors
/// `EMAIL_INVALID`, `USER_EXISTS`, `ACCOUNT_NOT_FOUND`; what is wrong with the password.
pub async fn create(
    db: &Db,
    keys: &AuditKeys,
    login: &str,
    account_id: Option<AccountId>,
    password: Option<String>,
) -> Result<String> {
    let login_key = users::login_key(login);
    // An address without a domain, such as that of the first administrator, is one that receives no mail.
    if !users::is_login(login)
        || login_key.split_once('@').is_none_or(|(name, host)| name.is_empty() || host.is_empty())
    {
        return Err(Reason::EmailInvalid.into());
    }
    let account_id = account_id.unwrap_or(store::FIRST_ACCOUNT_ID);
    let (password, hash) = hashed(password).await?;
    if store::find_user_by_login(db, &login_key).await?.is_some() {
        return Err(Reason::UserExists.into());
    }
    let mut tx = db.begin().await?;
    if store::list_members(&mut tx, account_id).await?.is_empty() {
        return Err(no_account(account_id));
    }
    let user_id = store::next_id(&mut tx, "user").await?;
    let made = store::insert_user(&mut tx, user_id, login, &login_key, &hash).await?;
    store::insert_first_membership(&mut tx, &made, (account_id, user_id), None, &admin_everywhere()).await?;
    let actor = Actor { account_id, user_id, client_address: String::new() };
    history::record_by(keys, &mut tx, &actor, Change::of("user", user_id).by("user.create")).await?;
    tx.commit().await?;
    Ok(password)
}

/// The member of an account with this login, or its first administrator.
///
/// # Errors
/// `ACCOUNT_NOT_FOUND` for one without members; `USER_NOT_FOUND` when nobody of it fits.
pub async fn find(db: &Db, account_id: Option<AccountId>, login: Option<&str>) -> Result<Person> {
    let account_id = account_id.unwrap_or(store::FIRST_ACCOUNT_ID);
    let members = store::list_members(db, account_id).await?;
    if members.is_empty() {
        return Err(no_account(account_id));
    }
    let roles = store::list_custom_roles(db, account_id).await?;
    let key = login.map(users::login_key);
    let wanted = |member: &&Member| match &key {
        Some(key) => users::login_key(&member.login) == *key,
        None => rights::evaluate(&roles, &member.membership, portolan_authz::Scope::Api)
            .allows(Feature::AdminActions, Access::ReadWrite),
    };
    let member = members.iter().find(wanted).ok_or(Reason::UserNotFound)?;
    Ok(Person { account_id, user_id: member.user_id, login: member.login.clone() })
}

/// Notes in the audit that an API key was made for somebody.
///
/// # Errors
/// When the store cannot be reached.
pub async fn note_key(db: &Db, keys: &AuditKeys, owner: &Person) -> Result<()> {
    let mut tx = db.begin().await?;
    let actor = Actor { account_id: owner.account_id, user_id: owner.user_id, client_address: String::new() };
    history::record_by(keys, &mut tx, &actor, Change::of("apiKey", "operator").by("api_key.create")).await?;
    Ok(tx.commit().await?)
}

async fn hashed(password: Option<String>) -> Result<(String, String)> {
    let password = password.unwrap_or_else(random_password);
    passwords::check(&password)?;
    let hash = passwords::Passwords::default().hash(password.clone()).await?;
    Ok((password, hash))
}

fn no_account(account_id: AccountId) -> Error {
    Error::new(Reason::AccountNotFound).with("account_id", account_id)
}
