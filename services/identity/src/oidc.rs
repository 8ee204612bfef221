//! Single sign-on by OpenID Connect: code flow with PKCE.
//!
//! # Invariants
//! - A person is known by issuer and subject, never by address. Who is not known yet needs an invitation for the very
//!   address that the provider has verified.
//! - `state` is good once, for ten minutes, and in the browser that began the login.
//! - The algorithms of ID tokens come from the configuration, their keys from the provider's set.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portolan_api::{Error, Reason, Result};
use portolan_fetch::{Fetch, Request};
use portolan_jwks::{Algorithm, FetchFuture, Fetched, HttpGet, Jws, KeySets, Rules, Source};
use portolan_runtime::Config;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use crate::{
    Deps, grants,
    history::{self, Actor, Change},
    mail::encoded,
    now_s,
    sessions::{self, Opened, Session},
    signup, store, users,
};

const LIFE_S: i64 = 10 * 60;
/// Clocks may be this far apart.
const LEEWAY_S: u32 = 30;
/// The discovery document is read again after this.
const DISCOVERY_LIFE: Duration = Duration::from_secs(300);
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
const VERIFIER_PLACE: &str = "oidc_logins.verifier";
const ID_TOKEN_PLACE: &str = "sessions.id_token";

/// The provider of the installation.
#[derive(Clone)]
pub struct Oidc {
    issuer: String,
    client_id: String,
    client_secret: String,
    scopes: String,
    algorithms: Vec<Algorithm>,
    /// Whether a logout here leads through the provider's.
    ends_provider_session: bool,
    redirect_uri: String,
    fetch: Fetch,
    keys: KeySets,
    discovered: Arc<Mutex<Option<Discovered>>>,
}

/// When the provider was asked, and what it said.
type Discovered = (Instant, Arc<Discovery>);

/// What the provider says of itself.
#[derive(Clone, Deserialize)]
struct Discovery {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    end_session_endpoint: Option<String>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    id_token: String,
}

/// A login that begins.
pub struct Begun {
    pub location: String,
    /// For the browser to bring back.
    pub state: String,
}

impl Oidc {
    /// Reads the section `oidc`; `None` when no issuer is configured.
    ///
    /// # Errors
    /// What is missing or cannot be used.
    pub fn from_config(config: &Config, fetch: &Fetch) -> Result<Option<Self>, String> {
        let issuer = config.get("oidc.issuer").trim();
        if issuer.is_empty() {
            return Ok(None);
        }
        let public_url = config.get("mail.public_url").trim_end_matches('/');
        if config.get("oidc.client_id").is_empty() || public_url.is_empty() {
            return Err("oidc.issuer needs oidc.client_id and mail.public_url".to_owned());
        }
        let algorithm = |name: &str| match Algorithm::parse(name.trim()) {
            // A shared secret proves nothing about who signed.
            None | Some(Algorithm::Hs256) => Err(format!("oidc.algorithms: `{name}` cannot be used")),
            Some(algorithm) => Ok(algorithm),
        };
        let fetch = fetch.trusting(issuer);
        Ok(Some(Self {
            issuer: issuer.to_owned(),
            client_id: config.get("oidc.client_id").to_owned(),
            client_secret: config.get("oidc.client_secret").to_owned(),
            scopes: config.get("oidc.scopes").to_owned(),
            algorithms: config.get("oidc.algorithms").split(',').map(algorithm).collect::<Result<_, _>>()?,
            ends_provider_session: config.flag("oidc.logout"),
            redirect_uri: format!("{public_url}/auth/oidc/callback"),
            keys: KeySets::new(Arc::new(Get(fetch.clone())), portolan_jwks::Settings::default()),
            fetch,
            discovered: Arc::default(),
        }))
    }

    async fn discover(&self) -> Result<Arc<Discovery>> {
        let mut discovered = self.discovered.lock().await;
        if let Some((_, discovery)) = discovered.as_ref().filter(|(at, _)| at.elapsed() < DISCOVERY_LIFE) {
            return Ok(discovery.clone());
        }
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let request = Request::get(url).bytes_max(ANSWER_BYTES_MAX).redirects_max(0);
        let answer = self.fetch.send(request).await.map_err(Error::unavailable)?;
        let discovery: Discovery = serde_json::from_slice(&answer.body).map_err(Error::unavailable)?;
        if discovery.issuer != self.issuer {
            return Err(Error::unavailable("the provider names another issuer"));
        }
        let discovery = Arc::new(discovery);
        *discovered = Some((Instant::now(), discovery.clone()));
        Ok(discovery)
    }

