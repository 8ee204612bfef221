//! The OpenID provider of the installation, reached through the guarded client only.
//!
//! # Invariants
//! - The algorithms of ID tokens come from the configuration, their keys from the provider's set.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use base64::Engine as _;
use portolan_api::{Error, Reason, Result};
use portolan_fetch::{Fetch, Request};
use portolan_jwks::{Algorithm, FetchFuture, Fetched, HttpGet, Jws, KeySets, Rules, Source};
use portolan_runtime::now_s;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use crate::{
    mail::encoded,
    options::{OidcOptions, Options},
};

/// Clocks may be this far apart.
const LEEWAY_S: u32 = 30;
/// The discovery document is read again after this.
const DISCOVERY_LIFE: Duration = Duration::from_secs(300);
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// The provider of the installation.
#[derive(Clone)]
pub struct Provider {
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    client_secret: String,
    pub(crate) scopes: String,
    algorithms: Vec<Algorithm>,
    /// Whether a logout here leads through the provider's.
    ends_provider_session: bool,
    pub(crate) redirect_uri: String,
    fetch: Fetch,
    keys: KeySets,
    discovered: Arc<Mutex<Option<Discovered>>>,
}

/// When the provider was asked, and what it said.
type Discovered = (Instant, Arc<Discovery>);

/// What the provider says of itself.
#[derive(Clone, Deserialize)]
pub(crate) struct Discovery {
    issuer: String,
    pub(crate) authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    end_session_endpoint: Option<String>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    id_token: String,
}

impl Provider {
    /// `None` when no issuer is configured.
    ///
    /// # Errors
    /// What is missing or cannot be used.
    pub fn open(options: &Options, fetch: &Fetch) -> Result<Option<Self>, String> {
        let OidcOptions { issuer, client_id, client_secret, scopes, algorithms, logout } = &options.oidc;
        let issuer = issuer.trim();
        if issuer.is_empty() {
            return Ok(None);
        }
        let public_url = options.mail.public_url.trim_end_matches('/');
        if client_id.is_empty() || public_url.is_empty() {
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
            client_id: client_id.clone(),
            client_secret: client_secret.clone(),
            scopes: scopes.clone(),
            algorithms: algorithms.split(',').map(algorithm).collect::<Result<_, _>>()?,
            ends_provider_session: *logout,
            redirect_uri: format!("{public_url}/auth/oidc/callback"),
            keys: KeySets::new(Arc::new(Get(fetch.clone())), portolan_jwks::Settings::default()),
            fetch,
            discovered: Arc::default(),
        }))
    }

    pub(crate) async fn discover(&self) -> Result<Arc<Discovery>> {
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
    pub(crate) async fn redeem(&self, discovery: &Discovery, code: &str, verifier: &str) -> Result<String> {
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
    pub(crate) async fn verify(&self, discovery: &Discovery, token: &str, nonce: &str) -> Result<Map<String, Value>> {
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

    /// Where the browser goes to log out at the provider too, if that is wanted and the provider offers it.
    pub(crate) async fn logout_url(&self, id_token: &str, target: &str) -> Option<String> {
        let endpoint = match self.ends_provider_session {
            true => self.discover().await.ok()?.end_session_endpoint.clone()?,
            false => return None,
        };
        let query =
            [("client_id", self.client_id.as_str()), ("id_token_hint", id_token), ("post_logout_redirect_uri", target)];
        Some(with_query(&endpoint, &query))
    }
}

pub(crate) fn with_query(endpoint: &str, query: &[(&str, &str)]) -> String {
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
