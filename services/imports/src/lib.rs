//! Imports: uploads, their logs, and the jobs that turn files into ingest records.
//!
//! Owns the tables `uploads`, `upload_groups`, `upload_operations`, `import_jobs`, `postman_credentials` and
//! `specifications`, and the spool directory `uploads` under the data directory. Records leave through the log;
//! collections are asked of the inventory with the rights of the user; every call that leaves the installation goes
//! through [`portolan_fetch`].
//!
//! # Invariants
//! - A file that is refused changes nothing: it is checked before the first record is appended.
//! - An import is answered only when its records, or its file, are stored durably.
//! - Every append has a producer and a sequence that follow from the upload, so that nothing is ingested twice.
//! - A raw file is removed as soon as its job ends.
//!
//! Start at [`service`], then `har`, `openapi`, `postman` and `import_job`.

mod announce;
mod documents;
mod error;
mod har;
mod id;
mod imperva;
mod import_job;
mod ingest;
mod jobs;
mod maintenance;
mod openapi;
mod peek;
mod postman;
mod receive;
mod retention;
mod rpc;
mod runner;
mod spool;
mod store;
mod targets;
mod uploads;
mod url_import;

use std::sync::Arc;

use portolan_fetch::Fetch;
use portolan_log::Log;
use portolan_runtime::process::BoxError;
use portolan_runtime::{Config, Peers, Process, Secrets, now_s};
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
    steps: &[
        Migration {
            version: 1,
            name: "imports",
            sqlite: include_str!("../migrations/sqlite/0001_imports.sql"),
            postgres: include_str!("../migrations/postgres/0001_imports.sql"),
        },
        Migration {
            version: 2,
            name: "sources",
            sqlite: include_str!("../migrations/sqlite/0002_sources.sql"),
            postgres: include_str!("../migrations/postgres/0002_sources.sql"),
        },
        Migration {
            version: 3,
            name: "names",
            sqlite: include_str!("../migrations/sqlite/0003_names.sql"),
            postgres: include_str!("../migrations/postgres/0003_names.sql"),
        },
        Migration {
            version: 60,
            name: "content_digest",
            sqlite: include_str!("../migrations/sqlite/0060_content_digest.sql"),
            postgres: include_str!("../migrations/postgres/0060_content_digest.sql"),
        },
        Migration {
            version: 61,
            name: "upload_owner",
            sqlite: include_str!("../migrations/sqlite/0061_upload_owner.sql"),
            postgres: include_str!("../migrations/postgres/0061_upload_owner.sql"),
        },
    ],
};

/// Documents converted in memory at once; each may take some hundred MiB and a whole core.
const CONVERTERS_MAX: usize = 2;

/// What the service works with; cheap to clone.
#[derive(Clone)]
pub struct Deps {
    db: Db,
    log: Log,
    peers: Peers,
    secrets: Secrets,
    /// For addresses that callers give.
    fetch: Fetch,
    /// For the Postman API, wherever the operator says it stands.
    postman: Fetch,
    postman_url: Arc<str>,
    /// How long ended jobs and reviewed uploads are kept.
    retention_s: i64,
    converters: Arc<Semaphore>,
    spool: Arc<Spool>,
    /// Wakes a runner when a job was made.
    job_ready: Arc<Notify>,
}

impl Deps {
    /// `db` is the handle of the service `imports`; `log` is the topic of ingest records; raw files are kept in
    /// `uploads` under the data directory of `config`.
    pub fn new(db: Db, log: Log, peers: Peers, secrets: Secrets, fetch: Fetch, config: &Config) -> Self {
        let postman_url = config.get("postman.url");
        let retention_days: i64 = config.get("imports.retention_days").parse().unwrap_or(30);
        Self {
            db,
            log,
            peers,
            secrets,
            postman: fetch.trusting(postman_url),
            fetch,
            postman_url: postman_url.into(),
            retention_s: retention_days.saturating_mul(24 * 60 * 60),
            converters: Arc::new(Semaphore::new(CONVERTERS_MAX)),
            spool: Arc::new(Spool::new(&config.data_dir)),
            job_ready: Arc::new(Notify::new()),
        }
    }

    /// The same from the parts of a process.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn of(process: &Process, log: Log) -> Result<Self, BoxError> {
        let Process { secrets, peers, fetch, config, .. } = process;
        Ok(Self::new(process.db("imports").await?, log, peers.clone(), secrets.clone(), fetch.clone(), config))
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
    Ok(rpc::routes(deps))
}

/// Runs import jobs in the background, also those that an earlier process left. Call it after [`service`].
pub fn start_jobs(deps: Deps) -> JobsHandle {
    runner::start(deps)
}

/// A text as Postgres keeps it, which takes no NUL characters.
fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}") } else { text }
}
