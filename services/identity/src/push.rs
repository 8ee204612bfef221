//! Push messages to the browsers of an account's users.
//!
//! # Invariants
//! - A message that was queued is tried until the push service takes it, refuses the device for good, or the last
//!   attempt failed; a crash repeats at most the attempt under way.
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
use portolan_api::{Error, Reason, Result};
use portolan_authz::Caller;
use portolan_fetch::{Fetch, Request};
use portolan_outbox::notice::{self, Notice};
use serde_json::json;
use web_push_native::Auth;

use crate::{
    Deps, grants,
    history::{self, Change},
    now_s, store,
};

const KEY_NAME: &str = "vapid";
/// Where the private key is sealed.
const KEY_PLACE: &str = "installation_keys.vapid";
/// Devices of one user in one account; an older one goes when there are more.
const DEVICES_MAX: i64 = 20;
const ENDPOINT_BYTES_MAX: usize = 2_000;
const TITLE_CHARS_MAX: usize = 200;
const BODY_CHARS_MAX: usize = 1_000;
/// A message is tried this often, over about four hours.
const ATTEMPTS_MAX: i64 = 8;
const BACKOFF_S: i64 = 60;
/// A message that was taken is remembered for a day, so that queueing it again changes nothing.
const REMEMBERED_S: i64 = 24 * 60 * 60;
/// Attempts that stand for a message that was taken.
const TAKEN: i64 = 1_000;
/// An attempt is over after this, whatever happens to its process.
const LEASE_S: i64 = 60;
const BATCH: i64 = 20;
const IDLE: Duration = Duration::from_secs(1);
/// How long a push service may keep a message, and how long a signature is good.
const TTL_S: i64 = 12 * 60 * 60;
/// Browsers write their keys with and without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A browser that takes messages.
#[derive(Clone, Debug)]
pub struct Device {
    pub endpoint_digest: String,
    pub endpoint: String,
    pub p256dh: String,
    pub auth: String,
}

/// A message for one device whose time has come.
#[derive(Clone, Debug)]
pub struct Due {
    pub account_id: i64,
    pub message_id: String,
    pub user_id: i64,
    pub endpoint_digest: String,
    pub payload: String,
    /// With the one that begins now.
    pub attempts: i64,
}

/// The installation's key, and the client that reaches push services.
#[derive(Clone)]
pub struct Push {
    key: EncodingKey,
    /// Uncompressed point, base64url.
    pub public_key: String,
    fetch: Fetch,
    /// Whom a push service may write to, as a URL.
    contact: String,
    /// Whether plain HTTP endpoints are taken: only where private addresses may be reached, that is in tests.
    allow_http: bool,
}

