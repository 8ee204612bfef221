//! The OpenID provider of the installation, reached through the guarded client only.
//!
//! # Invariants
//! - What the provider publishes of itself decides how it is spoken to: endpoints, and how this client proves itself.
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
    options::{EmailVerified, OidcOptions, Options},
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
    pub(crate) email_verified: EmailVerified,
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
    userinfo_endpoint: Option<String>,
    /// Not published means `client_secret_basic` alone.
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    end_session_endpoint: Option<String>,
}

/// What the provider gives for a code.
#[derive(Deserialize)]
pub(crate) struct Tokens {
    pub(crate) id_token: String,
    /// Opens UserInfo.
    #[serde(default)]
    access_token: Option<String>,
}

/// A refusal of the token endpoint.
#[derive(Default, Deserialize)]
struct TokenError {
    #[serde(default)]
    error: String,
}

/// How this client proves itself at the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientAuth {
    None,
    Basic,
    Post,
}

impl ClientAuth {
    /// The ways that the provider takes and this client can go, the better one first.
    fn usable(discovery: &Discovery, has_secret: bool) -> Result<Vec<Self>> {
        if !has_secret {
            return Ok(vec![Self::None]);
        }
        let Some(taken) = &discovery.token_endpoint_auth_methods_supported else { return Ok(vec![Self::Basic]) };
        let known = [("client_secret_basic", Self::Basic), ("client_secret_post", Self::Post)];
        let usable = known.into_iter().filter(|(name, _)| taken.iter().any(|taken| taken == name));
        let usable: Vec<_> = usable.map(|(_, method)| method).collect();
        if usable.is_empty() {
            let taken = taken.join(", ");
            return Err(Error::unavailable(format!("the provider takes a client by {taken} alone, not by its secret")));
        }
        Ok(usable)
    }
}

impl Provider {
    /// `None` when no issuer is configured.
    ///
    /// # Errors
    /// What is missing or cannot be used.
    pub fn open(options: &Options, fetch: &Fetch) -> Result<Option<Self>, String> {
        let OidcOptions { issuer, client_id, client_secret, scopes, algorithms, email_verified, logout } =
            &options.oidc;
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
            email_verified: *email_verified,
            ends_provider_session: *logout,
            redirect_uri: format!("{public_url}/auth/oidc/callback"),
            keys: KeySets::new(Arc::new(Get(fetch.clone())), portolan_jwks::KeySetOptions::default()),
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

    /// Trades the code for tokens, in the first way that the provider takes this client by.
    pub(crate) async fn redeem(&self, discovery: &Discovery, code: &str, verifier: &str) -> Result<Tokens> {
        let refused = || Error::new(Reason::OidcLoginFailed);
        for auth in ClientAuth::usable(discovery, !self.client_secret.is_empty())? {
            let answer = self.fetch.send(self.token_request(discovery, code, verifier, auth)).await;
            let answer = answer.map_err(Error::unavailable)?;
            if answer.status.is_success() {
                return serde_json::from_slice(&answer.body).map_err(|_| refused());
            }
            if answer.status.is_server_error() {
                return Err(Error::unavailable(format!("the provider answered {}", answer.status)));
            }
            // A client may be registered for one of the ways alone. Whoever it is was asked before the code was looked at.
            let said: TokenError = serde_json::from_slice(&answer.body).unwrap_or_default();
            tracing::warn!(status = %answer.status, error = said.error, ?auth, "the provider refused a code");
            if said.error != "invalid_client" {
                break;
            }
        }
        Err(refused())
    }

    fn token_request(&self, discovery: &Discovery, code: &str, verifier: &str, auth: ClientAuth) -> Request {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", verifier),
            ("client_id", &self.client_id),
        ];
        if auth == ClientAuth::Post {
            form.push(("client_secret", &self.client_secret));
        }
        let form: Vec<_> = form.into_iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let request = Request::post(discovery.token_endpoint.clone())
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .redirects_max(0)
            .bytes_max(ANSWER_BYTES_MAX)
            .body(form.join("&"));
        if auth != ClientAuth::Basic {
            return request;
        }
        let pair = format!("{}:{}", encoded(&self.client_id), encoded(&self.client_secret));
        let basic = base64::engine::general_purpose::STANDARD.encode(pair);
        request.secret_header("authorization", &format!("Basic {basic}"))
    }

