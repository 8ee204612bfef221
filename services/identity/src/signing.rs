use std::sync::Arc;

use ed25519_dalek::{SigningKey, pkcs8::EncodePrivateKey as _};
use portolan_api::{Error, Result};
use portolan_authz::{CallerClaims, CallerSigner, CallerVerifier, VerifyingKeys};
use portolan_runtime::{Secrets, now_s};
use portolan_store::Db;
use tokio::sync::RwLock;

use crate::{
    model::{sealed::SIGNING_KEY, signing_keys},
    store,
};

/// A key signs for a day; the one before stays valid, so that tokens on their way are still verified.
const KEY_LIFE_S: i64 = 24 * 60 * 60;
/// A key that is older, and none of those that verify, is removed.
const KEY_MEMORY_S: i64 = 7 * KEY_LIFE_S;
/// Keys that verify at a time.
pub(crate) const VALID_KEYS: usize = 2;

/// The keys of caller tokens: the newest signs, the newest two verify.
#[derive(Clone)]
pub(crate) struct Signing {
    db: Db,
    secrets: Secrets,
    current: Arc<RwLock<Current>>,
    verifier: CallerVerifier,
}

struct Current {
    signer: CallerSigner,
    created_at: i64,
}

impl Signing {
    pub(crate) async fn open(db: &Db, secrets: &Secrets) -> Result<Self> {
        let verifier = CallerVerifier::default();
        let current = load(db, secrets, &verifier).await?;
        Ok(Self { db: db.clone(), secrets: secrets.clone(), current: Arc::new(RwLock::new(current)), verifier })
    }

    pub(crate) async fn sign(&self, claims: CallerClaims) -> Result<(String, i64)> {
        self.sign_until(claims, i64::MAX).await
    }

    /// The same, until this time at the latest, in Unix seconds.
    pub(crate) async fn sign_until(&self, claims: CallerClaims, end: i64) -> Result<(String, i64)> {
        if now_s() - self.current.read().await.created_at >= KEY_LIFE_S {
            let mut current = self.current.write().await;
            if now_s() - current.created_at >= KEY_LIFE_S {
                *current = load(&self.db, &self.secrets, &self.verifier).await?;
            }
        }
        self.current.read().await.signer.sign_until(claims, end)
    }

    /// Verifies a token that was signed here or by another identity process on the same database.
    pub(crate) async fn verify(&self, token: &str) -> Result<Arc<CallerClaims>> {
        if !self.verifier.knows_key_of(token) {
            self.verifier.set_keys(&verifying_keys(&self.db).await?);
        }
        self.verifier.verify(token)
    }
}

/// Removes keys that have verified nothing for days: whoever gets hold of the database finds none of the past.
pub(crate) async fn forget_old_keys(db: &Db, now: i64) -> Result<()> {
    store::delete_old_signing_keys(db, now - KEY_MEMORY_S, VALID_KEYS).await
}

/// The public keys that verify at this moment.
pub(crate) async fn verifying_keys(db: &Db) -> Result<VerifyingKeys> {
    let keys = store::list_signing_keys(db, VALID_KEYS).await?;
    Ok(keys.into_iter().map(|key| (key.id, key.public_key)).collect())
}

/// Reads the newest key; makes one when there is none, it has signed for a day, or it does not open.
async fn load(db: &Db, secrets: &Secrets, verifier: &CallerVerifier) -> Result<Current> {
    let newest = store::list_signing_keys(db, 1).await?.pop().filter(|key| now_s() - key.created_at < KEY_LIFE_S);
    let opened = newest.and_then(|key| match secrets.open(&SIGNING_KEY.row(&key.id), &key.private_key) {
        Ok(pkcs8) => Some((key.id, key.created_at, pkcs8)),
        Err(error) => {
            tracing::warn!(key_id = key.id, %error, "a key of caller tokens signs no more: another one is made");
            None
        }
    });
    let (id, created_at, pkcs8) = match opened {
        Some(opened) => opened,
        None => make(db, secrets).await?,
    };
    verifier.set_keys(&verifying_keys(db).await?);
    Ok(Current { signer: CallerSigner::new(id, &pkcs8), created_at })
}

/// Answers id, age and PKCS#8 of a new key.
async fn make(db: &Db, secrets: &Secrets) -> Result<(String, i64, Vec<u8>)> {
    let private = SigningKey::from_bytes(&rand::random());
    let pkcs8 = private.to_pkcs8_der().map_err(Error::internal)?.as_bytes().to_vec();
    let (id, created_at) = (format!("{:016x}", rand::random::<u64>()), now_s());
    let key = signing_keys::SigningKey {
        public_key: private.verifying_key().to_bytes().to_vec(),
        private_key: secrets.seal(&SIGNING_KEY.row(&id), &pkcs8),
        created_at,
        id: id.clone(),
    };
    store::insert_signing_key(db, &key).await?;
    Ok((id, created_at, pkcs8))
}
