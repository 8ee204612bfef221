use portolan_api::{
    imports::v1::{
        imports_service_server::ImportsServiceServer, postman_service_server::PostmanServiceServer,
        sources_service_server::SourcesServiceServer, uploads_service_server::UploadsServiceServer,
    },
    options::BODY_BYTES_MAX,
};
use portolan_log::Log;
use portolan_runtime::{Opened, Process, Service, Tasks, process::BoxError, readiness::check, reseal};
use portolan_store::Tables;
use tonic::service::Routes;

use crate::{deps::Deps, migrations::TABLES, model::sealed::SEALED, options::Options, rpc::Rpc, worker};

/// Room for the other members and the frame beside a body of the largest size.
const MESSAGE_BYTES_MAX: usize = BODY_BYTES_MAX + 1024 * 1024;

/// The imports service.
pub struct Imports;

impl Service for Imports {
    const NAME: &'static str = "imports";
    const PACKAGE: &'static str = "portolan.imports.v1";
    const TABLES: &'static [Tables] = &[TABLES, portolan_log::TABLES];

    async fn open(process: &Process) -> Result<Opened, BoxError> {
        let log = portolan_log::open(process).await?;
        let opened = Self::open_on(process, log.clone()).await?;
        opened.tasks.needs("log", check(move || portolan_log::is_there(log.clone())));
        Ok(opened)
    }
}

impl Imports {
    /// As [`Service::open`], with the log that other services of the process have opened: a reader of the embedded log
    /// is woken by what is appended through the same handle.
    ///
    /// # Errors
    /// Whatever keeps the service from starting, worded for its operator.
    pub async fn open_on(process: &Process, log: Log) -> Result<Opened, BoxError> {
        let options = Options::read(&process.config)?;
        let Process { peers, fetch, config, .. } = process;
        let secrets = process.secrets(Self::NAME)?;
        let db = process.db(Self::NAME).await?;
        let tasks = Tasks::default();
        let deps =
            Deps::open(db.clone(), log, peers.clone(), secrets.clone(), fetch.clone(), &config.data_dir, &options)
                .await?;
        let guard = portolan_outbox::guard(process, &db, process.remote_guard(), &tasks).await?;
        start(&deps, &tasks);
        reseal::start(&tasks, &db, &secrets, &SEALED);
        Ok(Opened { routes: routes(deps), guard, tasks })
    }
}

/// The services of the package; the guard goes before them.
pub fn routes(deps: Deps) -> Routes {
    let mut routes = Routes::builder();
    let rpc = Rpc::new(deps);
    macro_rules! add {
        ($server:expr) => {
            routes.add_service(
                $server.max_decoding_message_size(MESSAGE_BYTES_MAX).max_encoding_message_size(MESSAGE_BYTES_MAX),
            );
        };
    }
    add!(ImportsServiceServer::new(rpc.clone()));
    add!(PostmanServiceServer::new(rpc.clone()));
    add!(SourcesServiceServer::new(rpc.clone()));
    add!(UploadsServiceServer::new(rpc));
    routes.routes()
}

/// Begins what runs by itself: jobs, also those that an earlier process left, and retention.
pub fn start(deps: &Deps, tasks: &Tasks) {
    worker::start(deps, tasks);
}
