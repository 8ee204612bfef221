use std::{path::Path, sync::Arc, time::Duration};

use portolan_fetch::Fetch;
use portolan_jobs::{Clock, Jobs};
use portolan_log::Log;
use portolan_runtime::{Peers, Secrets};
use portolan_store::Db;

use crate::{migrations::TABLES, model::jobs::Task, options::Options, spool::Spool, turns::Turns};

/// Documents converted in memory at once; each may take some hundred MiB and a whole core.
const DOCUMENTS_MAX: usize = 2;
/// The same of captures, which come with requests that wait for them.
const CAPTURES_MAX: usize = 2;
/// A job that reads nothing, waits for nobody who said how long, and notes no progress for this long hangs.
const STALL_MAX: Duration = Duration::from_secs(900);
const DAY_S: i64 = 24 * 60 * 60;

/// What the service works with; cheap to clone.
#[derive(Clone)]
pub struct Deps {
    pub(crate) db: Db,
    pub(crate) log: Log,
    pub(crate) peers: Peers,
    pub(crate) secrets: Secrets,
    /// For addresses that callers give.
    pub(crate) fetch: Fetch,
    /// For the Postman API, wherever the operator says it stands.
    pub(crate) postman: Fetch,
    pub(crate) postman_url: Arc<str>,
    /// How long reviewed uploads are kept.
    pub(crate) retention_s: i64,
    pub(crate) stall_max: Duration,
    pub(crate) spool: Arc<Spool>,
    /// Jobs whose file lies in the spool need this.
    pub(crate) spool_id: Arc<str>,
    pub(crate) jobs: Jobs<Task>,
    /// For documents of any format, most of them of jobs.
    pub(crate) documents: Turns,
    /// For captures that came with a request.
    pub(crate) captures: Turns,
}

impl Deps {
    /// Migrates the tables and prepares the spool. `db` is the handle of the service `imports`; `log` is the topic of
    /// ingest records; raw files are kept in `uploads` under `data_dir`.
    ///
    /// # Errors
    /// When the store or the data directory cannot be used.
    pub async fn open(
        db: Db,
        log: Log,
        peers: Peers,
        secrets: Secrets,
        fetch: Fetch,
        data_dir: &Path,
        options: &Options,
    ) -> portolan_api::Result<Self> {
        db.migrate_tables(&TABLES).await.map_err(portolan_api::Error::internal)?;
        let spool = Arc::new(Spool::new(data_dir, options.imports.spool_bytes_share));
        let spool_id = spool.id().await.map_err(portolan_api::Error::internal)?.into();
        let retention_s = i64::from(options.imports.retention_days).saturating_mul(DAY_S);
        let jobs = Jobs::open(db.clone(), Clock::system()).await.map_err(portolan_api::Error::internal)?;
        let jobs = jobs.sealing(secrets.clone()).keeping(retention_s);
        let postman_url = options.postman.url.as_str();
        Ok(Self {
            db,
            log,
            peers,
            secrets,
            postman: fetch.trusting(postman_url),
            fetch,
            postman_url: postman_url.into(),
            retention_s,
            stall_max: STALL_MAX,
            documents: Turns::new(DOCUMENTS_MAX),
            captures: Turns::new(CAPTURES_MAX),
            spool,
            spool_id,
            jobs,
        })
    }

    /// Takes a job that does not go on for this long for one that hangs.
    #[must_use]
    pub fn stalling_after(self, stall_max: Duration) -> Self {
        Self { stall_max, ..self }
    }
}
