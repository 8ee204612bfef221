use std::{
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use portolan_api::{Reason, Result};
use portolan_authz::{FailedAuthentication, Shown};
use portolan_ids::AccountId;
use portolan_jwks::KeySets;
use portolan_outbox::FailureLog;
use portolan_runtime::{Process, process::BoxError};
use portolan_store::{Db, Dialect, Tx};
use tokio::sync::{Mutex, Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{
    decide, feed,
    fresh::Fresh,
    inner::Inner,
    key_source::Guarded,
    limiter::Limiter,
    proxy_tokens::ProxyTokens,
    routes::Routes,
    rules::EdgeRules,
    shadow::Shadow,
    verdict::{Call, Verdict},
    verified::VerifiedTokens,
};
use crate::{changes, model::edge::ShadowEndpoint, options::EdgeOptions, store::edge as store};

/// How long the first requests wait until the memory is filled.
const FIRST_WAIT: Duration = Duration::from_secs(2);

/// The enforcement of this process. It begins to follow changes with the first request of a proxy.
#[derive(Clone)]
pub struct Edge(Arc<Inner>);

impl Edge {
    /// # Errors
    /// What is wrong with the configuration of the edge, or when its counters cannot be opened.
    pub async fn open(
        process: &Process,
        db: Db,
        failures: FailureLog,
        options: &EdgeOptions,
    ) -> Result<Self, BoxError> {
        let secrets = process.secrets("tokens")?;
        let rules = EdgeRules::read(options)?;
        let fetch = Arc::new(Guarded(process.fetch.clone()));
        let (loaded, _) = watch::channel(false);
        Ok(Self(Arc::new(Inner {
            profiles: RwLock::default(),
            routes: RwLock::new(Routes::new(rules.hosts.clone())),
            keys: KeySets::new(fetch, rules.jwks),
            verified: VerifiedTokens::default(),
            limiter: Limiter::open(process, &db).await?,
            shadow: Shadow::default(),
            fresh: Fresh::default(),
            cursor: Mutex::default(),
            endpoints_cursor: Mutex::default(),
            tenants_cursor: Mutex::default(),
            running: AtomicBool::new(false),
            begun: Notify::new(),
            proxy_tokens: ProxyTokens::new(&rules.token, &secrets),
            replica_id: uuid::Uuid::new_v4().to_string(),
            rules,
            db,
            peers: process.peers.clone(),
            secrets,
            failures,
            loaded,
        })))
    }

    /// Whether a proxy has shown the secret that it shares with the edge.
    pub fn knows_proxy(&self, token: &str) -> bool {
        self.0.proxy_tokens.contains(token)
    }

    /// Puts the secret of a proxy that is not known into the audit.
    pub fn refuse_proxy(&self, token: &str, address: &str) {
        let (shown, reason) = (Shown::EdgeProxy, Reason::Unauthenticated);
        self.0.failures.note(FailedAuthentication::new(shown, token, address, reason));
    }

    /// Decides on a request of a proxy.
    pub async fn decide(&self, call: &Call<'_>) -> Verdict {
        self.ready().await;
        decide::decide(&self.0, call).await
    }

    /// Hosts that several accounts name and that are bound to none, with those accounts.
    pub async fn contested_hosts(&self) -> Vec<(String, Vec<AccountId>)> {
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

    /// Commits a change of what the edge enforces, which took a number of the change feed, and returns when no process
    /// decides by what was before.
    ///
    /// # Errors
    /// When the store does not answer; whether the change is made is not known then.
    pub async fn commit(&self, tx: Tx) -> Result<()> {
        tx.commit().await?;
        self.settle().await
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
        changes::next(&mut tx).await?;
        tx.commit().await?;
        self.settle().await
    }

    /// Shadow endpoints of an account, by host, method and path.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn shadow_endpoints(
        &self,
        account_id: AccountId,
        after: &[String; 3],
        limit: i64,
    ) -> Result<Vec<ShadowEndpoint>> {
        feed::write_shadow(&self.0).await;
        store::list_shadow(&self.0.db, account_id, after, limit).await
    }

    /// Follows changes from the first request of a proxy on. Told to stop, it writes what was counted and leaves: changes
    /// need not wait for this process any more.
    pub(crate) async fn follow(&self, stop: &CancellationToken) {
        let edge = &self.0;
        // Begun anew after a panic, it has begun already.
        if edge.is_running() || stop.run_until_cancelled(edge.begun.notified()).await.is_some() {
            // One process alone uses a SQLite database: rows of others are of processes that were killed.
            if edge.db.dialect() == Dialect::Sqlite
                && let Err(error) = store::drop_behind(&edge.db, i64::MAX).await
            {
                tracing::warn!(%error, "rows of earlier processes stay");
            }
            feed::run(edge, stop).await;
        }
        feed::write_shadow(edge).await;
        if let Err(error) = store::unregister(&edge.db, &edge.replica_id).await {
            tracing::warn!(%error, "the edge cannot sign off");
        }
    }

    fn start(&self) {
        // Every decision passes here, so it is read before it is written.
        if !self.0.is_running() && !self.0.running.swap(true, Ordering::AcqRel) {
            self.0.begun.notify_one();
        }
    }
}
