//! Sessions of people: an opaque id in a cookie and an access token in a header, both needed, both on the server only
//! as digests.

use portolan_api::{Error, Reason, Result, inventory::v1::CountEndpointsRequest};
use portolan_authz::Caller;
use subtle::ConstantTimeEq as _;

use crate::{Deps, now_s, store, throttle::Attempt, users};

/// A session ends when it was not used for this long, and at the latest after the second.
const IDLE_MAX_S: i64 = 60 * 60;
const AGE_MAX_S: i64 = 7 * 24 * 60 * 60;
/// The time of use is written at most this often.
const TOUCH_EVERY_S: i64 = 60;
/// Longest password that is looked at; hashing more is work for an attacker's benefit.
const PASSWORD_CHARS_MAX: usize = 1024;

/// A session as the server knows it.
#[derive(Clone, Debug)]
pub struct Session {
    pub digest: String,
    pub access_digest: String,
    pub user_id: i64,
    pub account_id: i64,
    pub created_at: i64,
    pub used_at: i64,
}

/// What a login answers.
pub struct Opened {
    pub session: String,
    pub access_token: String,
    /// Where the client goes next when the account has no endpoint yet.
    pub redirect: Option<String>,
}

/// Starts a session for a login and password.
///
/// # Errors
/// `LOGIN_FAILED`, alike for an unknown login and a wrong password; `LOGIN_THROTTLED`.
pub async fn open(deps: &Deps, login: &str, password: &str, address: &str) -> Result<Opened> {
    let login_key = users::login_key(login);
    let attempt = Attempt::begin(&deps.limits, &login_key, address).await?;
    if login_key.is_empty() || password.chars().count() > PASSWORD_CHARS_MAX {
        return Err(Reason::LoginFailed.into());
    }
    let user = store::find_user_by_login(&deps.db, &login_key).await?;
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let right = deps.passwords.verify(password.to_owned(), hash).await?;
    let Some(user) = user.filter(|_| right) else {
        return Err(Reason::LoginFailed.into());
    };
    let accounts = store::list_accounts_of_user(&deps.db, user.id).await?;
    let account_id = *accounts.keys().next().ok_or(Reason::LoginFailed)?;
    let (session, access_token) = (random_token(), random_token());
    let now = now_s();
    let mut tx = deps.db.begin().await?;
    let row = Session {
        digest: portolan_runtime::digest(&session),
        access_digest: portolan_runtime::digest(&access_token),
        user_id: user.id,
        account_id,
        created_at: now,
        used_at: now,
    };
    store::insert_session(&mut tx, &row).await?;
    store::update_last_login(&mut tx, user.id, now).await?;
    tx.commit().await?;
    // The session is made; an attempt that stays counted is forgotten with its window.
    let _ = attempt.succeeded().await;
    Ok(Opened { session, access_token, redirect: first_step(deps, account_id).await })
}

/// Finds the session of a cookie and its access token.
///
/// # Errors
/// `UNAUTHENTICATED` when either is wrong or the session has ended.
pub async fn verify(deps: &Deps, session: &str, access_token: &str) -> Result<Session> {
    let refused = || Error::new(Reason::Unauthenticated);
    let found = store::find_session(&deps.db, &portolan_runtime::digest(session)).await?.ok_or_else(refused)?;
    let now = now_s();
    let same_token = found.access_digest.as_bytes().ct_eq(portolan_runtime::digest(access_token).as_bytes());
    if !bool::from(same_token) || now - found.used_at > IDLE_MAX_S || now - found.created_at > AGE_MAX_S {
        return Err(refused());
    }
    if now - found.used_at >= TOUCH_EVERY_S {
        store::touch_session(&deps.db, &found.digest, now).await?;
    }
    Ok(found)
}

/// Ends every session of the caller; a caller with an API key ends nothing. Answers where to go.
///
/// # Errors
/// `REDIRECT_NOT_ALLOWED` unless `redirect_url` is a path that starts with one slash; nothing is ended then.
pub async fn close(deps: &Deps, caller: &Caller, redirect_url: Option<&str>) -> Result<String> {
    let target = match redirect_url.map(str::trim).filter(|url| !url.is_empty()) {
        None => "/login",
        Some(path) if is_local_path(path) => path,
        Some(_) => return Err(Reason::RedirectNotAllowed.into()),
    };
    if !caller.credential.is_key() {
        store::delete_sessions_of_user(&deps.db, caller.user_id).await?;
    }
    Ok(target.to_owned())
}

/// Browsers read `//host` and `/\host` as another origin.
fn is_local_path(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && !path.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// Best effort: a login does not fail because the inventory cannot be asked.
async fn first_step(deps: &Deps, account_id: i64) -> Option<String> {
    let answer = deps.peers.inventory().count_endpoints(CountEndpointsRequest { account_id }).await;
    let empty = answer.is_ok_and(|answer| answer.into_inner().endpoints == 0);
    empty.then(|| "dashboard/quick-start".to_owned())
}

/// 256 bits from the operating system's generator, as 64 hex digits.
fn random_token() -> String {
    rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_origin_are_redirect_targets() {
        for (path, expected) in [
            ("/login", true),
            ("//evil.example", false),
            ("/\\evil", false),
            ("https://evil.example", false),
            ("/a b", false),
        ] {
            assert_eq!(is_local_path(path), expected, "{path}");
        }
    }
}
