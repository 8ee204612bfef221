//! New passwords by a single-use token.

use portolan_api::{Access, Error, Feature, Reason, Result};
use portolan_authz::{Caller, Scope, Shown};
use portolan_ids::{AccountId, UserId};

use crate::{
    Deps, departures, failures, grants,
    history::{self, Actor, Change},
    mail::Letter,
    model::users,
    passwords, peers,
    random::random_code,
    sessions, store, throttle,
};

/// A token is good this long, and an administrator's is not replaced earlier.
const LIFE_S: i64 = 2 * 60 * 60;
/// Where a token came from; the two do not block each other.
const BY_ADMIN: &str = "admin";
const BY_USER: &str = "user";

/// A token with the page that takes it.
pub struct Reset {
    /// Shown once.
    pub token: String,
    /// Where a new password is chosen; it holds the token.
    pub url: String,
}

/// Makes a token for a member, to be handed over by the caller.
///
/// # Errors
/// `EMAIL_INVALID`, `USER_NOT_FOUND`, `PASSWORD_RESET_FOREIGN`, `ROLE_ABOVE_CALLER`, `PASSWORD_RESET_TOO_SOON`.
pub async fn create_for_member(deps: &Deps, caller: &Caller, email: &str) -> Result<Reset> {
    let email_key = users::login_key(email);
    if email_key.is_empty() {
        return Err(Reason::EmailInvalid.into());
    }
    let user = store::find_user_by_login(&deps.db, &email_key).await?;
    let user = user.ok_or(Reason::UserNotFound)?;
    let membership = store::find_membership(&deps.db, caller.account_id, user.id).await?;
    membership.ok_or(Reason::UserNotFound)?;
    // A password opens every account of its user, so the caller must administer all of them, and hold what it opens.
    for account_id in store::list_accounts_of_user(&deps.db, user.id).await?.into_keys() {
        let own = grants::get(deps, account_id, caller.user_id, Scope::Api).await?;
        if !own.allows(Feature::AdminActions, Access::ReadWrite) {
            return Err(Reason::PasswordResetForeign.into());
        }
        let mut tx = deps.db.begin().await?;
        let roles = store::list_custom_roles(&mut tx, account_id).await?;
        let theirs = grants::rights_of(&mut tx, &roles, account_id, user.id).await?;
        let own = grants::rights_of(&mut tx, &roles, account_id, caller.user_id).await?;
        tx.rollback().await?;
        if !own.covers(&theirs) {
            return Err(Reason::RoleAboveCaller.into());
        }
    }
    let (token, now) = (random_code(), deps.clock.now());
    let mut tx = deps.db.begin().await?;
    let digest = portolan_runtime::digest(&token);
    if !store::insert_reset(&mut tx, user.id, BY_ADMIN, &digest, now, now - LIFE_S).await? {
        let left_s = store::find_reset_time(&mut tx, user.id, BY_ADMIN).await? + LIFE_S - now;
        return Err(Error::new(Reason::PasswordResetTooSoon).with("minutes", left_s.max(0) / 60));
    }
    let change = Change::of("user", user.id).by("user.password_reset.create");
    history::record(&deps.audit, &mut tx, caller, change).await?;
    tx.commit().await?;
    let url = deps.mail.link("", &format!("/login?token={token}"));
    Ok(Reset { token, url })
}

/// Mails a token to a user. Answers before anything is known of the user, so it tells nothing by text or time.
///
/// # Errors
/// `EMAIL_INVALID` for an empty address; `RATE_LIMITED` by client address.
pub async fn request(deps: &Deps, email: &str, address: &str) -> Result<()> {
    let email_key = users::login_key(email);
    if email_key.is_empty() {
        return Err(Reason::EmailInvalid.into());
    }
    throttle::take_reset(&deps.limits, address).await?;
    let (deps, address) = (deps.clone(), address.to_owned());
    tokio::spawn(async move {
        if let Err(error) = mail_token(&deps, &email_key, address).await {
            tracing::warn!(%error, "a password reset could not be mailed");
        }
    });
    Ok(())
}

