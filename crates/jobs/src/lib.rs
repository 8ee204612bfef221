//! Durable work of a service: jobs that are leased, taken up after a crash, and done in steps of one transaction each.
//!
//! Owns the table `jobs`, in which every service sees its own rows. A service says what its jobs are by an enum of
//! typed arguments ([`Task`]), and how a step of each is done by [`Work`]; everything else is here.
//!
//! # Invariants
//! - A step and the place where the next one begins are one transaction: a crash repeats at most one step, and no step
//!   is applied twice.
//! - What other services are asked for stands before the transaction: none is held across a call.
//! - A step that fails, panics or takes longer than the lease is an attempt; after [`ATTEMPTS_MAX`] in a row the job
//!   ends as failed, with its reason. A worker that dies loses its lease, and that counts as an attempt too.
//! - In an account at most one job of a kind and subject is active. Asked for again while it runs, it starts again
//!   after its end, so every request is followed by a whole run.
//! - Ended jobs are listed for [`KEPT_S`].
//!
//! Start reading at [`Jobs`].

mod job;
mod jobs;
mod run;
mod store;
mod wire;

pub use job::{Error, Job, Record, State, Step, Subject, Task};
pub use jobs::{ATTEMPTS_MAX, Clock, Jobs, KEPT_S, LEASE_S, STEPPED, migrate};
pub use run::Work;
