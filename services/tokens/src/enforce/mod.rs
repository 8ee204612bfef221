//! Enforcement at the edge: which requests of which callers reach a protected API.
//!
//! A proxy asks before it passes a request on. The answer comes from memory: [`Profiles`] by what callers show, and
//! [`Routes`] by host and path. [`feed`] keeps both current.
//!
//! # Invariants
//! - The steps of [`decide`] come in their order, so that a caller learns no more than the first reason to refuse.
//! - What cannot be decided is refused: missing or old knowledge, an unreadable setting, a provider without keys.
//! - Proxy, upstream and this code read the same path, or the request is refused.
//! - Once a change of a profile was answered, no request that comes later is decided by what was before.
//!
//! Start reading at [`decide`].

pub mod credential;
pub mod decide;
mod feed;
mod fresh;
mod host;
mod hosts;
mod ip;
mod limiter;
mod method;
mod mtls;
mod path;
mod policy;
pub mod profile;
mod profiles;
mod routes;
mod settings;
mod shadow;
mod trie;
mod verified;

use std::sync::{
    Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicBool, Ordering},
};
use std::time::Duration;

use portolan_api::Result;
use portolan_authz::Caller as User;
use portolan_fetch::{Fetch, Request};
use portolan_jwks::{FetchFuture, Fetched, HttpGet, KeySets};
use portolan_runtime::{Peers, Process, Secrets, process::BoxError};
use portolan_store::{Db, Dialect};
use tokio::sync::{Mutex, watch};

use crate::store::edge as store;

pub use decide::{Call, Caller, Refusal, Verdict};
pub use host::host_name;
pub use hosts::Hosts;
pub use method::Method;
pub use profile::ProfileRow;
pub use profiles::{AccessToken, Profiles};
pub use routes::{Endpoint, Routes};
pub use settings::Settings;
pub use shadow::{ShadowCount, ShadowKey};

/// The name under which the secret that proxies share is derived.
const TOKEN_PURPOSE: &str = "edge token";
/// How long the first requests wait until the memory is filled.
const FIRST_WAIT: Duration = Duration::from_secs(2);

/// The enforcement of this process. It begins to follow changes with the first request of a proxy.
#[derive(Clone)]
pub struct Edge(Arc<Inner>);

pub(crate) struct Inner {
    settings: Settings,
    /// Of the secret that proxies share with the edge.
    token_digest: profile::Digest,
    db: Db,
    peers: Peers,
    secrets: Secrets,
    replica_id: String,
    profiles: RwLock<Profiles>,
    routes: RwLock<Routes>,
    keys: KeySets,
    verified: verified::VerifiedTokens,
    limiter: limiter::Limiter,
    shadow: shadow::Shadow,
    fresh: fresh::Fresh,
    /// Up to which version profiles, endpoints and states of accounts were read.
    cursor: Mutex<i64>,
    endpoints_cursor: Mutex<i64>,
    tenants_cursor: Mutex<i64>,
    running: AtomicBool,
    loaded: watch::Sender<bool>,
}

/// A shadow endpoint as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShadowEndpoint {
    pub host: String,
    pub method: String,
    pub path: String,
    pub calls: i64,
    /// Unix seconds.
    pub first_seen: i64,
    pub last_seen: i64,
}

impl Edge {
    /// # Errors
    /// What is wrong with the configuration of the edge, or when its counters cannot be opened.
    pub async fn open(process: &Process, db: Db) -> Result<Self, BoxError> {
        let settings = Settings::read(|key| process.config.get(key), derived_token(&process.secrets))?;
        let fetch = Arc::new(Guarded(process.fetch.clone()));
        let (loaded, _) = watch::channel(false);
        Ok(Self(Arc::new(Inner {
            profiles: RwLock::default(),
            routes: RwLock::new(Routes::new(settings.hosts.clone())),
            keys: KeySets::new(fetch, settings.jwks),
            verified: verified::VerifiedTokens::default(),
            limiter: limiter::Limiter::open(process, &db).await?,
            shadow: shadow::Shadow::default(),
            fresh: fresh::Fresh::default(),
            cursor: Mutex::default(),
            endpoints_cursor: Mutex::default(),
            tenants_cursor: Mutex::default(),
            running: AtomicBool::new(false),
            token_digest: profile::digest_of(&settings.token),
            replica_id: uuid::Uuid::new_v4().to_string(),
            settings,
            db,
            peers: process.peers.clone(),
            secrets: process.secrets.clone(),
            loaded,
        })))
    }

