//! The keys of a process: read from its key file, and again whenever that is another one.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use portolan_authz::{INSTALLATION, RoadKeys, SERVICES, ServiceAuth, road_key};

use crate::{
    key_file::{Generation, Key, KeyFile, Kind, SecretsError, Stage},
    private_file::{create_private, write_private},
};

/// How often the file is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A key that the file has no longer still opens and hears for this long: tokens on their way, and what was sealed before
/// the file was looked at.
const DROPPED_KEPT: Duration = Duration::from_secs(120);

/// The keys of a process. Shared by everything in it, so that all of it has the same ones at any moment.
pub struct Keys {
    path: PathBuf,
    state: RwLock<State>,
    /// Goes up with every change.
    version: AtomicU64,
}

struct State {
    text: String,
    file: KeyFile,
    dropped: Vec<(Generation, Instant)>,
}

impl State {
    /// The current one first.
    fn generations(&self) -> impl Iterator<Item = &Generation> {
        self.file.generations().chain(self.dropped.iter().map(|(generation, _)| generation))
    }
}

impl Keys {
    /// Reads the key file.
    ///
    /// # Errors
    /// When there is none, and when it holds no key.
    pub fn load(path: &Path) -> Result<Arc<Self>, SecretsError> {
        let text = std::fs::read_to_string(path).map_err(|source| SecretsError::file(path, source))?;
        let file = KeyFile::parse(&text).map_err(|problem| SecretsError::form(path, problem))?;
        let state = RwLock::new(State { text, file, dropped: Vec::new() });
        Ok(Arc::new(Self { path: path.to_owned(), state, version: AtomicU64::new(0) }))
    }