    /// Trades the code for an ID token.
    async fn redeem(&self, discovery: &Discovery, code: &str, verifier: &str) -> Result<String> {
        let refused = || Error::new(Reason::OidcLoginFailed);
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", verifier),
            ("client_id", &self.client_id),
        ];
        let body = form.map(|(name, value)| format!("{name}={}", encoded(value))).join("&");
        let mut request = Request::post(discovery.token_endpoint.clone())
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .redirects_max(0)
            .bytes_max(ANSWER_BYTES_MAX)
            .body(body);
        if !self.client_secret.is_empty() {
            let pair = format!("{}:{}", encoded(&self.client_id), encoded(&self.client_secret));
            let basic = base64::engine::general_purpose::STANDARD.encode(pair);
            request = request.secret_header("authorization", &format!("Basic {basic}"));
        }
        let answer = self.fetch.send(request).await.map_err(Error::unavailable)?;
        if answer.status.is_server_error() {
            return Err(Error::unavailable(format!("the provider answered {}", answer.status)));
        }
        if !answer.status.is_success() {
            return Err(refused());
        }
        Ok(serde_json::from_slice::<TokenAnswer>(&answer.body).map_err(|_| refused())?.id_token)
    }

    /// Checks an ID token and answers its claims.
    async fn verify(&self, discovery: &Discovery, token: &str, nonce: &str) -> Result<Map<String, Value>> {
        let refused = || Error::new(Reason::OidcLoginFailed);
        let jws = Jws::parse(token).map_err(|_| refused())?;
        if !self.algorithms.contains(&jws.compact.algorithm) {
            return Err(refused());
        }
        let source = Source::Jwks(discovery.jwks_uri.clone());
        let kid = jws.compact.kid.as_deref();
        let set = self.keys.keys(&source, kid).await.map_err(Error::unavailable)?;
        let mut candidates = set.candidates(kid, jws.compact.algorithm);
        if !candidates.any(|key| jws.compact.verify(key).is_ok()) {
            return Err(refused());
        }
        let rules = Rules {
            required: ["iss", "sub", "aud", "iat", "nonce"].map(str::to_owned).to_vec(),
            allowed_issuers: vec![self.issuer.clone()],
            leeway_s: LEEWAY_S,
            requires_exp: true,
        };
        rules.check(&jws.claims, now_s()).map_err(|_| refused())?;
        let text = |name: &str| jws.claims.get(name).and_then(Value::as_str);
        let for_us = match &jws.claims["aud"] {
            Value::String(audience) => *audience == self.client_id,
            // Among several audiences, the token names the one it was made for.
            Value::Array(all) => {
                all.iter().any(|one| one == &self.client_id) && (all.len() == 1 || text("azp").is_some())
            }
            _ => false,
        };
        let for_other = text("azp").is_some_and(|party| party != self.client_id);
        if !for_us || for_other || text("nonce") != Some(nonce) || text("sub").is_none() {
            return Err(refused());
        }
        Ok(jws.claims)
    }
}

