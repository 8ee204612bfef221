//! Outbox: events that belong to a change travel to another service, exactly when the change was committed.
//!
//! It owns the tables `outbox`, `outbox_leases` and `outbox_rejected` beside the tables of every service that uses it.
//! [`put`] inserts in the writer's own transaction; a [`Relay`] delivers in order, repeats until the receiver has the
//! event, and removes it then.
//!
//! A service adopts the audit in three lines:
//! ```text
//! outbox::open(&db).await?;                                                    // where it migrates its tables
//! outbox::audit(&mut tx, &caller, Change::of("collection", id).after(&new)).await?;   // before tx.commit()
//! relay.add(db)                                                                // where the process is put together
//! ```
//! The action comes from the `audit` option beside the RPC. A write whose handler does not call [`audit`] is recorded by
//! the guard after its answer, through [`AuditLog`], without the values before and after.
//!
//! # Invariants
//! - An event is on its way if and only if the transaction that put it was committed.
//! - A receiver may get an event twice, and knows it by its id; it never misses one.
//! - Events of one topic that depend on each other (the later transaction began after the earlier had committed) arrive
//!   in that order.
//! - What a receiver refuses for good goes to `outbox_rejected` and into the log of the operator; it never blocks.
//!
//! Start reading at [`put`], then at [`Relay`].

mod audit;
mod log;
mod relay;
mod sink;
mod store;

pub use audit::{Change, audit, event};
pub use log::AuditLog;
pub use portolan_api::identity::v1::AuditEvent;
pub use relay::{Relay, RelayHandle};
pub use sink::{AuditService, Event, Failure, Sink};
pub use store::{open, put};

/// The topic of [`AuditEvent`]s, received by identity.
pub const AUDIT: &str = "audit";
/// The topic of usage events, received by billing.
pub const USAGE: &str = "usage";
