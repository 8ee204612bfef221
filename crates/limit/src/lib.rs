//! Limit: at most so many of something in a window of time, counted exactly across all who share the counters.
//!
//! A window begins with the first thing counted in it and lasts its whole length. Several limits are taken together:
//! all count, or none does. The counters are in Redis, in a table of the service, or in this process; only the first two
//! are shared by replicas and outlive a restart.
//!
//! # Invariants
//! - Never more than the maximum is allowed in one window, whatever the number of replicas and racing callers.
//! - What is kept of a subject has a fixed size, whatever a caller sent, and goes within an hour of its window's end.
//! - Counters that cannot be reached are an error, `UNAVAILABLE`, and never a permission.
//!
//! Start reading at [`Limits::take`].

mod limit;
mod limits;
mod management;
mod memory;
mod redis;
mod table;

pub use limit::{Counter, Decision, Limit};
pub use limits::Limits;
pub use management::Management;
pub use table::MIGRATIONS;
