use std::sync::Arc;

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit as _, Nonce,
    aead::{Aead as _, Payload},
};
use sha2::{Digest as _, Sha256};

use crate::{
    key_file::{Key, SecretsError},
    keys::Keys,
    sealed::{SealedPlace, SealedRow},
};

const NONCE_BYTES: usize = 12;
const KEY_ID_BYTES: usize = 8;

/// Which key sealed a value: the first bytes of it. It tells nothing of the key.
pub type KeyId = [u8; KEY_ID_BYTES];

/// The secrets of one service: seals what must be readable again, and derives keys for its purposes. What another service
/// seals or derives is out of its reach.
#[derive(Clone)]
pub struct Secrets {
    keys: Arc<Keys>,
    service: Arc<str>,
}

impl Secrets {
    /// Of a service, from the root keys or from its own derived ones.
    ///
    /// # Errors
    /// When the keys are derived ones of another service.
    pub fn of(keys: &Arc<Keys>, service: &str) -> Result<Self, SecretsError> {
        keys.expect(Some(service))?;
        Ok(Self { keys: keys.clone(), service: service.into() })
    }

    /// The keys of the process.
    pub fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// A key for one purpose; other purposes tell nothing of it. It is another one after the key was rotated.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        self.keys.of_service(&self.service).0.derive(purpose).0
    }

    /// The same, followed by those from keys that come next or were before: whoever shows one of them may not have
    /// learned of the rotation.
    pub fn derive_each(&self, purpose: &str) -> Vec<[u8; 32]> {
        let (current, others) = self.keys.of_service(&self.service);
        std::iter::once(current).chain(others).map(|key| key.derive(purpose).0).collect()
    }

    /// A key for one purpose that stays what it is when the key is rotated.
    pub fn derive_lasting(&self, purpose: &str) -> [u8; 32] {
        self.keys.lasting_of_service(&self.service).derive(purpose).0
    }

    /// Seals a value for one place; it opens nowhere else. The result begins with the id of the key.
    pub fn seal(&self, place: &SealedPlace, value: &[u8]) -> Vec<u8> {
        let (key, _) = self.keys.of_service(&self.service);
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload { msg: value, aad: place.as_bytes() };
        let sealed = cipher(key).encrypt(&Nonce::from(nonce), payload);
        [&key_id(key)[..], &nonce, &sealed.expect("values fit the cipher's limit of 256 GiB")].concat()
    }

    /// # Errors
    /// [`SecretsError::Sealed`] when the value was sealed for another place, under another key, or was changed.
    pub fn open(&self, place: &SealedPlace, sealed: &[u8]) -> Result<Vec<u8>, SecretsError> {
        let (id, rest) = sealed.split_at_checked(KEY_ID_BYTES).ok_or(SecretsError::Sealed)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SecretsError::Sealed)?;
        let (current, others) = self.keys.of_service(&self.service);
        let key = std::iter::once(current).chain(others).find(|key| key_id(*key) == id).ok_or(SecretsError::Sealed)?;
        let payload = Payload { msg: text, aad: place.as_bytes() };
        cipher(key).decrypt(&Nonce::from(*nonce), payload).map_err(|_| SecretsError::Sealed)
    }

    /// Opens a value where it stands.
    ///
    /// # Errors
    /// As [`Secrets::open`].
    pub fn open_row(&self, row: &SealedRow) -> Result<Vec<u8>, SecretsError> {
        self.open(&row.place, &row.sealed)
    }

    /// The id of the key that seals.
    pub fn key_id(&self) -> KeyId {
        key_id(self.keys.of_service(&self.service).0)
    }

    /// The ids of the keys that seal no more.
    pub fn former_key_ids(&self) -> Vec<KeyId> {
        self.keys.former_of_service(&self.service).into_iter().map(key_id).collect()
    }
}

fn key_id(key: Key) -> KeyId {
    let digest = key.derive("key id").0;
    std::array::from_fn(|i| digest[i])
}

fn cipher(key: Key) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(&chacha20poly1305::Key::from(key.derive("seal").0))
}

/// SHA-256 in hex: what is stored of a secret that has 128 bits or more, and by what it is cached.
pub fn digest(secret: &str) -> String {
    Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sealed::Column, sealed_column};

    const KEYS: Column = sealed_column!("signing_keys", "private_key", "key_id", Text, Bytes);
    const URLS: Column = sealed_column!("signing_keys", "url", "key_id", Text, Bytes);

    #[test]
    fn a_sealed_value_opens_in_its_own_row_of_its_own_column_alone() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::load_or_create(&folder.path().join("secret-key")).unwrap();
        let other = Keys::load_or_create(&folder.path().join("other")).unwrap();
        let secrets = Secrets::of(&keys, "identity").unwrap();
        let place = KEYS.row("a");
        let sealed = secrets.seal(&place, b"private");
        assert_eq!(secrets.open(&place, &sealed).unwrap(), b"private");
        assert!(sealed.starts_with(&secrets.key_id()));
        assert!(secrets.open(&KEYS.row("b"), &sealed).is_err());
        assert!(secrets.open(&URLS.row("a"), &sealed).is_err());
        assert!(Secrets::of(&keys, "tokens").unwrap().open(&place, &sealed).is_err());
        assert!(Secrets::of(&other, "identity").unwrap().open(&place, &sealed).is_err());
        assert!(secrets.open(&place, &sealed[..sealed.len() - 1]).is_err());
        assert!(secrets.open(&place, b"short").is_err());
    }

    #[test]
    fn a_derived_key_does_what_the_root_does_for_its_service_alone() {
        let folder = tempfile::tempdir().unwrap();
        let root = Keys::load_or_create(&folder.path().join("secret-key")).unwrap();
        let file = folder.path().join("imports.key");
        crate::write_private(&file, root.derived_file("imports").unwrap().as_bytes()).unwrap();
        let derived = Keys::load(&file).unwrap();
        assert_eq!((derived.mark(), derived.installation()), (root.mark(), root.installation()));

        let (of_root, own) = (Secrets::of(&root, "imports").unwrap(), Secrets::of(&derived, "imports").unwrap());
        let place = KEYS.row("a");
        assert_eq!(own.open(&place, &of_root.seal(&place, b"v")).unwrap(), b"v");
        assert_eq!(of_root.open(&place, &own.seal(&place, b"v")).unwrap(), b"v");
        assert_eq!(own.derive("p"), of_root.derive("p"));
        assert_eq!(own.derive_lasting("p"), of_root.derive_lasting("p"));

        let refused = Secrets::of(&derived, "billing").err().unwrap().to_string();
        assert!(refused.contains("the derived key of imports, and this is billing"), "{refused}");
        assert!(derived.expect(None).unwrap_err().to_string().contains("needs the root key"));
        assert!(derived.derived_file("imports").is_err());

        let say = |keys: &Arc<Keys>, speaker: &str, audience: &str| keys.auth(speaker).token(audience);
        let heard = root.auth("billing").verify(&say(&derived, "imports", "billing").unwrap(), Some("billing"));
        assert_eq!(heard.unwrap().as_ref(), "imports");
        let heard = derived.auth("imports").verify(&say(&root, "identity", "imports").unwrap(), Some("imports"));
        assert_eq!(heard.unwrap().as_ref(), "identity");
        for (speaker, audience) in [("identity", "billing"), ("installation", "tokens"), ("billing", "identity")] {
            assert!(say(&derived, speaker, audience).is_err(), "imports speaks as {speaker}");
        }
    }
}