impl Push {
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
        if store::find_installation_key(db, KEY_NAME).await?.is_none() {
            let secret = random_key();
            let pkcs8 = secret.to_pkcs8_der().map_err(Error::internal)?;
            let public = secret.public_key().to_encoded_point(false).as_bytes().to_vec();
            let sealed = secrets.seal(KEY_PLACE, pkcs8.as_bytes());
            store::insert_installation_key(db, KEY_NAME, public, sealed, now_s()).await?;
        }
        let (public, sealed) = store::find_installation_key(db, KEY_NAME)
            .await?
            .ok_or_else(|| Error::internal("the key of push messages is missing"))?;
        let pkcs8 = secrets.open(KEY_PLACE, &sealed).map_err(Error::internal)?;
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
    async fn send(&self, device: &Device, payload: &str) -> Result<bool, String> {
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

/// Remembers a browser of the caller.
///
/// # Errors
/// `SUBSCRIPTION_INVALID`.
pub async fn subscribe(deps: &Deps, caller: &Caller, endpoint: &str, p256dh: &str, auth: &str) -> Result<()> {
    let invalid = || Error::new(Reason::SubscriptionInvalid);
    let scheme_ok = endpoint.starts_with("https://") || (deps.push.allow_http && endpoint.starts_with("http://"));
    if !scheme_ok || endpoint.len() > ENDPOINT_BYTES_MAX || public_key(p256dh).is_none() || auth_secret(auth).is_none()
    {
        return Err(invalid());
    }
    deps.push.fetch.check(endpoint).map_err(|_| invalid())?;
    let device = Device {
        endpoint_digest: portolan_runtime::digest(endpoint),
        endpoint: endpoint.to_owned(),
        p256dh: p256dh.to_owned(),
        auth: auth.to_owned(),
    };
    let mut tx = deps.db.begin().await?;
    store::upsert_device(&mut tx, caller.account_id, caller.user_id, &device, now_s()).await?;
    store::delete_old_devices(&mut tx, caller.account_id, caller.user_id, DEVICES_MAX).await?;
    let change = Change::of("push_device", &device.endpoint_digest[..16]).by("push.subscribe");
    history::record(&mut tx, caller, change).await?;
    Ok(tx.commit().await?)
}

/// Queues a message for every device whose user may read any of the notice, with what they may read; returns for how
/// many. A message of an id is sent once.
pub async fn notify(deps: &Deps, notice: &Notice, message_id: &str) -> Result<i64> {
    let account_id = notice.account_id;
    let cut = |text: &str, chars: usize| text.chars().take(chars).collect::<String>();
    let scopes = notice::scopes(notice);
    let mut bodies: Vec<(i64, String)> = Vec::new();
    for user_id in store::users_with_devices(&deps.db, account_id).await? {
        let mut grants = notice::Grants::new();
        for scope in &scopes {
            grants.insert(*scope, grants::get(deps, account_id, user_id, *scope).await?);
        }
        bodies.extend(notice::text(notice, user_id, &grants).map(|body| (user_id, body)));
    }
    let id = if message_id.is_empty() { uuid::Uuid::now_v7().to_string() } else { message_id.to_owned() };
    let mut tx = deps.db.begin().await?;
    let mut queued = 0;
    for (user_id, body) in bodies {
        let payload = json!({
            "title": cut(&notice.title, TITLE_CHARS_MAX),
            "body": cut(&body, BODY_CHARS_MAX),
            "url": cut(&notice.url, ENDPOINT_BYTES_MAX / 2),
        });
        let payload = payload.to_string();
        queued += store::insert_messages(&mut tx, account_id, user_id, &id, &payload, now_s()).await?;
    }
    tx.commit().await?;
    Ok(queued)
}

/// Sends what is due, until the process ends.
pub(crate) async fn deliver(deps: Deps) {
    loop {
        match deliver_due(&deps).await {
            Ok(0) => tokio::time::sleep(IDLE).await,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "push messages could not be read");
                tokio::time::sleep(IDLE * 10).await;
            }
        }
    }
}

async fn deliver_due(deps: &Deps) -> Result<usize> {
    let now = now_s();
    let due = store::lease_messages(&deps.db, now, now + LEASE_S, BATCH).await?;
    let outcomes = futures::future::join_all(due.iter().map(|due| deliver_one(deps, due))).await;
    outcomes.into_iter().collect::<Result<Vec<()>>>()?;
    Ok(due.len())
}

async fn deliver_one(deps: &Deps, due: &Due) -> Result<()> {
    if due.attempts > ATTEMPTS_MAX {
        return store::delete_message(&deps.db, due).await;
    }
    let Some(device) = store::find_device(&deps.db, due).await? else {
        return store::delete_message(&deps.db, due).await;
    };
    match deps.push.send(&device, &due.payload).await {
        Ok(true) => store::delay_message(&deps.db, due, now_s() + REMEMBERED_S, TAKEN).await,
        Ok(false) => {
            let mut tx = deps.db.begin().await?;
            store::delete_device(&mut tx, due).await?;
            Ok(tx.commit().await?)
        }
        Err(error) => {
            tracing::info!(%error, attempts = due.attempts, "a push message was not taken");
            let wait_s = BACKOFF_S << (due.attempts - 1).clamp(0, 7);
            store::delay_message(&deps.db, due, now_s() + wait_s, due.attempts).await
        }
    }
}

fn public_key(text: &str) -> Option<PublicKey> {
    PublicKey::from_sec1_bytes(&LENIENT.decode(text).ok()?).ok()
}

fn auth_secret(text: &str) -> Option<Auth> {
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
