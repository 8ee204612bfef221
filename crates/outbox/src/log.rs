use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use portolan_api::{MethodPolicy, Reason};
use portolan_authz::{AuditSink, BoxFuture, Caller, CallerClaims, FailedAuthentication};
use portolan_ids::{AccountId, UserId};
use portolan_store::{Db, Error, on_behalf_of};

use crate::{
    Change, FailureLog,
    audit::{event, put_event, refusal},
};

/// Equal refusals within this time become one event with their number.
const WINDOW: Duration = Duration::from_secs(60);
/// Callers and RPCs told apart in a window; what is beyond is counted in one event.
const KINDS_MAX: usize = 1_000;

/// What a guard records, through the outbox of its process.
///
/// The first refusal of a caller at an RPC is durable before it is answered. Its repetitions within a minute are counted
/// and written once, so that a caller who is refused a million times costs two rows a minute; a crash loses that count.
#[derive(Clone)]
pub struct AuditLog {
    shared: Arc<Shared>,
    failures: FailureLog,
}

struct Shared {
    db: Db,
    repeated: Mutex<HashMap<Kind, Repeated>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Kind {
    account_id: AccountId,
    user_id: UserId,
    credential_id: String,
    path: &'static str,
    reason: i32,
}

struct Repeated {
    claims: CallerClaims,
    reason: Reason,
    count: i64,
}

impl AuditLog {
    /// `db` must have been opened by [`crate::open`].
    pub fn new(db: Db) -> Self {
        let failures = FailureLog::new(db.clone());
        let shared = Arc::new(Shared { db, repeated: Mutex::default() });
        tokio::spawn(write_each_window(Arc::downgrade(&shared)));
        Self { shared, failures }
    }

    /// Writes the counts of repeated refusals now instead of at the end of their window.
    ///
    /// # Errors
    /// Any of the store.
    pub async fn flush(&self) -> Result<(), Error> {
        self.failures.flush().await?;
        self.shared.flush().await
    }
}

impl Shared {
    /// Whether this refusal is the first of its kind in the window.
    fn count(&self, kind: Kind, claims: &CallerClaims, reason: Reason) -> bool {
        let mut repeated = self.repeated.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = repeated.get_mut(&kind) {
            known.count += 1;
            return false;
        }
        if repeated.len() < KINDS_MAX {
            repeated.insert(kind, Repeated { claims: claims.clone(), reason, count: 0 });
            return true;
        }
        let overflow = Kind {
            account_id: AccountId(0),
            user_id: UserId(0),
            credential_id: String::new(),
            path: OTHERS,
            reason: 0,
        };
        let first = Repeated {
            claims: CallerClaims { account_id: AccountId(0), user_id: UserId(0), ..claims.clone() },
            reason: Reason::Unspecified,
            count: 0,
        };
        repeated.entry(overflow).or_insert(first).count += 1;
        false
    }

    async fn flush(&self) -> Result<(), Error> {
        let repeated = mem::take(&mut *self.repeated.lock().unwrap_or_else(PoisonError::into_inner));
        let mut counted = repeated.into_iter().filter(|(_, repeated)| repeated.count > 0).peekable();
        if counted.peek().is_none() {
            return Ok(());
        }
        let mut tx = self.db.begin().await?;
        for (kind, Repeated { claims, reason, count }) in counted {
            put_event(&mut tx, refusal(kind.path, &claims, reason, count)).await?;
        }
        tx.commit().await
    }

    async fn write(&self, event: portolan_api::identity::v1::AuditEvent) {
        let (account_id, action) = (event.account_id, event.action.clone());
        let outcome = async {
            let mut tx = self.db.begin().await?;
            put_event(&mut tx, event).await?;
            tx.commit().await
        };
        // The guard that records is outside of what is served on behalf of the caller.
        if let Err(error) = on_behalf_of(AccountId(account_id), outcome).await {
            tracing::error!(account_id, action, %error, "an audit event is lost");
        }
    }
}

/// The action of refusals that are counted together.
const OTHERS: &str = "others";

async fn write_each_window(shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(WINDOW).await;
        let Some(shared) = shared.upgrade() else { return };
        if let Err(error) = shared.flush().await {
            tracing::error!(%error, "counts of refusals are lost");
        }
    }
}

impl AuditSink for AuditLog {
    fn refused<'a>(
        &'a self,
        policy: &'static MethodPolicy,
        claims: &'a CallerClaims,
        reason: Reason,
    ) -> BoxFuture<'a, ()> {
        let kind = Kind {
            account_id: claims.account_id,
            user_id: claims.user_id,
            credential_id: claims.credential_id.clone(),
            path: &policy.path,
            reason: reason as i32,
        };
        Box::pin(async move {
            if self.shared.count(kind, claims, reason) {
                self.shared.write(refusal(&policy.path, claims, reason, 1)).await;
            }
        })
    }

    fn unauthenticated(&self, failure: FailedAuthentication) {
        self.failures.note(failure);
    }

    fn wrote(&self, caller: Caller) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.shared.write(event(&caller, Change::default())).await })
    }
}
