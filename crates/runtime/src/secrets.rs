use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    ChaCha20Poly1305, Key, KeyInit as _, Nonce,
    aead::{Aead as _, Payload},
};
use sha2::{Digest as _, Sha256};

use crate::sealed::Place;

const NONCE_BYTES: usize = 12;
pub(crate) const KEY_ID_BYTES: usize = 8;

/// The secret of an installation: seals what must be readable again, and is the root of derived keys.
#[derive(Clone)]
pub struct Secrets {
    key: [u8; 32],
}

#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    #[error("secret key file {path}: {source}")]
    File { path: String, source: std::io::Error },
    #[error("secret key file {path} must hold 32 bytes in base64")]
    Form { path: String },
    #[error("a sealed value cannot be opened with the configured secret key")]
    Sealed,
}

impl Secrets {
    /// Reads the key file.
    ///
    /// # Errors
    /// When there is none, and when it holds no key.
    pub fn load(path: &Path) -> Result<Self, SecretsError> {
        let failed = |source| SecretsError::File { path: path.display().to_string(), source };
        Self::parse(path, &std::fs::read_to_string(path).map_err(failed)?)
    }

    /// Reads the key file; makes it with mode 0600 when there is none.
    pub fn load_or_create(path: &Path) -> Result<Self, SecretsError> {
        let failed = |source| SecretsError::File { path: path.display().to_string(), source };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                create_private(path, STANDARD.encode(rand::random::<[u8; 32]>()).as_bytes()).map_err(failed)?;
                // Another process may have been faster: the key in the file is the key of both.
                std::fs::read_to_string(path).map_err(failed)?
            }
            Err(error) => return Err(failed(error)),
        };
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, SecretsError> {
        let key = STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
        Ok(Self { key: key.ok_or_else(|| SecretsError::Form { path: path.display().to_string() })? })
    }

    /// A key for one purpose; other purposes tell nothing of it.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        Sha256::new()
            .chain_update(b"portolan/")
            .chain_update(purpose)
            .chain_update(b"\0")
            .chain_update(self.key)
            .finalize()
            .into()
    }

    /// A name of the installation where it shares a server with others. It tells nothing of the key.
    pub fn installation(&self) -> String {
        self.derive("installation")[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Tells this key from another one; it tells nothing of the key.
    pub fn mark(&self) -> String {
        self.derive("mark")[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Seals a value for one place; it opens nowhere else. The result begins with the id of the key.
    pub fn seal(&self, place: &Place, value: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload { msg: value, aad: place.as_bytes() };
        let sealed =
            self.cipher().encrypt(&Nonce::from(nonce), payload).expect("values fit the cipher's limit of 256 GiB");
        [&self.key_id()[..], &nonce, &sealed].concat()
    }

    /// # Errors
    /// [`SecretsError::Sealed`] when the value was sealed for another place, under another key, or was changed.
    pub fn open(&self, place: &Place, sealed: &[u8]) -> Result<Vec<u8>, SecretsError> {
        let (key_id, rest) = sealed.split_at_checked(KEY_ID_BYTES).ok_or(SecretsError::Sealed)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SecretsError::Sealed)?;
        if key_id != self.key_id() {
            return Err(SecretsError::Sealed);
        }
        let payload = Payload { msg: text, aad: place.as_bytes() };
        self.cipher().decrypt(&Nonce::from(*nonce), payload).map_err(|_| SecretsError::Sealed)
    }

    /// Which key sealed a value: its first bytes. It tells nothing of the key.
    pub fn key_id(&self) -> [u8; KEY_ID_BYTES] {
        let digest = self.derive("key id");
        std::array::from_fn(|i| digest[i])
    }

    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new(&Key::from(self.derive("seal")))
    }
}

/// SHA-256 in hex: what is stored of a secret that has 128 bits or more, and by what it is cached.
pub fn digest(secret: &str) -> String {
    Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a file that only its owner reads, whole or not at all.
pub fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let unfinished = write_unfinished(path, content)?;
    std::fs::rename(unfinished, path)
}

/// Writes a file that only its owner reads, unless there is one: then that one stays and the answer is false.
pub fn create_private(path: &Path, content: &[u8]) -> std::io::Result<bool> {
    let unfinished = write_unfinished(path, content)?;
    // A link, unlike a name that is moved, never takes the place of another file.
    let linked = std::fs::hard_link(&unfinished, path);
    std::fs::remove_file(unfinished)?;
    match linked {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        other => other.map(|()| true),
    }
}

/// Under a name that no other process has.
fn write_unfinished(path: &Path, content: &[u8]) -> std::io::Result<std::path::PathBuf> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let unfinished = path.with_extension(format!("{:016x}.unfinished", rand::random::<u64>()));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    Ok(unfinished)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_in_its_own_row_of_its_own_column_alone() {
        const KEYS: crate::sealed::Column = crate::sealed_column!("signing_keys", "private_key", "key_id", Text, Bytes);
        const URLS: crate::sealed::Column = crate::sealed_column!("signing_keys", "url", "key_id", Text, Bytes);
        let secrets = Secrets { key: [7; 32] };
        let place = KEYS.row("a");
        let sealed = secrets.seal(&place, b"private");
        assert_eq!(secrets.open(&place, &sealed).unwrap(), b"private");
        assert!(sealed.starts_with(&secrets.key_id()));
        assert!(secrets.open(&KEYS.row("b"), &sealed).is_err());
        assert!(secrets.open(&URLS.row("a"), &sealed).is_err());
        assert!(Secrets { key: [8; 32] }.open(&place, &sealed).is_err());
        assert!(secrets.open(&place, &sealed[..sealed.len() - 1]).is_err());
        assert!(secrets.open(&place, b"short").is_err());
    }
}
