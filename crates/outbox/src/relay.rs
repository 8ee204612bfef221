use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt as _, future::join_all};

use portolan_runtime::{Age, Peers, now_s};
use portolan_store::{Db, Dialect, Error, apart};
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
/// A key whose events take longer, such as those for a webhook that hangs, waits for as long while others have their turn.
const TURN_MAX: Duration = Duration::from_secs(2);
/// Longer than a delivery with its writes; a process that died is succeeded after this time.
const LEASE_S: i64 = 30;
/// The first wait after a failed delivery, doubled up to the last.
const WAIT_FIRST: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(30);
/// The last wait of a key, whose waits double from a second.
const KEY_WAIT_MAX_S: i64 = 30;
/// Keys that are delivered side by side after a delivery of all failed. When the receiver takes nothing of so many, it is
/// away, and the others need not ask.
const KEYS_AT_ONCE: usize = 8;
/// Why a key waits whose turn is over.
const SLOW: &str = "its receiver is slow";
/// What is kept and logged of a reason.
const REASON_CHARACTERS_MAX: usize = 500;
/// How often the age of the oldest event is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(10);
/// How often events that were refused long ago are forgotten, and how many by one statement.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);
const FORGOTTEN_AT_ONCE: i64 = 500;

/// Delivers the events of a process's outboxes. Several processes on one database share the work by a lease.
pub struct Relay {
    dbs: Vec<Db>,
    sinks: HashMap<&'static str, Arc<dyn Sink>>,
    patience: Patience,
    refused_kept_s: i64,
}

#[derive(Clone, Copy)]
struct Patience {
    delivery_max: Duration,
    turn_max: Duration,
}

impl Default for Relay {
    fn default() -> Self {
        let patience = Patience { delivery_max: DELIVERY_MAX, turn_max: TURN_MAX };
        Self { dbs: Vec::new(), sinks: HashMap::new(), patience, refused_kept_s: i64::MAX }
    }
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

