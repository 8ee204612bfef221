//! Sessions of people: an opaque id in a cookie and an access token in a header, both needed, both on the server only
//! as digests.

use portolan_api::{Error, Reason, Result};
use portolan_authz::{Caller, Ended, FailedAuthentication, session_key};
use portolan_ids::{AccountId, UserId};
use portolan_store::Tx;
use subtle::ConstantTimeEq as _;

use crate::{
    Deps, failures,
    history::{self, Actor, Change},
    model::{
        sealed::ID_TOKEN,
        sessions::{Origin, Session},
        users,
    },
    peers, store,
    throttle::{self, Attempt, Kind},
};

/// A session ends when it was not used for this long, and at the latest after the second.
pub(crate) const IDLE_MAX_S: i64 = 60 * 60;
pub(crate) const AGE_MAX_S: i64 = 7 * 24 * 60 * 60;
/// How long a network counts as one where somebody has signed in.
pub(crate) const PLACE_LIFE_S: i64 = 90 * 24 * 60 * 60;
/// The time of use is written at most this often.
const TOUCH_EVERY_S: i64 = 60;
/// Longest password that is looked at; hashing more is work for an attacker's benefit.
const PASSWORD_CHARS_MAX: usize = 1024;

/// What a login answers.
pub struct Opened {
    /// The value of the session's cookie.
    pub session: String,
    /// The value of its bearer token.
    pub access_token: String,
    /// Where the client goes next when the account has no endpoint yet.
    pub redirect: Option<String>,
}

/// Starts a session for a login and password.
///
/// # Errors
/// `LOGIN_FAILED`, alike for an unknown login and a wrong password; `LOGIN_THROTTLED`.
pub async fn open(deps: &Deps, login: &str, password: &str, address: &str) -> Result<Opened> {
    log_in(deps, login, password, address).await.inspect_err(|error| {
        if matches!(error.reason(), Reason::LoginFailed | Reason::LoginThrottled) {
            failures::note_password(deps, login, address, error.reason());
        }
    })
}

async fn log_in(deps: &Deps, login: &str, password: &str, address: &str) -> Result<Opened> {
    // Nobody has such a name, and a longer one is work and room for an attacker's benefit.
    if !users::is_login(login) {
        deps.passwords.verify(String::new(), None).await?;
        return Err(Reason::LoginFailed.into());
    }
    let login_key = users::login_key(login);
    let place = portolan_runtime::digest(&throttle::network(address));
    let is_known = store::is_login_place(&deps.db, &login_key, &place).await?;
    let kind = if is_known { Kind::KnownLogin } else { Kind::Login };
    let attempt = Attempt::begin(&deps.limits, kind, &login_key, address).await?;
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
    let mut tx = deps.db.begin().await?;
    // A password that changed while this one was compared opens nothing.
    if !store::update_last_login(&mut tx, user.id, deps.clock.now(), &user.password_hash).await? {
        return Err(Reason::LoginFailed.into());
    }
    store::upsert_login_place(&mut tx, user.id, &place, deps.clock.now()).await?;
    let started = start(deps, &mut tx, user.id, account_id, Origin::at(deps.clock.now())).await?;
    let actor = Actor { account_id, user_id: user.id, client_address: address.to_owned() };
    history::record_by(&deps.audit, &mut tx, &actor, Change::of("session", &started.digest[..16]).by("login")).await?;
    tx.commit().await?;
    // The session is made; an attempt that stays counted is forgotten with its window.
    let _ = attempt.verified().await;
    opened(deps, started, account_id).await
}

/// A session that was written and not handed out yet.
pub(crate) struct Started {
    session: String,
    access_token: String,
    digest: String,
}

/// Writes a new session, as old as its origin.
pub(crate) async fn start(
    deps: &Deps,
    tx: &mut Tx,
    user_id: UserId,
    account_id: AccountId,
    origin: Origin,
) -> Result<Started> {
    let (session, access_token) = (random_token(), random_token());
    let digest = portolan_runtime::digest(&session);
    let sealed = |token: String| deps.secrets.seal(&ID_TOKEN.row(&digest), token.as_bytes());
    let row = Session {
        id_token: origin.id_token.map(sealed),
        digest,
        access_digest: portolan_runtime::digest(&access_token),
        user_id,
        account_id,
        created_at: origin.begun_at,
        used_at: deps.clock.now(),
    };
    store::insert_session(tx, &row).await?;
    Ok(Started { session, access_token, digest: row.digest })
}

/// What a committed session answers.
pub(crate) async fn opened(deps: &Deps, started: Started, account_id: AccountId) -> Result<Opened> {
    let Started { session, access_token, .. } = started;
    Ok(Opened { session, access_token, redirect: first_step(deps, account_id).await })
}

