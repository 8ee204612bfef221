//! The text of key files.
//!
//! A root key is 32 bytes in base64, or a TOML document once it was rotated. A derived key is a TOML document that names
//! its service. Both may hold a key that comes next and the one before, each of which opens and hears, and never seals.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portolan_authz::{SERVICES, SPEAKERS, road_key};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Why the keys of an installation cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the text of each variant says what its fields are")]
pub enum SecretsError {
    /// The file cannot be read or written.
    #[error("secret key file {path}: {source}", path = path.display())]
    File { path: PathBuf, source: std::io::Error },
    /// The file holds something else.
    #[error("secret key file {path} {problem}", path = path.display())]
    Form { path: PathBuf, problem: String },
    /// A sealed value does not open.
    #[error("a sealed value cannot be opened with the configured secret key")]
    Sealed,
}

impl SecretsError {
    pub(crate) fn file(path: &Path, source: std::io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }

    pub(crate) fn form(path: &Path, problem: String) -> Self {
        Self::Form { path: path.to_owned(), problem }
    }
}

/// 32 bytes, in base64 where they are written. Never printed.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Key(pub [u8; 32]);

impl TryFrom<String> for Key {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("a key is 32 bytes in base64")
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        STANDARD.encode(key.0)
    }
}

impl Key {
    /// A key for one purpose; other purposes tell nothing of it.
    pub fn derive(&self, purpose: &str) -> Self {
        let digest = Sha256::new().chain_update(b"portolan/").chain_update(purpose).chain_update(b"\0");
        Self(digest.chain_update(self.0).finalize().into())
    }

    /// The first bytes of a key for one purpose, in hex.
    fn hex(&self, purpose: &str, bytes: usize) -> String {
        self.derive(purpose).0[..bytes].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    #[serde(rename = "root key of an installation")]
    Root,
    #[serde(rename = "derived key of a service")]
    Service,
}

/// Where the rotation of a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// There is one key.
    Settled,
    /// Another key is known beside it, and not used yet.
    Announced,
    /// The other key is used, and what stands under the one before is sealed anew.
    Changed,
}

/// What a key file holds.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyFile {
    pub portolan: Kind,
    /// Of a derived key: the service that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// A name of the installation where it shares a server with others.
    pub installation: String,
    /// Stays what it is when the key is rotated.
    pub lasting: Key,
    /// Seals, and signs.
    pub current: Generation,
    /// Takes the place of the current one when every process has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Generation>,
    /// The one before the current one, until nothing is sealed under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<Generation>,
}

/// One key, with what a service needs beside it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Generation {
    pub key: Key,
    /// Tells the root key from another one, and nothing of it.
    pub mark: String,
    /// Of a derived key: by whom the service is heard.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub speaks_to: BTreeMap<String, Key>,
    /// Of a derived key: whom the service hears.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hears: BTreeMap<String, Key>,
}

impl Generation {
    pub fn root(key: Key) -> Self {
        Self { key, mark: key.hex("mark", 16), speaks_to: BTreeMap::new(), hears: BTreeMap::new() }
    }

    /// What of a root key is given to a service.
    fn derive(&self, service: &str) -> Self {
        let roads = self.key.derive("service token");
        let road = |speaker: &str, audience: &str| Key(road_key(&roads.0, speaker, audience));
        let speaks_to = SERVICES.iter().map(|audience| ((*audience).to_owned(), road(service, audience)));
        let hears = SPEAKERS.iter().map(|speaker| ((*speaker).to_owned(), road(speaker, service)));
        Self {
            key: self.key.derive(&format!("service/{service}")),
            mark: self.mark.clone(),
            speaks_to: speaks_to.collect(),
            hears: hears.filter(|_| SERVICES.contains(&service)).collect(),
        }
    }
}

impl KeyFile {
    /// A root key that was never rotated.
    pub fn root(key: Key) -> Self {
        let lasting = key.derive("lasting");
        let installation = lasting.hex("installation", 8);
        let (current, portolan) = (Generation::root(key), Kind::Root);
        Self { portolan, service: None, installation, lasting, current, next: None, former: None }
    }