async fn mail_token(deps: &Deps, email_key: &str, client_address: String) -> Result<()> {
    let Some(user) = store::find_user_by_login(&deps.db, email_key).await? else { return Ok(()) };
    if !throttle::may_mail(&deps.limits, email_key).await? {
        return Ok(());
    }
    let token = random_code();
    let now = deps.clock.now();
    let account_id = store::list_accounts_of_user(&deps.db, user.id).await?.into_keys().next().unwrap_or_default();
    let mut tx = deps.db.begin().await?;
    store::insert_reset(&mut tx, user.id, BY_USER, &portolan_runtime::digest(&token), now, now).await?;
    let actor = Actor { account_id, user_id: user.id, client_address };
    let change = Change::of("user", user.id).by("user.password_reset.request");
    history::record_by(&deps.audit, &mut tx, &actor, change).await?;
    tx.commit().await?;
    deps.mail.send(Letter::password_reset(&user.login, &deps.mail.link("", &format!("/login?token={token}"))));
    Ok(())
}

/// Sets a new password; every session and every other token of the user ends, and with `revokes_keys` the API keys and
/// Slack webhooks too. Returns the keys that go on working, masked, of which a letter tells as well.
///
/// # Errors
/// `RESET_TOKEN_INVALID`; what is wrong with the password; `RATE_LIMITED` by client address.
pub async fn redeem(
    deps: &Deps,
    token: &str,
    password: &str,
    revokes_keys: bool,
    address: &str,
) -> Result<Vec<String>> {
    throttle::take_reset(&deps.limits, address).await?;
    if token.trim().is_empty() {
        return Err(Reason::ResetTokenInvalid.into());
    }
    passwords::check(password)?;
    let password_hash = deps.passwords.hash(password.to_owned()).await?;
    let mut tx = deps.db.begin().await?;
    let digest = portolan_runtime::digest(token.trim());
    let user_id = store::take_reset(&mut tx, &digest, deps.clock.now() - LIFE_S).await?;
    let Some(user_id) = user_id else {
        failures::note(deps, Shown::PasswordReset, token.trim(), address, Reason::ResetTokenInvalid);
        return Err(Reason::ResetTokenInvalid.into());
    };
    store::update_password(&mut tx, user_id, &password_hash).await?;
    store::delete_resets(&mut tx, user_id).await?;
    store::delete_sessions_of_user(&mut tx, user_id).await?;
    let accounts: Vec<_> = store::list_accounts_of_user(&deps.db, user_id).await?.into_keys().collect();
    let actor = Actor {
        account_id: accounts.first().copied().unwrap_or_default(),
        user_id,
        client_address: address.to_owned(),
    };
    history::record_by(&deps.audit, &mut tx, &actor, Change::of("user", user_id).by("user.password.update")).await?;
    let places: Vec<_> = accounts.iter().map(|account_id| (*account_id, user_id)).collect();
    let ended = match revokes_keys {
        true => Some(departures::note(deps, &mut tx, places.clone()).await?),
        false => None,
    };
    let copies = sessions::end(deps, tx, user_id).await?;
    let finish = async {
        if let Some(ended) = ended {
            ended.finish(deps).await;
            return Vec::new();
        }
        tell_keys(deps, user_id, &places).await.unwrap_or_else(|error| {
            // The password is changed: what is told beside it must not make it look as if it were not.
            tracing::warn!(%error, "the keys that outlive a password reset could not be told");
            Vec::new()
        })
    };
    let (keys, ()) = tokio::join!(finish, copies.settle());
    Ok(keys)
}

/// The keys of a user that go on working, after a letter that names them.
async fn tell_keys(deps: &Deps, user_id: UserId, places: &[(AccountId, UserId)]) -> Result<Vec<String>> {
    let keys = peers::live_keys(&deps.peers, places).await?;
    if let (false, Some(user)) = (keys.is_empty(), store::find_user(&deps.db, user_id).await?) {
        deps.mail.send(Letter::keys_left(&user.login, &keys));
    }
    Ok(keys)
}
