//! Imports: uploads, their logs, and the jobs that turn files into ingest records.
//!
//! Owns the tables `uploads`, `upload_operations` and `import_jobs` and the spool directory `uploads` under the data
//! directory. Answers the RPCs of `ImportsService`. Records leave through the log; collections are asked of the
//! inventory with the rights of the user.
//!
//! # Invariants
//! - A file that is refused changes nothing: it is checked before the first record is appended.
//! - An import is answered only when its records, or its file, are stored durably.
//! - Every append has a producer and a sequence that follow from the upload, so that nothing is ingested twice.
//! - A raw file is removed as soon as its job ends.
//!
//! Start at [`service`], then `har`, `openapi` and `import_job`.

mod error;
mod har;
mod id;
mod import_job;
mod ingest;
mod jobs;
mod openapi;
mod peek;
mod receive;
mod rpc;
mod runner;
mod spool;
mod store;
mod targets;
mod uploads;

use std::path::PathBuf;
use std::sync::Arc;

use portolan_log::Log;
use portolan_runtime::{Peers, now_s};
use portolan_store::{Db, Migration, Migrations};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tonic::service::Routes;

use error::Error;
use spool::Spool;

pub use runner::JobsHandle;

/// The proto package whose services are served here.
pub const PACKAGE: &str = "portolan.imports.v1";

/// The tables of this service.
pub const MIGRATIONS: Migrations = Migrations {
    service: "imports",
    steps: &[Migration {
        version: 1,
        name: "imports",
        sqlite: include_str!("../migrations/sqlite/0001_imports.sql"),
        postgres: include_str!("../migrations/postgres/0001_imports.sql"),
    }],
};

/// Documents converted in memory at once; each may take some hundred MiB and a whole core.
const CONVERTERS_MAX: usize = 2;

/// What the service works with; cheap to clone.
#[derive(Clone)]
pub struct Deps {
    db: Db,
    log: Log,
    peers: Peers,
    converters: Arc<Semaphore>,
    spool: Arc<Spool>,
    /// Wakes a runner when a job was made.
    job_ready: Arc<Notify>,
}

impl Deps {
    /// `db` is the handle of the service `imports`; `log` is the topic of ingest records; raw files are kept in
    /// `uploads` under `data_dir`.
    pub fn new(db: Db, log: Log, peers: Peers, data_dir: PathBuf) -> Self {
        Self {
            db,
            log,
            peers,
            converters: Arc::new(Semaphore::new(CONVERTERS_MAX)),
            spool: Arc::new(Spool::new(&data_dir)),
            job_ready: Arc::new(Notify::new()),
        }
    }

    /// A turn to convert a document in memory.
    async fn converter(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        self.converters.clone().acquire_owned().await.ok()
    }
}

/// Migrates the tables, prepares the spool, and answers the gRPC routes; the guard goes before them.
///
/// # Errors
/// When the store or the data directory cannot be used.
pub async fn service(deps: Deps) -> Result<Routes, portolan_api::Error> {
    deps.db.migrate(&MIGRATIONS).await.map_err(portolan_api::Error::internal)?;
    portolan_outbox::open(&deps.db).await.map_err(portolan_api::Error::internal)?;
    deps.spool.id().await.map_err(portolan_api::Error::internal)?;
    Ok(Routes::new(rpc::server(deps)))
}

/// Runs import jobs in the background, also those that an earlier process left. Call it after [`service`].
pub fn start_jobs(deps: Deps) -> JobsHandle {
    runner::start(deps)
}

/// A text as Postgres keeps it, which takes no NUL characters.
fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}") } else { text }
}
