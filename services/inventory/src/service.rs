use portolan_api::inventory::v1::{
    collection_service_server::CollectionServiceServer, endpoint_service_server::EndpointServiceServer,
    group_service_server::GroupServiceServer, ingest_service_server::IngestServiceServer,
    job_service_server::JobServiceServer, parameter_service_server::ParameterServiceServer,
    platform_service_server::PlatformServiceServer, sample_service_server::SampleServiceServer,
    specification_service_server::SpecificationServiceServer, statistics_service_server::StatisticsServiceServer,
};
use portolan_limit::Management;
use portolan_log::Log;
use portolan_runtime::{Opened, Process, Service, Tasks, process::BoxError, readiness::check};
use portolan_store::Tables;
use tonic::service::Routes;

use crate::{
    deps::Deps,
    ingest::log_readiness,
    migrations::{SERVICE, TABLES},
    options::Options,
    rpc::Rpc,
    worker,
};

/// Largest request: an import target or a list of 10,000 ids stays far below.
const REQUEST_BYTES_MAX: usize = 4 << 20;
/// Largest reservation: the raw URLs of a capture, with digests of the names in their bodies.
const RESERVATION_BYTES_MAX: usize = 64 << 20;
/// Largest answer: the endpoints of a large collection come in one message.
const RESPONSE_BYTES_MAX: usize = 512 << 20;

/// The inventory service.
pub struct Inventory;

impl Service for Inventory {
    const NAME: &'static str = SERVICE;
    const PACKAGE: &'static str = "portolan.inventory.v1";
    const TABLES: &'static [Tables] = &[TABLES, portolan_log::TABLES];

    async fn open(process: &Process) -> Result<Opened, BoxError> {
        let log = portolan_log::open(process).await?;
        let opened = Self::open_on(process, log.clone()).await?;
        let store = process.store.clone();
        opened.tasks.needs("log", check(move || log_readiness(store.clone(), log.clone())));
        Ok(opened)
    }
}

impl Inventory {
    /// As [`Service::open`], with the log that other services of the process have opened: a reader of the embedded log
    /// is woken by what is appended through the same handle.
    ///
    /// # Errors
    /// Whatever keeps the service from starting, worded for its operator.
    pub async fn open_on(process: &Process, log: Log) -> Result<Opened, BoxError> {
        let options = Options::read(&process.config)?;
        let db = process.db(Self::NAME).await?;
        let deps = Deps::open(db.clone(), log, process.peers.clone())
            .await?
            .configured(&options)
            .keeping_rejected(process.config.shared.retention.rejected_records_days)
            .trusting(&process.config.shared.http.trusted_proxies)
            .counting(Management::new(process.limits(), options.management_rate_limit))
            .probing_in(std::env::current_exe().ok());
        let tasks = Tasks::default();
        let guard = portolan_outbox::guard(process, &db, process.remote_guard(), &tasks).await?;
        if !process.is_whole {
            tasks.stopping(portolan_meter::start(std::slice::from_ref(&db)).stop());
        }
        start(&deps, &tasks);
        Ok(Opened { routes: routes(deps), guard, tasks })
    }
}

/// Begins what runs by itself: a consumer for each partition of the log, jobs, and upkeep. The tables must be there.
pub fn start(deps: &Deps, tasks: &Tasks) {
    worker::start(deps, tasks);
}

/// The services of the package; the guard goes before them.
fn routes(deps: Deps) -> Routes {
    let rpc = Rpc::new(deps);
    let mut routes = Routes::builder();
    macro_rules! add {
        ($server:ident) => {
            add!($server, REQUEST_BYTES_MAX)
        };
        ($server:ident, $request_bytes_max:expr) => {
            routes.add_service(
                $server::new(rpc.clone())
                    .max_decoding_message_size($request_bytes_max)
                    .max_encoding_message_size(RESPONSE_BYTES_MAX),
            )
        };
    }
    add!(CollectionServiceServer);
    add!(EndpointServiceServer);
    add!(GroupServiceServer);
    add!(IngestServiceServer, RESERVATION_BYTES_MAX);
    add!(JobServiceServer);
    add!(ParameterServiceServer);
    add!(PlatformServiceServer);
    add!(SampleServiceServer);
    add!(SpecificationServiceServer);
    add!(StatisticsServiceServer);
    routes.routes()
}