    /// Whether a proxy has shown the secret that it shares with the edge.
    pub fn knows_proxy(&self, token: &str) -> bool {
        use subtle::ConstantTimeEq as _;
        // Digests have one length, whatever was shown.
        profile::digest_of(token).ct_eq(&self.0.token_digest).into()
    }

    /// Decides on a request of a proxy.
    pub async fn decide(&self, call: &Call<'_>) -> Verdict {
        self.ready().await;
        decide::decide(&self.0, call).await
    }

    /// Hosts that several accounts name and that are bound to none, with those accounts.
    pub async fn contested_hosts(&self) -> Vec<(String, Vec<i64>)> {
        self.ready().await;
        self.0.routes().contested()
    }

    async fn ready(&self) {
        self.start();
        if !*self.0.loaded.borrow() {
            let mut loaded = self.0.loaded.subscribe();
            // A sender that is gone means what an expired wait means: the decision will refuse.
            let _ = tokio::time::timeout(FIRST_WAIT, loaded.wait_for(|loaded| *loaded)).await;
        }
    }

    /// To be called after the commit of a change to clients, profiles or access tokens, and before its answer: from then
    /// on no process decides by what was before.
    ///
    /// # Errors
    /// When the store does not answer. The change is made, and every process applies it or stops deciding.
    pub async fn settle(&self) -> Result<()> {
        feed::settle(&self.0).await
    }

    /// To be called after the commit of a change to endpoints or to the state of an account, which is told by the feeds of
    /// other services. It takes a number of the change feed itself, and every process reads those feeds before it
    /// acknowledges a number.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn settle_all(&self) -> Result<()> {
        let mut tx = self.0.db.begin().await?;
        crate::changes::next(&mut tx).await?;
        tx.commit().await?;
        self.settle().await
    }

    /// Shadow endpoints of the caller's account, by host, method and path.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn shadow_endpoints(
        &self,
        caller: &User,
        after: &[String; 3],
        limit: i64,
    ) -> Result<Vec<ShadowEndpoint>> {
        feed::write_shadow(&self.0).await;
        store::list_shadow(&self.0.db, caller.account_id, after, limit).await
    }

    /// Writes what was counted and leaves: changes need not wait for this process any more.
    pub async fn stop(&self) {
        feed::write_shadow(&self.0).await;
        if let Err(error) = store::unregister(&self.0.db, &self.0.replica_id).await {
            tracing::warn!(%error, "the edge cannot sign off");
        }
    }

    fn start(&self) {
        // Every decision passes here, so it is read before it is written.
        if !self.0.is_running() && !self.0.running.swap(true, Ordering::AcqRel) {
            let inner = self.0.clone();
            tokio::spawn(async move {
                // One process alone uses a SQLite database: rows of others are of processes that were killed.
                if inner.db.dialect() == Dialect::Sqlite
                    && let Err(error) = store::drop_behind(&inner.db, i64::MAX).await
                {
                    tracing::warn!(%error, "rows of earlier processes stay");
                }
                feed::run(inner).await;
            });
        }
    }
}

/// The secret that proxies share with the edge when none is configured.
pub fn derived_token(secrets: &Secrets) -> String {
    hex::encode(secrets.derive(TOKEN_PURPOSE))
}

impl Inner {
    fn profiles(&self) -> RwLockReadGuard<'_, Profiles> {
        self.profiles.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn profiles_mut(&self) -> RwLockWriteGuard<'_, Profiles> {
        self.profiles.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn routes(&self) -> RwLockReadGuard<'_, Routes> {
        self.routes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn routes_mut(&self) -> RwLockWriteGuard<'_, Routes> {
        self.routes.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }
}

/// Providers are asked through the client that guards every outgoing call.
struct Guarded(Fetch);

impl HttpGet for Guarded {
    fn get<'a>(&'a self, url: &'a str, bytes_max: usize) -> FetchFuture<'a> {
        Box::pin(async move {
            let request = Request::get(url).header("accept", "application/json").bytes_max(bytes_max);
            let answer = self.0.send(request).await.map_err(|error| error.to_string())?;
            if answer.status.as_u16() != 200 {
                return Err(format!("status {}", answer.status.as_u16()));
            }
            let cache_control = answer.header("cache-control").to_owned();
            Ok(Fetched { body: answer.body.to_vec(), cache_control })
        })
    }
}
