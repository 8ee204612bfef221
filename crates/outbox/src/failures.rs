use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use portolan_authz::{FailedAuthentication, Shown};
use portolan_ids::{AccountId, UserId};
use portolan_store::{Db, Error};
use tokio::{sync::Notify, time::Instant};

use crate::audit::{failed, failed_others, put_event};

/// Failures of one kind, subject and address within this time become two events: the first, and the number of the others.
const WINDOW: Duration = Duration::from_secs(60);
/// Kinds, subjects and addresses told apart in a window; what is beyond is counted in one event.
const TOLD_APART_MAX: usize = 60;
/// After the store refused events.
const RETRY: Duration = Duration::from_secs(5);

/// Authentications that failed, on their way into the audit. Nobody waits for it, and an attack costs 121 events and as
/// many places in memory a minute at most, whatever its size.
#[derive(Clone)]
pub struct FailureLog {
    shared: Arc<Shared>,
}

struct Shared {
    db: Db,
    failures: Mutex<Failures>,
    /// Held while events are written, so that none is written twice.
    writing: tokio::sync::Mutex<()>,
    /// Told when there is a first failure of its kind.
    first: Notify,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Kind {
    shown: Shown,
    subject: String,
    client_address: String,
}

#[derive(Default)]
struct Failures {
    by_kind: HashMap<Kind, Counted>,
    others: i64,
}

struct Counted {
    last: FailedAuthentication,
    /// Of those that are in no event yet.
    count: i64,
    is_told: bool,
}

impl FailureLog {
    /// `db` must have been opened by [`crate::open`].
    pub fn new(db: Db) -> Self {
        let shared = Arc::new(Shared {
            db,
            failures: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            first: Notify::new(),
        });
        tokio::spawn(write(Arc::downgrade(&shared)));
        Self { shared }
    }

    /// Counts a failure.
    pub fn note(&self, failure: FailedAuthentication) {
        let FailedAuthentication { shown, subject, client_address, .. } = &failure;
        let kind = Kind { shown: *shown, subject: subject.clone(), client_address: client_address.clone() };
        let mut failures = self.shared.lock();
        if let Some(known) = failures.by_kind.get_mut(&kind) {
            known.count += 1;
            known.last.reason = failure.reason;
        } else if failures.by_kind.len() < TOLD_APART_MAX {
            failures.by_kind.insert(kind, Counted { last: failure, count: 1, is_told: false });
            self.shared.first.notify_one();
        } else {
            failures.others += 1;
        }
    }

    /// The same where it takes work to know whose credential it was, which is done for those that are told apart, after
    /// the answer.
    pub fn note_after(
        &self,
        failure: FailedAuthentication,
        owner: impl Future<Output = Option<(AccountId, UserId)>> + Send + 'static,
    ) {
        let FailedAuthentication { shown, subject, client_address, .. } = &failure;
        let kind = Kind { shown: *shown, subject: subject.clone(), client_address: client_address.clone() };
        let is_new = {
            let failures = self.shared.lock();
            !failures.by_kind.contains_key(&kind) && failures.by_kind.len() < TOLD_APART_MAX
        };
        if !is_new {
            return self.note(failure);
        }
        let log = self.clone();
        tokio::spawn(async move {
            let (account_id, user_id) = owner.await.unwrap_or_default();
            log.note(FailedAuthentication { account_id, user_id, ..failure });
        });
    }

    /// Writes what was counted now instead of at the end of the window.
    ///
    /// # Errors
    /// Any of the store; nothing is lost then.
    pub async fn flush(&self) -> Result<(), Error> {
        self.shared.write(true).await
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the first failure of each kind, at the end of a window the others too, and begins a new window then.
    async fn write(&self, ends: bool) -> Result<(), Error> {
        let _writing = self.writing.lock().await;
        let (due, others) = {
            let failures = self.lock();
            let is_due = |counted: &Counted| counted.count > 0 && (ends || !counted.is_told);
            let due = failures.by_kind.iter().filter(|(_, counted)| is_due(counted));
            let due: Vec<_> = due.map(|(kind, counted)| (kind.clone(), counted.last.clone(), counted.count)).collect();
            (due, if ends { failures.others } else { 0 })
        };
        if !due.is_empty() || others > 0 {
            let mut tx = self.db.begin().await?;
            for (_, failure, count) in &due {
                put_event(&mut tx, failed(failure, *count)).await?;
            }
            if others > 0 {
                put_event(&mut tx, failed_others(others)).await?;
            }
            tx.commit().await?;
        }
        // Only what is written is taken away; what came meanwhile stays.
        let mut failures = self.lock();
        for (kind, _, count) in due {
            if let Some(counted) = failures.by_kind.get_mut(&kind) {
                counted.count -= count;
                counted.is_told = true;
            }
        }
        failures.others -= others;
        if ends {
            failures.by_kind.retain(|_, counted| counted.count > 0);
        }
        Ok(())
    }
}

async fn write(shared: Weak<Shared>) {
    let mut ends_at = Instant::now() + WINDOW;
    loop {
        let Some(held) = shared.upgrade() else { return };
        // A log that nobody holds any more ends with its window.
        let ends = tokio::time::timeout_at(ends_at, held.first.notified()).await.is_err();
        if ends {
            ends_at = Instant::now() + WINDOW;
        }
        if let Err(error) = held.write(ends).await {
            tracing::error!(%error, "failed authentications are written later");
            tokio::time::sleep(RETRY).await;
            held.first.notify_one();
        }
    }
}
