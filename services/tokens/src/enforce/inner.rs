use std::sync::{
    PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicBool, Ordering},
};

use portolan_jwks::KeySets;
use portolan_outbox::FailureLog;
use portolan_runtime::{Peers, Secrets};
use portolan_store::Db;
use tokio::sync::{Mutex, Notify, watch};

use super::{
    fresh::Fresh, limiter::Limiter, profiles::Profiles, proxy_tokens::ProxyTokens, routes::Routes, rules::EdgeRules,
    shadow::Shadow, verified::VerifiedTokens,
};

/// What the edge of a process knows and works with.
pub(super) struct Inner {
    pub rules: EdgeRules,
    pub proxy_tokens: ProxyTokens,
    pub db: Db,
    pub peers: Peers,
    pub secrets: Secrets,
    pub failures: FailureLog,
    pub replica_id: String,
    pub profiles: RwLock<Profiles>,
    pub routes: RwLock<Routes>,
    pub keys: KeySets,
    pub verified: VerifiedTokens,
    pub limiter: Limiter,
    pub shadow: Shadow,
    pub fresh: Fresh,
    /// Up to which version profiles, endpoints and states of accounts were read.
    pub cursor: Mutex<i64>,
    pub endpoints_cursor: Mutex<i64>,
    pub tenants_cursor: Mutex<i64>,
    pub running: AtomicBool,
    /// Told once, with the first request of a proxy.
    pub begun: Notify,
    pub loaded: watch::Sender<bool>,
}

impl Inner {
    pub fn profiles(&self) -> RwLockReadGuard<'_, Profiles> {
        self.profiles.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn profiles_mut(&self) -> RwLockWriteGuard<'_, Profiles> {
        self.profiles.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn routes(&self) -> RwLockReadGuard<'_, Routes> {
        self.routes.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn routes_mut(&self) -> RwLockWriteGuard<'_, Routes> {
        self.routes.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }
}
