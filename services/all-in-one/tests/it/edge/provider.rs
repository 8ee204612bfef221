//! An identity provider, and tokens good and bad.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto::sign};
use serde_json::{Value, json};

use super::gate::serve;

/// Made for tests; they protect nothing.
const TRUSTED: &str = include_str!("../../../../../crates/jwks/tests/data/trusted.pem");
const ATTACKER: &str = include_str!("../../../../../crates/jwks/tests/data/attacker.pem");

/// Two key pairs of RSA.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pair {
    Trusted,
    Attacker,
}

impl Pair {
    fn signer(self) -> EncodingKey {
        EncodingKey::from_rsa_pem(if self == Self::Trusted { TRUSTED } else { ATTACKER }.as_bytes()).unwrap()
    }

    fn jwk(self, kid: &str) -> Value {
        let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&self.signer(), Algorithm::RS256).unwrap();
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk["kid"] = kid.into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// The public key in PEM, as `openssl pkey -pubout` prints it.
    pub fn public_pem(self) -> String {
        rcgen::KeyPair::from_pem(if self == Self::Trusted { TRUSTED } else { ATTACKER }).unwrap().public_key_pem()
    }
}

pub fn rs256(pair: Pair, header: Value, claims: Value) -> String {
    token(header, claims, &pair.signer(), Algorithm::RS256)
}

pub fn hs256(secret: &[u8], header: Value, claims: Value) -> String {
    token(header, claims, &EncodingKey::from_secret(secret), Algorithm::HS256)
}

fn token(header: Value, claims: Value, key: &EncodingKey, algorithm: Algorithm) -> String {
    let input = format!("{}.{}", part(&header), part(&claims));
    let signature = sign(input.as_bytes(), key, algorithm).unwrap();
    format!("{input}.{signature}")
}

pub fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A provider with a discovery document.
pub struct Provider {
    pub issuer: String,
    state: Arc<Published>,
}

#[derive(Default)]
struct Published {
    issuer: Mutex<String>,
    keys: Mutex<Vec<Value>>,
    is_down: AtomicBool,
    asked: AtomicUsize,
}

impl Provider {
    pub async fn start(keys: &[(Pair, &str)]) -> Self {
        let state = Arc::new(Published::default());
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(published_keys))
            .with_state(state.clone());
        let issuer = format!("http://{}", serve(router).await);
        state.issuer.lock().unwrap().clone_from(&issuer);
        let provider = Self { issuer, state };
        provider.publish(keys);
        provider
    }

    pub fn publish(&self, keys: &[(Pair, &str)]) {
        *self.state.keys.lock().unwrap() = keys.iter().map(|(pair, kid)| pair.jwk(kid)).collect();
    }

    pub fn set_down(&self, is_down: bool) {
        self.state.is_down.store(is_down, Ordering::SeqCst);
    }

    /// How often its keys were asked for.
    pub fn asked(&self) -> usize {
        self.state.asked.load(Ordering::SeqCst)
    }
}

async fn discovery(State(state): State<Arc<Published>>) -> Result<String, StatusCode> {
    if state.is_down.load(Ordering::SeqCst) {
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    let issuer = state.issuer.lock().unwrap().clone();
    Ok(json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")}).to_string())
}

async fn published_keys(State(state): State<Arc<Published>>) -> Result<String, StatusCode> {
    state.asked.fetch_add(1, Ordering::SeqCst);
    if state.is_down.load(Ordering::SeqCst) {
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    Ok(json!({"keys": *state.keys.lock().unwrap()}).to_string())
}
