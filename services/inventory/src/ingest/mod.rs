//! Ingest: from the log into the tables.
//!
//! One task for each partition fetches a batch ([`gather`]), folds it in memory ([`batch`]) and writes it in one
//! transaction with how far the partition is read ([`mod@write`]). Who loses the race for the offset, another process included, has written
//! nothing and reads the position anew.
//!
//! # Invariants
//! - A write that others wait for is short ([`portolan_store::Pace`]).
//! - An account with many records delays its own alone: those of others are read past them ([`lanes`]).
//! - A record that cannot be read is kept among the rejected ones before its offset is passed; a repetition of that
//!   changes nothing.
//! - A record that a broker holds twice, since its producer had to repeat an append, counts once ([`repeats`]).
//! - A record at which the process died twice is set aside by the next one, after a process of its own has died at it,
//!   too ([`attempts`]). A batch that cannot be read is set aside after three tries. The partition goes on behind both.
//! - A collection is written under its row lock. Its version tells whether what this process remembers of it
//!   ([`crate::catalogs`]) is the last state; if not, it is read again.

pub(crate) mod attempts;
pub(crate) mod batch;
pub(crate) mod gather;
mod lag;
mod lanes;
pub(crate) mod partition;
mod probe;
pub mod rejected;
mod repeats;
mod rules;
mod set_aside;
pub(crate) mod write;

pub use lag::{Unread, dropped, lag, log_readiness, oldest_unread, positions, positions_at};
pub use partition::{TURN, WRITE};
pub use probe::{PROBE_ARGUMENT, probe};
pub use set_aside::{Skipped, skip};
