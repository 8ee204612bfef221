use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use portolan_api::Result;
use portolan_runtime::Secrets;
use portolan_store::Db;

use crate::{
    model::{audit_key::Key, sealed::AUDIT_KEY},
    store::audit as store,
};

/// Under which the key of the audit is derived.
const PURPOSE: &str = "audit";

/// The keys of the audit: the current one is derived from the secret key; former ones are sealed under it.
#[derive(Clone)]
pub struct AuditKeys {
    secrets: Secrets,
    former: Arc<RwLock<HashMap<String, Key>>>,
}

impl AuditKeys {
    /// Reads the former keys.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn read(db: &Db, secrets: &Secrets) -> Result<Self> {
        let mut former = HashMap::new();
        for (key_id, sealed) in store::list_keys(db).await? {
            let opened = secrets.open(&AUDIT_KEY.row(&key_id), &sealed).ok().and_then(|bytes| bytes.try_into().ok());
            match opened.map(Key::new).filter(|key| key.id == key_id) {
                Some(key) => drop(former.insert(key_id, key)),
                None => tracing::error!(key_id, "a former key of the audit cannot be opened"),
            }
        }
        Ok(Self { secrets: secrets.clone(), former: Arc::new(RwLock::new(former)) })
    }

    /// The key that chains, seals and signs.
    pub fn current(&self) -> Key {
        Key::new(self.secrets.derive(PURPOSE))
    }

    /// A key that this installation has or had; nothing for a key that is not known here.
    pub fn find(&self, key_id: &str) -> Option<Key> {
        let current = self.current();
        if current.id == key_id {
            return Some(current);
        }
        self.former.read().unwrap_or_else(PoisonError::into_inner).get(key_id).cloned()
    }

    /// Keeps the current key for the time when it is a former one.
    pub(super) async fn keep_current(&self, db: &Db) -> Result<()> {
        let current = self.current();
        if self.former.read().unwrap_or_else(PoisonError::into_inner).contains_key(&current.id) {
            return Ok(());
        }
        store::insert_key(db, &current.id, self.secrets.seal(&AUDIT_KEY.row(&current.id), current.bytes())).await?;
        self.former.write().unwrap_or_else(PoisonError::into_inner).insert(current.id.clone(), current);
        Ok(())
    }
}
