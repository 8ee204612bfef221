//! The keys by which services speak to each other: one for each pair of who speaks and who listens.

use sha2::{Digest as _, Sha256};

/// Who speaks for the installation as a whole: the one process, and commands at the machine.
pub const INSTALLATION: &str = "installation";
/// The services, which listen.
pub const SERVICES: [&str; 5] = ["identity", "tokens", "inventory", "imports", "billing"];
/// Whoever speaks.
pub const SPEAKERS: [&str; 7] = ["identity", "tokens", "inventory", "imports", "billing", "gateway", INSTALLATION];

/// The keys that a process has.
pub trait RoadKeys: Send + Sync {
    /// The keys by which `speaker` speaks to `audience`, the one to sign with first; none where this process is neither.
    fn road_keys(&self, speaker: &str, audience: &str) -> Vec<[u8; 32]>;
}

/// Every road, from their root.
pub struct RootRoads(pub [u8; 32]);

impl RoadKeys for RootRoads {
    fn road_keys(&self, speaker: &str, audience: &str) -> Vec<[u8; 32]> {
        vec![road_key(&self.0, speaker, audience)]
    }
}

/// The key of one road; it tells nothing of the root and of the other roads.
pub fn road_key(root: &[u8; 32], speaker: &str, audience: &str) -> [u8; 32] {
    let road = Sha256::new().chain_update(b"portolan/road/").chain_update(speaker).chain_update(b"\0");
    road.chain_update(audience).chain_update(b"\0").chain_update(root).finalize().into()
}

/// The service that an RPC belongs to, by its path `/portolan.SERVICE.v1.Name/Method`; empty for what belongs to none.
pub fn service_of(path: &str) -> &str {
    path.strip_prefix("/portolan.").and_then(|rest| rest.split('.').next()).unwrap_or_default()
}
