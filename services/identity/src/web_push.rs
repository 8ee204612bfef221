//! The client of push services.
//!
//! # Invariants
//! - What is sent is encrypted for the browser (RFC 8291) and signed by the installation's own key (RFC 8292).
//! - An endpoint is an address from outside: it is reached through the guarded client only.

use std::time::Duration;

use base64::{
    Engine as _,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use p256::{
    PublicKey, SecretKey,
    elliptic_curve::sec1::ToEncodedPoint as _,
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _},
};
use portolan_api::{Error, Result};
use portolan_fetch::{Fetch, Request};
use portolan_runtime::now_s;
use serde_json::json;
use web_push_native::Auth;

use crate::{
    model::{push::Device, sealed::INSTALLATION_KEY},
    store,
};

const KEY_NAME: &str = "vapid";
/// Others of the same round wait for the slowest.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(4);
/// How long a push service may keep a message, and how long a signature is good.
const TTL_S: i64 = 12 * 60 * 60;
/// Browsers write their keys with and without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The installation's key, and the client that reaches push services.
#[derive(Clone)]
pub(crate) struct WebPush {
    key: EncodingKey,
    /// Uncompressed point, base64url.
    pub(crate) public_key: String,
    pub(crate) fetch: Fetch,
    /// Whom a push service may write to, as a URL.
    contact: String,
    /// Whether plain HTTP endpoints are taken: only where private addresses may be reached, that is in tests.
    pub(crate) allow_http: bool,
}

impl WebPush {
    /// Reads the key; makes it at the first start.
    ///
    /// # Errors
    /// When the store or the sealed key cannot be read.
    pub(crate) async fn open(
        db: &portolan_store::Db,
        secrets: &portolan_runtime::Secrets,
        fetch: Fetch,
        contact: String,
        allow_http: bool,
    ) -> Result<Self> {
        let place = INSTALLATION_KEY.row(KEY_NAME);
        if let Some((_, sealed)) = store::find_installation_key(db, KEY_NAME).await?
            && let Err(error) = secrets.open(&place, &sealed)
        {
            tracing::warn!(%error, "the key of push messages is made anew: devices have to subscribe again");
            store::delete_installation_key(db, KEY_NAME, sealed).await?;
        }
        if store::find_installation_key(db, KEY_NAME).await?.is_none() {
            let secret = random_key();
            let pkcs8 = secret.to_pkcs8_der().map_err(Error::internal)?;
            let public = secret.public_key().to_encoded_point(false).as_bytes().to_vec();
            let sealed = secrets.seal(&place, pkcs8.as_bytes());
            store::insert_installation_key(db, KEY_NAME, public, sealed, now_s()).await?;
        }
        let (public, sealed) = store::find_installation_key(db, KEY_NAME)
            .await?
            .ok_or_else(|| Error::internal("the key of push messages is missing"))?;
        let pkcs8 = secrets.open(&place, &sealed).map_err(Error::internal)?;
        SecretKey::from_pkcs8_der(&pkcs8).map_err(Error::internal)?;
        Ok(Self {
            key: EncodingKey::from_ec_der(&pkcs8),
            public_key: URL_SAFE_NO_PAD.encode(public),
            fetch,
            contact,
            allow_http,
        })
    }

    /// Sends one message. `Ok(true)`: taken; `Ok(false)`: the device is gone for good.
    pub(crate) async fn send(&self, device: &Device, payload: &str) -> Result<bool, String> {
        let endpoint = url::Url::parse(&device.endpoint).map_err(|error| error.to_string())?;
        let browser = public_key(&device.p256dh).ok_or("the device's key is none")?;
        let auth = auth_secret(&device.auth).ok_or("the device's secret is none")?;
        let body = web_push_native::encrypt(payload.as_bytes().to_vec(), &browser, &auth);
        let claims = json!({
            "aud": endpoint.origin().ascii_serialization(),
            "exp": now_s() + TTL_S,
            "sub": self.contact,
        });
        let token = encode(&Header::new(Algorithm::ES256), &claims, &self.key).map_err(|error| error.to_string())?;
        let request = Request::post(device.endpoint.clone())
            .secret_header("authorization", &format!("vapid t={token}, k={}", self.public_key))
            .header("ttl", &TTL_S.to_string())
            .header("content-encoding", "aes128gcm")
            .header("content-type", "application/octet-stream")
            .redirects_max(0)
            .time_max(ANSWER_TIME_MAX)
            .bytes_max(64 * 1024)
            .body(body.map_err(|error| error.to_string())?);
        let answer = self.fetch.send(request).await.map_err(|error| error.to_string())?;
        match answer.status.as_u16() {
            200..=299 => Ok(true),
            404 | 410 => Ok(false),
            status => Err(format!("the push service answered {status}")),
        }
    }
}

/// The key of a browser, as it writes it.
pub(crate) fn public_key(text: &str) -> Option<PublicKey> {
    PublicKey::from_sec1_bytes(&LENIENT.decode(text).ok()?).ok()
}

/// The secret of a browser, as it writes it.
pub(crate) fn auth_secret(text: &str) -> Option<Auth> {
    <[u8; 16]>::try_from(LENIENT.decode(text).ok()?).ok().map(Auth::from)
}

fn random_key() -> SecretKey {
    loop {
        // All but a few of the 2^256 values are keys.
        if let Ok(key) = SecretKey::from_slice(&rand::random::<[u8; 32]>()) {
            return key;
        }
    }
}
