//! Durable work of a service: jobs that are leased, taken up after a crash, and done in steps of one transaction each.
//!
//! Owns the table `jobs`, in which every service sees its own rows. A service says what its jobs are by an enum of
//! typed arguments ([`Task`]), and how a step of each is done by [`Work`]; everything else is here.
//!
//! # Invariants
//! - A step and the place where the next one begins are one transaction: a crash repeats at most one step, and no step
//!   is applied twice.
//! - What other services are asked for stands before the transaction: none is held across a call.
//! - Whoever lost a job writes nothing more of it: each claim has a lease of its own name, and a step begins its
//!   transaction by taking the row under that name.
//! - A step that fails, panics, or gives no sign of life for [`Work::stall_max`] is an attempt; after [`ATTEMPTS_MAX`]
//!   in a row, each after a longer pause, the job ends as failed, with its reason. A process that dies loses its lease,
//!   and that counts as an attempt too; one that is told to stop gives its jobs back, and that counts for nothing.
//! - A job that cannot be read ends as failed, with its reason, and hides no other.
//! - An account whose jobs are worked on waits behind accounts whose jobs are not.
//! - Ended jobs are listed for [`KEPT_S`], or as long as [`Jobs::keeping`] says.
//!
//! # To give a service jobs
//! 1. Name the tasks, each with its arguments and with one cursor for all, in the service's model:
//!
//!    ```
//!    # use serde::{Deserialize, Serialize};
//!    #[derive(Clone, Debug, Serialize, Deserialize)]
//!    #[serde(tag = "kind", rename_all = "kebab-case")]
//!    pub enum Task {
//!        DeleteCollection { collection_id: i32 },
//!        ComputeGroup { group_id: i32 },
//!    }
//!
//!    #[derive(Clone, Debug, Default, Serialize, Deserialize)]
//!    pub enum Cursor {
//!        #[default]
//!        Start,
//!        After(String),
//!        /// Only other services are left.
//!        Others,
//!    }
//!
//!    impl portolan_jobs::Task for Task {
//!        type Cursor = Cursor;
//!    }
//!    ```
//!
//! 2. Open [`Jobs`] beside the service's tables and keep it in its dependencies: `Jobs::open(db, Clock::system())`. The
//!    tables of the service list [`MIGRATIONS`].
//! 3. Implement [`Work`] for the dependencies: a `match` on `job.task` in [`Work::step`] hands the transaction, the
//!    arguments and `job.cursor` to the noun that knows them, which returns [`Step::Next`] with where the next step
//!    begins, or [`Step::Over`]. A step should be short enough that other writers do not wait for it. What needs another
//!    service, or no transaction, stands in [`Work::prepare`]; what it found is handed to the step as
//!    [`Work::Prepared`], an enum with a variant a task that prepares something.
//! 4. Start a worker: `tasks.spawn(async move |stop| deps.jobs.run(&deps, &stop).await)`, twice where two jobs should
//!    run at once, and call [`Jobs::forget`] where the service forgets what is old.
//! 5. Ask for work in the transaction of the change that makes it necessary, by [`Jobs::ask`], and call
//!    [`Jobs::notify`] after its commit. Of one kind and [`Subject`] at most one job is active in an account: asked for
//!    again while it waits, it is the same job; asked for again while it runs, it starts again after its end, so every
//!    request is followed by a whole run. Work that a write makes once for good is noted by [`Jobs::add`], under the key
//!    of the write.
//! 6. Where an answer should show the effect on small accounts, call [`Jobs::run_inline`] after the commit. It works on
//!    this job for so long, and leaves the rest to the workers.
//! 7. Serve `JobService` of the service's package from [`Jobs::get`], [`Jobs::list`] and [`Jobs::cancel_now`], so that
//!    `/v1/jobs` shows them.
//!
//! A failure is one of [`Error`]: what may go better later is tried again, what never will go ends the job with a
//! reason for its account. Neither the text of a panic nor the cause of a fault is among what the account reads.
//!
//! # Long steps
//! A step that reads a large file is one [`Work::prepare`]: it tells the [`Pulse`] of each piece that it reads, keeps
//! how far it is by [`Attempt::advance`], and ends at its next safe point when [`Pulse::is_stopped`]. What it changes
//! outside of a transaction must bear being done again from the last cursor.
//!
//! Start reading at [`Jobs`].

mod attempt;
mod error;
mod job;
mod jobs;
mod portion;
mod pulse;
mod run;
mod seal;
mod store;
mod watch;
mod wire;

pub use attempt::Attempt;
pub use error::Error;
pub use job::{Job, NewJob, Readers, Record, State, Step, Subject, Task, new_id};
pub use jobs::{ATTEMPTS_MAX, Clock, ENDED, Jobs, KEPT_S, LEASE_S, MIGRATIONS, PREPARED, STEPPED};
pub use portion::Portion;
pub use pulse::Pulse;
pub use run::Work;
pub use seal::ARGUMENTS;
