//! Single sign-on by OpenID Connect: code flow with PKCE.
//!
//! # Invariants
//! - A person is known by issuer and subject, never by address. Who is not known yet needs an invitation for the very
//!   address that the provider has verified.
//! - `state` is good once, for ten minutes, and in the browser that began the login.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portolan_api::{Error, Reason, Result};
use portolan_authz::{FailedAuthentication, Shown};
use portolan_ids::UserId;
use portolan_runtime::now_s;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::{
    Deps, failures, grants,
    history::{self, Actor, Change},
    model::{oidc::OidcLogin, sealed::OIDC_VERIFIER, sessions::Origin, users::login_key},
    options::EmailVerified,
    provider::{Provider, with_query},
    random::random_code,
    sessions::{self, Opened},
    signup, store,
};

const LIFE_S: i64 = 10 * 60;

/// A login that begins.
pub struct Begun {
    /// Where the browser goes.
    pub location: String,
    /// For the browser to bring back.
    pub state: String,
}

/// Begins a login: where the browser goes, and what it keeps.
///
/// # Errors
/// `OIDC_NOT_CONFIGURED`; `REDIRECT_NOT_ALLOWED`; `UNAVAILABLE` when the provider does not answer.
pub async fn begin(deps: &Deps, redirect_path: &str, invitation_code: &str) -> Result<Begun> {
    let provider = deps.provider.as_ref().ok_or(Reason::OidcNotConfigured)?;
    let redirect_path = if redirect_path.is_empty() { "/" } else { redirect_path };
    if !sessions::is_local_path(redirect_path) || redirect_path.contains('#') {
        return Err(Reason::RedirectNotAllowed.into());
    }
    let discovery = provider.discover().await?;
    let [state, nonce, verifier] = std::array::from_fn(|_| random_code());
    let state_digest = portolan_runtime::digest(&state);
    let login = OidcLogin {
        nonce: nonce.clone(),
        verifier: deps.secrets.seal(&OIDC_VERIFIER.row(&state_digest), verifier.as_bytes()),
        state_digest,
        invitation_digest: match invitation_code.trim() {
            "" => String::new(),
            code => portolan_runtime::digest(code),
        },
        redirect_path: redirect_path.to_owned(),
        expires_at: now_s() + LIFE_S,
    };
    let mut tx = deps.db.begin().await?;
    store::delete_expired_oidc_logins(&mut tx, now_s()).await?;
    store::insert_oidc_login(&mut tx, login).await?;
    tx.commit().await?;
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
    let query = [
        ("response_type", "code"),
        ("client_id", &provider.client_id),
        ("redirect_uri", &provider.redirect_uri),
        ("scope", &provider.scopes),
        ("state", &state),
        ("nonce", &nonce),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    Ok(Begun { location: with_query(&discovery.authorization_endpoint, &query), state })
}

/// What a provider says of a person's address.
struct Address {
    email: String,
    /// `None` when it says nothing of it.
    is_verified: Option<bool>,
}

impl Address {
    fn told(claims: &Map<String, Value>) -> Self {
        let is_verified = claims.get("email_verified").filter(|claim| !claim.is_null()).map(|claim| match claim {
            Value::Bool(is_verified) => *is_verified,
            // Some providers write every claim as a text.
            Value::String(text) => text.trim().eq_ignore_ascii_case("true"),
            _ => false,
        });
        let email = claims.get("email").and_then(Value::as_str).unwrap_or_default();
        Self { email: email.trim().to_owned(), is_verified }
    }

    /// This, completed by what another source says: of an address only what is said of the same one.
    fn or(self, other: Self) -> Self {
        if self.email.is_empty() {
            return other;
        }
        let is_same = login_key(&self.email) == login_key(&other.email);
        let is_verified = self.is_verified.or(other.is_verified.filter(|_| is_same));
        Self { is_verified, ..self }
    }

    /// # Errors
    /// `OIDC_EMAIL_MISSING`, `OIDC_EMAIL_NOT_VERIFIED`.
    fn counts(&self, policy: EmailVerified) -> Result<()> {
        if self.email.is_empty() {
            return Err(Reason::OidcEmailMissing.into());
        }
        let counts = match policy {
            EmailVerified::Required => self.is_verified == Some(true),
            EmailVerified::IfPresent => self.is_verified != Some(false),
            EmailVerified::TrustedProvider => true,
        };
        if counts { Ok(()) } else { Err(Reason::OidcEmailNotVerified.into()) }
    }
}

/// Ends a login: a session, and the path to go to.
///
/// # Errors
/// `OIDC_LOGIN_FAILED`, `OIDC_NOT_INVITED`, `OIDC_EMAIL_MISSING`, `OIDC_EMAIL_NOT_VERIFIED`, `INVITATION_INVALID`,
/// `USER_EXISTS`; `UNAVAILABLE` when the provider does not answer.
pub async fn finish(deps: &Deps, code: &str, state: &str, kept_state: &str, address: &str) -> Result<(Opened, String)> {
    let provider = deps.provider.as_ref().ok_or(Reason::OidcNotConfigured)?;
    // Until the provider has said who it is, everybody is the same.
    let mut person = provider.issuer.clone();
    let outcome = finish_as(deps, provider, code, (state, kept_state), address, &mut person).await;
    outcome.inspect_err(|error| {
        if FailedAuthentication::is_failure(error.reason()) {
            failures::note(deps, Shown::Oidc, &person, address, error.reason());
        }
    })
}

async fn finish_as(
    deps: &Deps,
    provider: &Provider,
    code: &str,
    (state, kept_state): (&str, &str),
    address: &str,
    person: &mut String,
) -> Result<(Opened, String)> {
    let failed = Reason::OidcLoginFailed;
    // Only the browser that began the login has the cookie: nobody can be logged in as somebody else by a link.
    if code.is_empty() || state.is_empty() || state != kept_state {
        return Err(failed.into());
    }
    let login = store::take_oidc_login(&deps.db, &portolan_runtime::digest(state), now_s()).await?.ok_or(failed)?;
    let verifier =
        deps.secrets.open(&OIDC_VERIFIER.row(&login.state_digest), &login.verifier).map_err(Error::internal)?;
    let discovery = provider.discover().await?;
    let tokens = provider.redeem(&discovery, code, &String::from_utf8_lossy(&verifier)).await?;
    let claims = provider.verify(&discovery, &tokens.id_token, &login.nonce).await?;
    let subject = claims["sub"].as_str().ok_or(failed)?;
    *person = format!("{} {subject}", provider.issuer);

    let invited = !login.invitation_digest.is_empty();
    let policy = provider.email_verified;
    let mut told = Address::told(&claims);
    let mut tx = deps.db.begin().await?;
    let known = store::find_identity(&mut tx, &provider.issuer, subject).await?;
    tx.rollback().await?;
    // Who is known is so by the subject. Others need an invitation first, and then an address that counts.
    if known.is_none() {
        if !invited {
            return Err(Reason::OidcNotInvited.into());
        }
        if store::find_invitation_by_code(&deps.db, &login.invitation_digest).await?.is_none() {
            return Err(Reason::InvitationInvalid.into());
        }
        if told.counts(policy).is_err() {
            told = told.or(Address::told(&provider.user_info(&discovery, &tokens, subject).await?));
        }
        told.counts(policy)?;
    }
    let address_of_person = told.email.as_str();
    let email_key = login_key(address_of_person);
    let (email_key, token, invitation_digest) = (&email_key, &tokens.id_token, &login.invitation_digest);
    let (started, account_id) = grants::change(deps, [], |tx| {
        grants::work(async move {
            let known = store::find_identity(tx, &provider.issuer, subject).await?;
            let (user_id, made) = match known {
                Some(user_id) => (user_id, None),
                None => {
                    if store::find_user_by_login(&deps.db, email_key).await?.is_some() {
                        return Err(Reason::UserExists.into());
                    }
                    let user_id: UserId = store::next_id(tx, "user").await?;
                    let made = store::insert_user(tx, user_id, address_of_person, email_key, "").await?;
                    store::insert_identity(tx, &provider.issuer, subject, user_id, now_s()).await?;
                    (user_id, Some(made))
                }
            };
            let account_id = if invited {
                signup::accept(deps, tx, invitation_digest, (user_id, made.as_ref()), email_key).await?
            } else {
                let accounts = store::list_accounts_of_user(&deps.db, user_id).await?;
                accounts.into_keys().next().ok_or(Reason::OidcNotInvited)?
            };
            store::touch_user(tx, user_id, now_s()).await?;
            let now = deps.clock.now();
            let origin = Origin { begun_at: now, id_token: Some(token.clone()) };
            let started = sessions::start(deps, tx, user_id, account_id, origin).await?;
            let actor = Actor { account_id, user_id, client_address: address.to_owned() };
            history::record_by(&deps.audit, tx, &actor, Change::of("user", user_id).by("login.oidc")).await?;
            Ok((started, account_id))
        })
    })
    .await?;
    Ok((sessions::opened(deps, started, account_id).await?, login.redirect_path))
}