    /// # Errors
    /// What is wrong with the text, without any of it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Ok(key) = Key::try_from(text.to_owned()) {
            return Ok(Self::root(key));
        }
        if !text.contains("portolan") {
            return Err("must hold 32 bytes in base64, or a key that `portolan keys` wrote".to_owned());
        }
        let file: Self = toml::from_str(text).map_err(|error| format!("is no key file: {}", error.message()))?;
        let generations = || file.generations();
        match (file.portolan, &file.service) {
            (Kind::Root, None) => {
                if generations().any(|one| *one != Generation::root(one.key)) {
                    return Err("is no root key: a mark is not the one of its key".to_owned());
                }
            }
            (Kind::Service, Some(service)) if SPEAKERS.contains(&service.as_str()) => {}
            (Kind::Service, Some(service)) => return Err(format!("is a key of {service}, which is no service")),
            (Kind::Root, Some(_)) => return Err("is a root key and names a service: it is one of both".to_owned()),
            (Kind::Service, None) => return Err("is a derived key and names no service".to_owned()),
        }
        Ok(file)
    }

    /// A root key that was never rotated stays the line that it is.
    pub fn text(&self) -> String {
        let is_plain = self.portolan == Kind::Root && self.next.is_none() && self.former.is_none();
        if is_plain && self.lasting == self.current.key.derive("lasting") {
            return self.current.key.into();
        }
        toml::to_string(self).expect("names and keys always serialize")
    }

    /// The file of a service, from that of the root.
    ///
    /// # Errors
    /// For a derived key, and a name that is no service's.
    pub fn derive(&self, service: &str) -> Result<Self, String> {
        if let Some(own) = &self.service {
            return Err(format!("it is the derived key of {own}: keys are derived from the root key alone"));
        }
        let services = SPEAKERS.iter().filter(|name| **name != portolan_authz::INSTALLATION).copied();
        if !services.clone().any(|name| name == service) {
            return Err(format!("{service} is no service: {}", services.collect::<Vec<_>>().join(", ")));
        }
        let of = |generation: &Generation| generation.derive(service);
        Ok(Self {
            portolan: Kind::Service,
            service: Some(service.to_owned()),
            installation: self.installation.clone(),
            lasting: self.lasting.derive(&format!("service/{service}")),
            current: of(&self.current),
            next: self.next.as_ref().map(of),
            former: self.former.as_ref().map(of),
        })
    }

    /// Where the rotation of a root key stands.
    pub fn stage(&self) -> Stage {
        match (&self.next, &self.former) {
            (Some(_), _) => Stage::Announced,
            (None, Some(_)) => Stage::Changed,
            (None, None) => Stage::Settled,
        }
    }

    /// The file of the stage that follows.
    ///
    /// # Errors
    /// For a derived key.
    pub fn advanced(&self) -> Result<Self, String> {
        if let Some(own) = &self.service {
            return Err(format!("is the derived key of {own}: the root key alone is rotated"));
        }
        let mut file = self.clone();
        match file.stage() {
            Stage::Settled => file.next = Some(Generation::root(Key(rand::random()))),
            Stage::Announced => {
                let next = file.next.take().unwrap_or_else(|| file.current.clone());
                file.former = Some(std::mem::replace(&mut file.current, next));
            }
            Stage::Changed => file.former = None,
        }
        Ok(file)
    }

    /// The current one first.
    pub fn generations(&self) -> impl Iterator<Item = &Generation> {
        std::iter::once(&self.current).chain(&self.next).chain(&self.former)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> KeyFile {
        let mut file = KeyFile::root(Key([7; 32]));
        file.former = Some(Generation::root(Key([6; 32])));
        file
    }

    #[test]
    fn files_are_read_as_they_were_written() {
        let plain = KeyFile::root(Key([7; 32]));
        assert_eq!(plain.text(), STANDARD.encode([7; 32]));
        for file in [plain, root(), root().derive("imports").unwrap(), root().derive("gateway").unwrap()] {
            let read = KeyFile::parse(&file.text()).unwrap_or_else(|error| panic!("{error}"));
            assert!(read.text() == file.text() && read.generations().eq(file.generations()));
        }
    }

    #[test]
    fn each_mistake_is_named() {
        let derived = root().derive("imports").unwrap();
        assert!(derived.derive("billing").err().unwrap().contains("derived key of imports"));
        assert!(root().derive("bill").err().unwrap().contains("bill is no service: identity, tokens"));
        let text = derived.text();
        for (changed, expected) in [
            ("too short".to_owned(), "32 bytes in base64"),
            (STANDARD.encode([7; 31]), "32 bytes in base64"),
            (text.replace("service = \"imports\"\n", ""), "names no service"),
            (text.replace("service = \"imports\"", "service = \"x\""), "no service"),
            (text.replace("derived key of a service", "root key of an installation"), "names a service"),
            (text.replace("lasting", "lastly"), "no key file"),
            (root().text().replace("mark = \"", "mark = \"0"), "mark"),
        ] {
            let error = KeyFile::parse(&changed).err().unwrap_or_else(|| panic!("{expected}"));
            assert!(error.contains(expected), "{error}: {expected}");
            assert!(!error.contains(&STANDARD.encode([7; 32])[..8]), "{error}");
        }
    }

    #[test]
    fn a_derived_file_holds_no_key_of_another_service() {
        let files: Vec<_> = SPEAKERS.iter().filter_map(|name| root().derive(name).ok()).collect();
        assert_eq!(files.len(), SPEAKERS.len() - 1);
        let own = |file: &KeyFile| {
            let keys: Vec<Key> = file.generations().map(|one| one.key).chain([file.lasting]).collect();
            keys
        };
        for one in &files {
            let text = one.text();
            for key in [root().current.key, root().former.unwrap().key, root().lasting] {
                assert!(!text.contains(&String::from(key)), "{:?} holds the root", one.service);
            }
            for other in files.iter().filter(|other| other.service != one.service) {
                assert!(own(other).iter().all(|key| !text.contains(&String::from(*key))));
                // Of the roads that another service speaks on, only those that lead here.
                for (audience, key) in &other.current.speaks_to {
                    let is_known = text.contains(&String::from(*key));
                    assert_eq!(is_known, Some(audience) == one.service.as_ref(), "{:?} {audience}", one.service);
                }
            }
        }
    }
}