    /// Reads the key file; makes a root key with mode 0600 when there is none.
    ///
    /// # Errors
    /// When it can be neither read nor made, and when it holds no key.
    pub fn load_or_create(path: &Path) -> Result<Arc<Self>, SecretsError> {
        if !path.exists() {
            let text: String = Key(rand::random()).into();
            // Another process may be faster: the key in the file is the key of both.
            create_private(path, text.as_bytes()).map_err(|source| SecretsError::file(path, source))?;
        }
        Self::load(path)
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes up when the keys change.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Where the keys are read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether they are what a process of this service may start with: the root key, or the derived key of that service.
    /// Without a service, every service runs in the process, and the root key alone will do.
    ///
    /// # Errors
    /// Names the file, what it holds and what is needed.
    pub fn expect(&self, service: Option<&str>) -> Result<(), SecretsError> {
        let state = self.state();
        let Some(own) = &state.file.service else { return Ok(()) };
        let problem = match service {
            Some(service) if service == own => return Ok(()),
            Some(service) => {
                format!("is the derived key of {own}, and this is {service}: `portolan keys derive {service}`")
            }
            None => format!("is the derived key of {own}; a process of several services needs the root key"),
        };
        Err(SecretsError::form(&self.path, problem))
    }

    /// How the process knows its peers, speaking as one of the services or as [`INSTALLATION`].
    pub fn auth(self: &Arc<Self>, speaker: &str) -> ServiceAuth {
        ServiceAuth::with_keys(self.clone(), speaker)
    }

    /// As whom a command at the machine speaks: with a derived key as its service.
    pub fn speaker(&self) -> String {
        self.state().file.service.clone().unwrap_or_else(|| INSTALLATION.to_owned())
    }

    /// A name of the installation where it shares a server with others. It tells nothing of the key.
    pub fn installation(&self) -> String {
        self.state().file.installation.clone()
    }

    /// Tells the current root key from another one; it tells nothing of the key.
    pub fn mark(&self) -> String {
        self.state().file.current.mark.clone()
    }

    /// Tells which keys there are, and which of them is used, the same of root keys and of those derived from them.
    pub fn state_mark(&self) -> String {
        let state = self.state();
        let mark =
            |generation: &Option<Generation>| generation.as_ref().map(|one| one.mark.clone()).unwrap_or_default();
        format!("{}/{}/{}", mark(&state.file.next), state.file.current.mark, mark(&state.file.former))
    }

    /// Whether one of the keys has this mark.
    pub fn has_mark(&self, mark: &str) -> bool {
        self.state().generations().any(|generation| generation.mark == mark)
    }

    /// The text of the key file of a service.
    ///
    /// # Errors
    /// When these are no root keys, or the name is no service's.
    pub fn derived_file(&self, service: &str) -> Result<String, SecretsError> {
        let derived = self.state().file.derive(service);
        Ok(derived.map_err(|problem| SecretsError::form(&self.path, problem))?.text())
    }

    /// Where a rotation stands.
    pub fn stage(&self) -> Stage {
        self.state().file.stage()
    }

    /// Writes the stage of the rotation that follows, and reads it.
    ///
    /// # Errors
    /// For derived keys, and when the file cannot be written.
    pub fn advance(&self) -> Result<(), SecretsError> {
        let advanced = self.state().file.advanced().map_err(|problem| SecretsError::form(&self.path, problem))?;
        write_private(&self.path, advanced.text().as_bytes())
            .map_err(|source| SecretsError::file(&self.path, source))?;
        self.look();
        Ok(())
    }

    /// The keys of a service: the current one, and the others that open.
    pub(crate) fn of_service(&self, service: &str) -> (Key, Vec<Key>) {
        let state = self.state();
        let is_root = state.file.portolan == Kind::Root;
        let of = |generation: &Generation| match is_root {
            true => generation.key.derive(&format!("service/{service}")),
            false => generation.key,
        };
        let mut keys = state.generations().map(of);
        (keys.next().expect("there is a current key"), keys.collect())
    }

    /// The keys of a service that seal no more: what stands under them is sealed anew.
    pub(crate) fn former_of_service(&self, service: &str) -> Vec<Key> {
        let (_, others) = self.of_service(service);
        let has_next = self.state().file.next.is_some();
        others.into_iter().skip(usize::from(has_next)).collect()
    }

    pub(crate) fn lasting_of_service(&self, service: &str) -> Key {
        let state = self.state();
        match state.file.portolan {
            Kind::Root => state.file.lasting.derive(&format!("service/{service}")),
            Kind::Service => state.file.lasting,
        }
    }

    /// Looks at the file again; answers whether the keys are others.
    pub(crate) fn look(&self) -> bool {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.dropped.retain(|(_, at)| at.elapsed() < DROPPED_KEPT);
        // A file that is being replaced is looked at the next time.
        let Ok(text) = std::fs::read_to_string(&self.path) else { return false };
        if text == state.text {
            return false;
        }
        state.text.clone_from(&text);
        let path = self.path.display();
        let file = match KeyFile::parse(&text) {
            Ok(file) => file,
            Err(problem) => {
                tracing::error!("secret key file {path} {problem}: the keys before it stay");
                return false;
            }
        };
        let is_known = file.generations().any(|new| state.generations().any(|known| known.mark == new.mark));
        if !is_known || file.service != state.file.service {
            tracing::error!("{path} holds the keys of another installation or service: those before it stay");
            return false;
        }
        let gone = state.file.generations().filter(|known| !file.generations().any(|new| new.mark == known.mark));
        let gone: Vec<_> = gone.map(|generation| (generation.clone(), Instant::now())).collect();
        state.dropped.retain(|(known, _)| !file.generations().any(|new| new.mark == known.mark));
        state.dropped.extend(gone);
        state.file = file;
        drop(state);
        self.version.fetch_add(1, Ordering::AcqRel);
        tracing::info!("secret key file {path} was read again");
        true
    }
}

impl RoadKeys for Keys {
    fn road_keys(&self, speaker: &str, audience: &str) -> Vec<[u8; 32]> {
        let state = self.state();
        let own = state.file.service.as_deref();
        let road = |generation: &Generation| match own {
            None => Some(road_key(&generation.key.derive("service token").0, speaker, audience)),
            Some(own) if own == speaker => generation.speaks_to.get(audience).map(|key| key.0),
            Some(own) if own == audience => generation.hears.get(speaker).map(|key| key.0),
            Some(_) => None,
        };
        if !SERVICES.contains(&audience) {
            return Vec::new();
        }
        state.generations().filter_map(road).collect()
    }
}
