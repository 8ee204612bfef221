//! Outbox: events that belong to a change travel to another service, exactly when the change was committed.
//!
//! It owns the tables `outbox`, `outbox_leases`, `outbox_waits` and `outbox_rejected` beside the tables of every service that uses it.
//! [`put`] inserts in the writer's own transaction; a [`Relay`] delivers in order of a key, repeats until the receiver has
//! the event, and removes it then.
//!
//! A service adopts the audit in three lines:
//! ```text
//! portolan_outbox::open(&db).await?;                                    // where the service migrates its tables
//! let change = Change::of("collection", id).after(&json!({"name": name})); // no secrets
//! portolan_outbox::audit(&mut tx, caller, change).await?;               // before `tx.commit()`
//! ```
//! `main.rs` calls [`start`]; the one process adds the service to its [`Relay`].
//! The action comes from the `audit` option beside the RPC. A write whose handler does not call [`audit`] is recorded by
//! the guard after its answer, through [`AuditLog`], without the values before and after.
//!
//! # Invariants
//! - An event is on its way if and only if the transaction that put it was committed.
//! - A receiver may get an event twice, and knows it by its id; it never misses one.
//! - Events of one topic and key that depend on each other (the later transaction began after the earlier had committed)
//!   arrive in that order. An event that waits holds back only those of its key.
//! - What a receiver refuses for good goes to `outbox_rejected` and into the log of the operator; it never blocks.
//!
//! Start reading at [`put`], then at [`Relay`].

use std::sync::Arc;

use portolan_authz::Guard;
use portolan_runtime::{Process, Tasks};
use portolan_store::{Db, Error};

mod audit;
mod log;
pub mod notice;
mod relay;
mod sink;
mod store;

pub use audit::{Change, audit, event};
pub use log::AuditLog;
pub use portolan_api::identity::v1::AuditEvent;
pub use relay::{Relay, RelayHandle};
pub use sink::{AuditService, Event, Failure, NoticeService, RevocationService, Sink, UsageService};
pub use store::{Waiting, open, put, waiting};

/// The outbox of a process with one service: its tables, its relay, and its guard, which records in it.
///
/// # Errors
/// When the store cannot be reached or migrated.
pub async fn start(process: &Process, db: &Db, guard: Guard) -> Result<(Guard, RelayHandle), Error> {
    open(db).await?;
    let guard = guard.with_audit(Arc::new(AuditLog::new(db.clone())));
    Ok((guard, Relay::to_services(&process.peers).with_db(db).start()))
}

/// The guard of a service, which records in its outbox, with the relay among its tasks. In a process with
/// several services one guard and one relay serve all of them: then nothing is begun here.
///
/// # Errors
/// When the store cannot be reached or migrated.
pub async fn guard(process: &Process, db: &Db, guard: Guard, tasks: &Tasks) -> Result<Guard, Error> {
    if process.is_whole {
        return Ok(guard);
    }
    let (guard, relay) = start(process, db, guard).await?;
    tasks.stopping(relay.stop());
    Ok(guard)
}

/// The topic of [`AuditEvent`]s, received by identity.
pub const AUDIT: &str = "audit";
/// The topic of usage events, received by billing.
pub const USAGE: &str = "usage";
/// The topic of [`notice::Notice`]s, received by identity and tokens.
pub const NOTICE: &str = "notice";
/// The topic of memberships that ended, received by tokens.
pub const REVOCATIONS: &str = "revocations";