/// Begins a login: where the browser goes, and what it keeps.
///
/// # Errors
/// `OIDC_NOT_CONFIGURED`; `REDIRECT_NOT_ALLOWED`; `UNAVAILABLE` when the provider does not answer.
pub async fn begin(deps: &Deps, redirect_path: &str, invitation_code: &str) -> Result<Begun> {
    let oidc = deps.oidc.as_ref().ok_or(Reason::OidcNotConfigured)?;
    let redirect_path = if redirect_path.is_empty() { "/" } else { redirect_path };
    if !sessions::is_local_path(redirect_path) || redirect_path.contains('#') {
        return Err(Reason::RedirectNotAllowed.into());
    }
    let discovery = oidc.discover().await?;
    let [state, nonce, verifier] = std::array::from_fn(|_| crate::random_code());
    let login = store::OidcLogin {
        state_digest: portolan_runtime::digest(&state),
        nonce: nonce.clone(),
        verifier: deps.secrets.seal(VERIFIER_PLACE, verifier.as_bytes()),
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
        ("client_id", &oidc.client_id),
        ("redirect_uri", &oidc.redirect_uri),
        ("scope", &oidc.scopes),
        ("state", &state),
        ("nonce", &nonce),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    Ok(Begun { location: with_query(&discovery.authorization_endpoint, &query), state })
}

/// Ends a login: a session, and the path to go to.
///
/// # Errors
/// `OIDC_LOGIN_FAILED`, `OIDC_NOT_INVITED`, `INVITATION_INVALID`, `USER_EXISTS`; `UNAVAILABLE` when the provider does
/// not answer.
pub async fn finish(deps: &Deps, code: &str, state: &str, kept_state: &str, address: &str) -> Result<(Opened, String)> {
    let oidc = deps.oidc.as_ref().ok_or(Reason::OidcNotConfigured)?;
    let failed = Reason::OidcLoginFailed;
    // Only the browser that began the login has the cookie: nobody can be logged in as somebody else by a link.
    if code.is_empty() || state.is_empty() || state != kept_state {
        return Err(failed.into());
    }
    let login = store::take_oidc_login(&deps.db, &portolan_runtime::digest(state), now_s()).await?.ok_or(failed)?;
    let verifier = deps.secrets.open(VERIFIER_PLACE, &login.verifier).map_err(Error::internal)?;
    let discovery = oidc.discover().await?;
    let token = oidc.redeem(&discovery, code, &String::from_utf8_lossy(&verifier)).await?;
    let claims = oidc.verify(&discovery, &token, &login.nonce).await?;
    let subject = claims["sub"].as_str().ok_or(failed)?;
    let address_of_person = claims.get("email").and_then(Value::as_str).unwrap_or_default();
    let is_verified = claims.get("email_verified") == Some(&Value::Bool(true));

    let mut tx = deps.db.begin().await?;
    let known = store::find_identity(&mut tx, &oidc.issuer, subject).await?;
    let invited = !login.invitation_digest.is_empty();
    let user_id = match known {
        Some(user_id) => user_id,
        None if !invited || !is_verified => return Err(Reason::OidcNotInvited.into()),
        None => {
            let email_key = users::login_key(address_of_person);
            if store::find_user_by_login(&deps.db, &email_key).await?.is_some() {
                return Err(Reason::UserExists.into());
            }
            let user_id = store::next_id(&mut tx, "user").await?;
            store::insert_user(&mut tx, user_id, address_of_person, &email_key, "").await?;
            store::insert_identity(&mut tx, &oidc.issuer, subject, user_id, now_s()).await?;
            user_id
        }
    };
    let mut joined = None;
    if invited {
        let email_key = users::login_key(address_of_person);
        joined = Some(signup::accept(deps, &mut tx, &login.invitation_digest, user_id, &email_key).await?);
    }
    let account_id = match joined {
        Some(account_id) => account_id,
        None => {
            let accounts = store::list_accounts_of_user(&deps.db, user_id).await?;
            accounts.into_keys().next().ok_or(Reason::OidcNotInvited)?
        }
    };
    store::touch_user(&mut tx, user_id, now_s()).await?;
    let sealed = deps.secrets.seal(ID_TOKEN_PLACE, token.as_bytes());
    let now = deps.clock.now();
    let session = Session::with_id_token(sealed, now);
    let started = sessions::start(&mut tx, now, user_id, account_id, Some(session)).await?;
    let actor = Actor { account_id, user_id, client_address: address.to_owned() };
    history::record_by(&mut tx, &actor, Change::of("user", user_id).by("login.oidc")).await?;
    let change = grants::announce(deps, account_id, &[user_id]).await?;
    tx.commit().await?;
    change.finish().await?;
    Ok((sessions::opened(deps, started, account_id).await?, login.redirect_path))
}

/// Where the browser goes to log out at the provider too, if that is wanted and the provider offers it.
pub(crate) async fn logout_url(deps: &Deps, sealed_id_token: &[u8], target: &str) -> Option<String> {
    let oidc = deps.oidc.as_ref().filter(|oidc| oidc.ends_provider_session)?;
    let endpoint = oidc.discover().await.ok()?.end_session_endpoint.clone()?;
    let id_token = deps.secrets.open(ID_TOKEN_PLACE, sealed_id_token).ok()?;
    let id_token = String::from_utf8(id_token).ok()?;
    let target =
        if target.starts_with('/') { format!("{}{target}", deps.mail.public_url()) } else { target.to_owned() };
    let query =
        [("client_id", oidc.client_id.as_str()), ("id_token_hint", &id_token), ("post_logout_redirect_uri", &target)];
    Some(with_query(&endpoint, &query))
}

fn with_query(endpoint: &str, query: &[(&str, &str)]) -> String {
    let query = query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&");
    let separator = if endpoint.contains('?') { '&' } else { '?' };
    format!("{endpoint}{separator}{query}")
}

/// The guarded client as key sets want it.
struct Get(Fetch);

impl HttpGet for Get {
    fn get<'a>(&'a self, url: &'a str, bytes_max: usize) -> FetchFuture<'a> {
        Box::pin(async move {
            let request = Request::get(url).bytes_max(bytes_max).redirects_max(0);
            let answer = self.0.send(request).await.map_err(|error| error.to_string())?;
            if answer.status.as_u16() != 200 {
                return Err(format!("the provider answered {}", answer.status));
            }
            let cache_control = answer.header("cache-control").to_owned();
            Ok(Fetched { body: answer.body.to_vec(), cache_control })
        })
    }
}