    /// For how long events are kept that were refused for good; for ever where nothing is said.
    #[must_use]
    pub fn keeping_refused(mut self, seconds: i64) -> Self {
        self.refused_kept_s = seconds;
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

    /// With other times than those of a process: of one delivery, and of the turn of a key.
    #[must_use]
    pub fn with_patience(self, delivery_max: Duration, turn_max: Duration) -> Self {
        Self { patience: Patience { delivery_max, turn_max }, ..self }
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
                    patience: self.patience,
                    refused_kept_s: self.refused_kept_s,
                    owner: format!("{:032x}", uuid::Uuid::new_v4().as_u128()),
                };
                tasks.spawn(apart(task.run(stopped.clone())));
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
    patience: Patience,
    refused_kept_s: i64,
    owner: String,
}

impl Task {
    async fn run(self, mut stopped: watch::Receiver<bool>) {
        let mut wait = WAIT_FIRST;
        // Each service has an outbox of its own, and several are in one process.
        let (service, topic) = (self.db.service().to_owned(), self.topic);
        let age = Age::new(move |age_s| {
            metrics::gauge!("portolan_outbox_oldest_seconds", "service" => service.clone(), "topic" => topic)
                .set(age_s);
        });
        let (mut measured, mut forgotten): (Option<Instant>, Option<Instant>) = (None, None);
        loop {
            if forgotten.is_none_or(|at| at.elapsed() >= FORGET_EVERY) {
                let before = now_s().saturating_sub(self.refused_kept_s);
                if let Err(error) = store::forget_rejected(&self.db, self.topic, before, FORGOTTEN_AT_ONCE).await {
                    tracing::warn!(topic = self.topic, %error, "events that were refused long ago stay for now");
                }
                forgotten = Some(Instant::now());
            }
            if measured.is_none_or(|at| at.elapsed() >= MEASURE_EVERY) {
                self.measure(&age).await;
                measured = Some(Instant::now());
            }
            let delivered = AssertUnwindSafe(self.deliver_next()).catch_unwind().await;
            let pause = match delivered.unwrap_or_else(|_| Err("the work on them panicked".to_owned())) {
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

    async fn measure(&self, age: &Age) {
        match store::oldest_age_s(&self.db, self.topic).await {
            Ok(age_s) => age.set(age_s),
            Err(error) => tracing::debug!(topic = self.topic, %error, "the age of events cannot be measured"),
        }
    }

    /// Delivers the oldest events; false when there are none, or when another process delivers them.
    async fn deliver_next(&self) -> Result<bool, String> {
        if store::next(&self.db, self.topic, 1, now_s()).await.map_err(text)?.is_empty() {
            return Ok(false);
        }
        if !self.renew_lease().await? {
            return Ok(false);
        }
        // Read under the lease: what another process has delivered meanwhile is gone.
        let events = store::next(&self.db, self.topic, BATCH, now_s()).await.map_err(text)?;
        match self.deliver(&events).await {
            Ok(()) => {}
            Err(Failure::Later(reason) | Failure::Never(reason)) => return self.deliver_by_key(events, reason).await,
        }
        store::remove(&self.db, &events).await.map_err(text)?;
        Ok(!events.is_empty())
    }

    async fn renew_lease(&self) -> Result<bool, String> {
        let now = now_s();
        store::take_lease(&self.db, self.topic, &self.owner, now + LEASE_S, now).await.map_err(text)
    }

    /// Delivers the events of each key on their own, after `reason` stopped all of them together. An error when the
    /// receiver takes nothing of several keys.
    async fn deliver_by_key(&self, events: Vec<Event>, reason: String) -> Result<bool, String> {
        let mut keys: Vec<Vec<Event>> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for event in events {
            let place = *places.entry(event.key.clone()).or_insert(keys.len());
            if place == keys.len() {
                keys.push(Vec::new());
            }
            keys[place].push(event);
        }
        for some in keys.chunks(KEYS_AT_ONCE) {
            if !self.renew_lease().await? {
                return Ok(false);
            }
            let settled = join_all(some.iter().map(|events| self.deliver_key(events))).await;
            let settled = settled.into_iter().collect::<Result<Vec<usize>, String>>()?;
            if settled.iter().all(|count| *count == 0) && keys.len() > 1 {
                return Err(reason);
            }
        }
        Ok(true)
    }

    /// Delivers the events of one key one by one, in their order, and returns how many left the outbox. Those that the
    /// receiver will never take are put aside; at one that it takes later the key waits, and so it does when its turn is
    /// over.
    async fn deliver_key(&self, events: &[Event]) -> Result<usize, String> {
        let Some(key) = events.first().map(|event| event.key.as_str()) else { return Ok(0) };
        let tries = store::tries(&self.db, self.topic, key).await.map_err(text)?;
        let started = Instant::now();
        for (settled, event) in events.iter().enumerate() {
            if settled > 0 && started.elapsed() > self.patience.turn_max {
                // Longer than the others take for all of theirs before it is asked again.
                let wait_s = i64::try_from(started.elapsed().max(DELIVERY_MAX).as_secs()).unwrap_or(KEY_WAIT_MAX_S);
                tracing::info!(
                    topic = self.topic,
                    key,
                    settled,
                    wait_s,
                    "events of others go before those of a slow receiver"
                );
                store::hold(&self.db, self.topic, key, 0, now_s() + wait_s, SLOW).await.map_err(text)?;
                return Ok(settled);
            }
            match self.deliver(std::slice::from_ref(event)).await {
                Ok(()) => store::remove(&self.db, std::slice::from_ref(event)).await.map_err(text)?,
                Err(Failure::Later(reason)) => {
                    let tries = if settled == 0 { tries + 1 } else { 1 };
                    let wait_s = (1_i64 << (tries - 1).clamp(0, 5)).min(KEY_WAIT_MAX_S);
                    tracing::warn!(topic = self.topic, key, event_id = event.id, reason, wait_s, "an event waits");
                    let due_at = now_s() + wait_s;
                    store::hold(&self.db, self.topic, key, tries, due_at, &reason).await.map_err(text)?;
                    return Ok(settled);
                }
                Err(Failure::Never(reason)) => {
                    tracing::error!(topic = self.topic, event_id = event.id, reason, "an event was refused for good");
                    metrics::counter!("portolan_outbox_rejected_total", "topic" => self.topic).increment(1);
                    store::reject(&self.db, self.topic, event, &reason, now_s()).await.map_err(text)?;
                }
            }
        }
        store::free(&self.db, self.topic, key).await.map_err(text)?;
        Ok(events.len())
    }

    async fn deliver(&self, events: &[Event]) -> Result<(), Failure> {
        // A fault of the program met by one event must not stop all behind it.
        let delivery = AssertUnwindSafe(self.sink.deliver(events)).catch_unwind();
        match tokio::time::timeout(self.patience.delivery_max, delivery).await {
            Ok(Ok(outcome)) => outcome.map_err(short),
            Ok(Err(_)) => Err(Failure::Never("the delivery panicked".to_owned())),
            Err(_) => Err(Failure::Later("the receiver does not answer".to_owned())),
        }
    }
}

/// A reason may quote an event of megabytes.
fn short(failure: Failure) -> Failure {
    let cut = |reason: String| match reason.char_indices().nth(REASON_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason,
    };
    match failure {
        Failure::Later(reason) => Failure::Later(cut(reason)),
        Failure::Never(reason) => Failure::Never(cut(reason)),
    }
}

fn text(error: Error) -> String {
    error.to_string()
}