    /// What UserInfo says of the subject: nothing where the provider has none or gave nothing to open it with.
    pub(crate) async fn user_info(
        &self,
        discovery: &Discovery,
        tokens: &Tokens,
        subject: &str,
    ) -> Result<Map<String, Value>> {
        let (Some(endpoint), Some(access_token)) = (&discovery.userinfo_endpoint, &tokens.access_token) else {
            return Ok(Map::new());
        };
        let refused = || Error::new(Reason::OidcLoginFailed);
        let request = Request::get(endpoint.clone())
            .header("accept", "application/json, application/jwt")
            .secret_header("authorization", &format!("Bearer {access_token}"))
            .redirects_max(0)
            .bytes_max(ANSWER_BYTES_MAX);
        let answer = self.fetch.send(request).await.map_err(Error::unavailable)?;
        if answer.status.is_server_error() {
            return Err(Error::unavailable(format!("UserInfo answered {}", answer.status)));
        }
        if !answer.status.is_success() {
            return Err(refused());
        }
        let is_signed = answer.header("content-type").trim_start().to_ascii_lowercase().starts_with("application/jwt");
        let claims = match is_signed {
            true => {
                let token = std::str::from_utf8(&answer.body).map_err(|_| refused())?;
                let claims = self.signed(discovery, token.trim()).await?.claims;
                // A token that was made for another use or another client says nothing here.
                let names = |name: &str, value: &str| claims.get(name).is_some_and(|claim| claim == value);
                if !names("iss", &self.issuer) || !is_for(&claims["aud"], &self.client_id) {
                    return Err(refused());
                }
                claims
            }
            false => serde_json::from_slice(&answer.body).map_err(|_| refused())?,
        };
        // What is said of somebody else must not be taken for this person.
        if claims.get("sub").and_then(Value::as_str) != Some(subject) {
            return Err(refused());
        }
        Ok(claims)
    }

    /// A token under one of the provider's keys.
    async fn signed(&self, discovery: &Discovery, token: &str) -> Result<Jws> {
        let refused = || Error::new(Reason::OidcLoginFailed);
        let jws = Jws::parse(token).map_err(|_| refused())?;
        if !self.algorithms.contains(&jws.compact.algorithm) {
            return Err(refused());
        }
        let source = Source::Jwks(discovery.jwks_uri.clone());
        let kid = jws.compact.kid.as_deref();
        let set = self.keys.keys(&source, kid).await.map_err(Error::unavailable)?;
        let is_signed = set.candidates(kid, jws.compact.algorithm).any(|key| jws.compact.verify(key).is_ok());
        if is_signed { Ok(jws) } else { Err(refused()) }
    }

    /// Checks an ID token and returns its claims.
    pub(crate) async fn verify(&self, discovery: &Discovery, token: &str, nonce: &str) -> Result<Map<String, Value>> {
        let refused = || Error::new(Reason::OidcLoginFailed);
        let jws = self.signed(discovery, token).await?;
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
        if !for_us || for_other || text("nonce") != Some(nonce) || text("sub").is_none_or(str::is_empty) {
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

/// Whether an audience is this client, alone or among others.
fn is_for(audience: &Value, client_id: &str) -> bool {
    match audience {
        Value::String(audience) => audience == client_id,
        Value::Array(all) => all.iter().any(|one| one == client_id),
        _ => false,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_proves_itself_as_the_provider_takes_it() {
        let usable = |taken: Option<&[&str]>, has_secret| {
            let discovery = Discovery {
                issuer: String::new(),
                authorization_endpoint: String::new(),
                token_endpoint: String::new(),
                jwks_uri: String::new(),
                userinfo_endpoint: None,
                token_endpoint_auth_methods_supported: taken
                    .map(|taken| taken.iter().map(|name| (*name).to_owned()).collect()),
                end_session_endpoint: None,
            };
            ClientAuth::usable(&discovery, has_secret).map_err(|error| error.reason())
        };
        use ClientAuth::{Basic, Post};
        assert_eq!(usable(None, true), Ok(vec![Basic]));
        assert_eq!(usable(Some(&["client_secret_post", "client_secret_basic"]), true), Ok(vec![Basic, Post]));
        assert_eq!(usable(Some(&["private_key_jwt", "client_secret_post"]), true), Ok(vec![Post]));
        assert_eq!(usable(Some(&["private_key_jwt"]), true), Err(Reason::Unavailable));
        assert_eq!(usable(Some(&["private_key_jwt"]), false), Ok(vec![ClientAuth::None]));
    }
}
