//! Trouble between the processes of an installation: what an operator must mend, and no client can.

use std::{
    collections::HashMap,
    fmt::Display,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Metadata of a refusal that tells the calling process what is wrong with it.
pub const PEER_FAULT_HEADER: &str = "x-portolan-peer-fault";

/// The same trouble with the same peer is logged once in this time; each occurrence is counted.
const LOG_EVERY: Duration = Duration::from_secs(1);
/// Peers that are remembered for that. Beyond it the memory begins anew.
const PEERS_MAX: usize = 256;

/// Why processes of one installation do not trust each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerFault {
    /// They have different secret keys.
    Key,
    /// Their clocks differ too much.
    Clock,
    /// A certificate is of another authority, of another name, or out of its time.
    Certificate,
}

impl PeerFault {
    /// As in metrics, logs and metadata.
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Clock => "clock",
            Self::Certificate => "certificate",
        }
    }

    /// Reads back what [`PeerFault::name`] wrote.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Key, Self::Clock, Self::Certificate].into_iter().find(|fault| fault.name() == name)
    }

    /// Counts an occurrence and writes an ERROR line that names the peer and the cause.
    pub fn note(self, peer: impl Display, cause: impl Display) {
        static LOGGED: Mutex<Option<HashMap<(PeerFault, String), Instant>>> = Mutex::new(None);
        metrics::counter!("portolan_peer_faults_total", "fault" => self.name()).increment(1);
        let peer = peer.to_string();
        {
            let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
            let logged = logged.get_or_insert_default();
            if logged.get(&(self, peer.clone())).is_some_and(|at| at.elapsed() < LOG_EVERY) {
                return;
            }
            if logged.len() >= PEERS_MAX {
                logged.clear();
            }
            logged.insert((self, peer.clone()), Instant::now());
        }
        tracing::error!(%peer, fault = self.name(), %cause, "processes of this installation do not trust each other");
    }
}