/// Moves the caller's session into another of their accounts: a new session, with the age of the old. Committed by
/// [`commit_ending`].
///
/// # Errors
/// `UNAUTHENTICATED` when the session has ended meanwhile.
pub(crate) async fn switch(deps: &Deps, tx: &mut Tx, caller: &Caller, account_id: AccountId) -> Result<Started> {
    let before =
        store::take_session(tx, caller.user_id, &caller.credential_id).await?.ok_or(Reason::Unauthenticated)?;
    let origin = Origin { begun_at: before.created_at, id_token: id_token(deps, &before) };
    start(deps, tx, caller.user_id, account_id, origin).await
}

/// Commits the end of sessions of a user, and returns when no process serves a copy of them.
///
/// # Errors
/// When the store does not answer; whether they have ended is not known then.
pub(crate) async fn commit_ending(deps: &Deps, tx: Tx, user_id: UserId) -> Result<()> {
    end(deps, tx, user_id).await?.settle().await;
    Ok(())
}

/// The same for what has more to do before its answer, which may be done while the copies end.
pub(crate) async fn end(deps: &Deps, tx: Tx, user_id: UserId) -> Result<Ended> {
    tx.commit().await?;
    Ok(deps.keys.changes().ended([session_key(user_id)]))
}

/// Finds the session of a cookie and its access token.
///
/// # Errors
/// `UNAUTHENTICATED` when either is wrong or the session has ended.
pub async fn verify(deps: &Deps, session: &str, access_token: &str) -> Result<Session> {
    let unknown = || Error::new(Reason::Unauthenticated);
    let found = store::find_session(&deps.db, &portolan_runtime::digest(session)).await?.ok_or_else(unknown)?;
    let now = deps.clock.now();
    let same_token = found.access_digest.as_bytes().ct_eq(portolan_runtime::digest(access_token).as_bytes());
    if !bool::from(same_token) || now - found.used_at > IDLE_MAX_S || now - found.created_at > AGE_MAX_S {
        return Err(FailedAuthentication::of_account(Reason::Unauthenticated, found.account_id));
    }
    if now - found.used_at >= TOUCH_EVERY_S {
        store::touch_session(&deps.db, &found.digest, now).await?;
    }
    Ok(found)
}

/// Ends every session of the caller; a caller with an API key ends nothing. Returns where to go.
///
/// # Errors
/// `REDIRECT_NOT_ALLOWED` unless `redirect_url` is a path that starts with one slash, or stands below the public address
/// of the installation; nothing is ended then.
pub async fn close(deps: &Deps, caller: &Caller, redirect_url: Option<&str>) -> Result<String> {
    let target = match redirect_url.map(str::trim).filter(|url| !url.is_empty()) {
        None => "/login",
        Some(path) if is_local_path(path) => path,
        Some(url) if deps.mail.is_own(url) => url,
        Some(_) => return Err(Reason::RedirectNotAllowed.into()),
    };
    if caller.credential.is_key() {
        return Ok(target.to_owned());
    }
    let mut tx = deps.db.begin().await?;
    let session = store::take_session(&mut tx, caller.user_id, &caller.credential_id).await?;
    store::delete_sessions_of_user(&mut tx, caller.user_id).await?;
    history::record(&deps.audit, &mut tx, caller, Change::of("session", &caller.credential_id).by("logout")).await?;
    commit_ending(deps, tx, caller.user_id).await?;
    match session.and_then(|session| id_token(deps, &session)) {
        Some(id_token) => Ok(provider_logout(deps, &id_token, target).await.unwrap_or_else(|| target.to_owned())),
        None => Ok(target.to_owned()),
    }
}

/// Where the browser goes to log out at the provider too.
async fn provider_logout(deps: &Deps, id_token: &str, target: &str) -> Option<String> {
    let provider = deps.provider.as_ref()?;
    let target =
        if target.starts_with('/') { format!("{}{target}", deps.mail.public_url()) } else { target.to_owned() };
    provider.logout_url(id_token, &target).await
}

/// The provider's token of a session; none where it cannot be opened, which leaves the provider's own session open.
fn id_token(deps: &Deps, session: &Session) -> Option<String> {
    let sealed = session.id_token.as_deref()?;
    String::from_utf8(deps.secrets.open(&ID_TOKEN.row(&session.digest), sealed).ok()?).ok()
}

/// Browsers read `//host` and `/\host` as another origin.
pub(crate) fn is_local_path(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && !path.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// Best effort: a login does not fail because the inventory cannot be asked.
async fn first_step(deps: &Deps, account_id: AccountId) -> Option<String> {
    let is_empty = peers::count_endpoints(&deps.peers, account_id).await.is_ok_and(|endpoints| endpoints == 0);
    is_empty.then(|| "dashboard/quick-start".to_owned())
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
