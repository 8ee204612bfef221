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
//! `main.rs` calls [`fn@start`]; the one process adds the service to its [`Relay`].
//! The action comes from the `audit` option beside the RPC. A write whose handler does not call [`fn@audit`] is recorded by
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

mod audit;
mod bounds;
mod failures;
mod log;
pub mod notice;
mod relay;
mod sink;
mod start;
mod store;
mod topic;

pub use audit::{AUTHENTICATION, Change, audit, event, put_event};
pub use bounds::{bounded_json, bounded_text};
pub use failures::FailureLog;
pub use log::AuditLog;
pub use portolan_api::identity::v1::AuditEvent;
pub use relay::{Relay, RelayHandle};
pub use sink::{AuditService, Event, Failure, NoticeService, RevocationService, Sink, UsageService};
pub use start::{guard, start};
pub use store::{MIGRATIONS, Refused, Waiting, open, put, refused, waiting};
pub use topic::{AUDIT, AUDIT_HEADS, NOTICE, REVOCATIONS, USAGE};
