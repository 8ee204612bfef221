use std::{collections::HashMap, sync::Arc, time::Duration};

use portolan_runtime::{Peers, now_s};
use portolan_store::{Db, Dialect, Error};
use tokio::{sync::watch, task::JoinSet};

use crate::{
    AUDIT, NOTICE, REVOCATIONS, USAGE,
    sink::{AuditService, Event, Failure, NoticeService, RevocationService, Sink, UsageService},
    store,
};

/// How soon an event is noticed.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Events of one delivery.
const BATCH: i64 = 200;
/// A delivery that takes longer is repeated.
const DELIVERY_MAX: Duration = Duration::from_secs(10);
/// Longer than a delivery with its writes; a process that died is succeeded after this time.
const LEASE_S: i64 = 30;
/// The first wait after a failed delivery, doubled up to the last.
const WAIT_FIRST: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Delivers the events of a process's outboxes. Several processes on one database share the work by a lease.
#[derive(Default)]
pub struct Relay {
    dbs: Vec<Db>,
    sinks: HashMap<&'static str, Arc<dyn Sink>>,
}

/// A relay at work.
pub struct RelayHandle {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Relay {
    /// Every topic to the service that receives it.
    pub fn to_services(peers: &Peers) -> Self {
        Self::default()
            .sink(AUDIT, AuditService(peers.clone()))
            .sink(USAGE, UsageService(peers.clone()))
            .sink(NOTICE, NoticeService(peers.clone()))
            .sink(REVOCATIONS, RevocationService(peers.clone()))
    }

    /// Where the events of a topic go.
    #[must_use]
    pub fn sink(mut self, topic: &'static str, sink: impl Sink + 'static) -> Self {
        self.sinks.insert(topic, Arc::new(sink));
        self
    }

    /// A service whose outbox is delivered from this process.
    #[must_use]
    pub fn with_db(mut self, db: &Db) -> Self {
        // On SQLite the services of a process share one file, and so one outbox.
        if db.dialect() == Dialect::Postgres || self.dbs.is_empty() {
            self.dbs.push(db.clone());
        }
        self
    }

    /// Begins to deliver.
    pub fn start(self) -> RelayHandle {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for db in self.dbs {
            for (topic, sink) in &self.sinks {
                let task = Task {
                    db: db.clone(),
                    topic,
                    sink: sink.clone(),
                    owner: format!("{:032x}", uuid::Uuid::new_v4().as_u128()),
                };
                tasks.spawn(task.run(stopped.clone()));
            }
        }
        RelayHandle { stop, tasks }
    }
}

impl RelayHandle {
    /// Ends after the deliveries under way. What is not delivered yet stays for the next start.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

struct Task {
    db: Db,
    topic: &'static str,
    sink: Arc<dyn Sink>,
    owner: String,
}

impl Task {
    async fn run(self, mut stopped: watch::Receiver<bool>) {
        let mut wait = WAIT_FIRST;
        loop {
            let pause = match self.deliver_next().await {
                Ok(true) => {
                    wait = WAIT_FIRST;
                    Duration::ZERO
                }
                Ok(false) => POLL_INTERVAL,
                Err(reason) => {
                    tracing::warn!(topic = self.topic, reason, "events wait for their receiver");
                    let pause = wait;
                    wait = (wait * 2).min(WAIT_MAX);
                    pause
                }
            };
            if *stopped.borrow() || tokio::time::timeout(pause, stopped.wait_for(|stop| *stop)).await.is_ok() {
                let _ = store::end_lease(&self.db, self.topic, &self.owner).await;
                return;
            }
        }
    }

    /// Delivers the oldest events; false when there are none, or when another process delivers them.
    async fn deliver_next(&self) -> Result<bool, String> {
        let text = |error: Error| error.to_string();
        if store::next(&self.db, self.topic, 1).await.map_err(text)?.is_empty() {
            return Ok(false);
        }
        let now = now_s();
        if !store::take_lease(&self.db, self.topic, &self.owner, now + LEASE_S, now).await.map_err(text)? {
            return Ok(false);
        }
        // Read under the lease: what another process has delivered meanwhile is gone.
        let events = store::next(&self.db, self.topic, BATCH).await.map_err(text)?;
        match self.deliver(&events).await {
            Ok(()) => {}
            Err(Failure::Later(reason)) => return Err(reason),
            Err(Failure::Never(_)) => return self.deliver_one_by_one(&events).await.map(|()| true),
        }
        store::remove(&self.db, &events).await.map_err(text)?;
        Ok(!events.is_empty())
    }

    /// Finds the events that the receiver will never take, and puts them aside.
    async fn deliver_one_by_one(&self, events: &[Event]) -> Result<(), String> {
        let text = |error: Error| error.to_string();
        for event in events {
            match self.deliver(std::slice::from_ref(event)).await {
                Ok(()) => store::remove(&self.db, std::slice::from_ref(event)).await.map_err(text)?,
                Err(Failure::Later(reason)) => return Err(reason),
                Err(Failure::Never(reason)) => {
                    tracing::error!(topic = self.topic, event_id = event.id, reason, "an event was refused for good");
                    store::reject(&self.db, self.topic, event, &reason, now_s()).await.map_err(text)?;
                }
            }
        }
        Ok(())
    }

    async fn deliver(&self, events: &[Event]) -> Result<(), Failure> {
        match tokio::time::timeout(DELIVERY_MAX, self.sink.deliver(events)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::Later("the receiver does not answer".to_owned())),
        }
    }
}
