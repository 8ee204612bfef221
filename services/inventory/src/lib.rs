//! Inventory: collections, their endpoints and parameters, samples of calls, and the ingest that fills them.
//!
//! Owns the tables `collections`, `endpoints`, `api_endpoints`, `parameters`, `samples`, `ingest_cursors`,
//! `ingest_consumers`, `ingest_producers`, `inventory_sequences`, `endpoint_reservations` and
//! `inventory_jobs`. Asks identity to add a new collection to those that a restricted user may see, and which accounts
//! share a plan; asks billing what the plan allows.
//!
//! # Invariants
//! - Collection ids are positive, come from one sequence of the installation and are never used again. Collection 0,
//!   "Default", exists in every account.
//! - Everything is stored under the raw URL of a call; the effective URL is a column that may change, so that merging
//!   URLs loses nothing and can be undone.
//! - What a batch of records adds and how far the partition was read are written in one transaction. The tables are a
//!   function of the set of records, whatever their order, their batches and the crashes between.
//! - Only the holder of a collection's row ([`store::collections::lock`]) writes its endpoints, parameters and samples.
//! - An id that is unknown, foreign, deleted or not visible to the caller answers alike.
//!
//! Start reading at [`rpc`] for the way of a request and at [`ingest`] for the way of a record.

mod access;
pub mod access_types;
mod announce;
pub mod changes;
pub mod collection_writes;
pub mod collections;
pub mod data_types;
pub mod demerge;
mod deps;
pub mod discovery;
pub mod drift;
pub mod edge;
pub mod endpoint_writes;
pub mod endpoints;
mod environment;
mod error;
pub mod groups;
pub mod ingest;
pub mod issues;
pub mod jobs;
mod keys;
pub mod markings;
mod masking;
pub mod openapi;
pub mod parameters;
pub mod platform;
pub mod redaction;
pub mod reservations;
mod rpc;
pub mod samples;
pub mod statistics;
mod store;
mod text;
mod unreadable;
mod view;

pub use deps::Deps;
pub use error::Error;
pub use ingest::{IngestHandle, lag, log_readiness, oldest_unread, probe, start_ingest};
pub use unreadable::unreadable_settings;

use portolan_api::inventory::v1::access_type_service_server::AccessTypeServiceServer;
use portolan_api::inventory::v1::api_platform_service_server::ApiPlatformServiceServer;
use portolan_api::inventory::v1::collection_directory_service_server::CollectionDirectoryServiceServer;
use portolan_api::inventory::v1::collection_write_service_server::CollectionWriteServiceServer;
use portolan_api::inventory::v1::discovery_service_server::DiscoveryServiceServer;
use portolan_api::inventory::v1::drift_service_server::DriftServiceServer;
use portolan_api::inventory::v1::edge_feed_service_server::EdgeFeedServiceServer;
use portolan_api::inventory::v1::endpoint_write_service_server::EndpointWriteServiceServer;
use portolan_api::inventory::v1::export_service_server::ExportServiceServer;
use portolan_api::inventory::v1::group_preview_service_server::GroupPreviewServiceServer;
use portolan_api::inventory::v1::group_service_server::GroupServiceServer;
use portolan_api::inventory::v1::ingest_service_server::IngestServiceServer;
use portolan_api::inventory::v1::inventory_service_server::InventoryServiceServer;
use portolan_api::inventory::v1::inventory_usage_service_server::InventoryUsageServiceServer;
use portolan_api::inventory::v1::job_service_server::JobServiceServer;
use portolan_api::inventory::v1::sensitive_data_service_server::SensitiveDataServiceServer;
use portolan_store::{Migration, Migrations};
use tonic::service::Routes;

/// The full name of the gRPC service.
pub const PACKAGE: &str = "portolan.inventory.v1";

/// The name of the service in the store.
pub const SERVICE: &str = "inventory";

/// The tables of this service.
pub const MIGRATIONS: Migrations = Migrations {
    service: SERVICE,
    steps: &[
        Migration {
            version: 1,
            name: "inventory",
            sqlite: include_str!("../migrations/sqlite/0001_inventory.sql"),
            postgres: include_str!("../migrations/postgres/0001_inventory.sql"),
        },
        Migration {
            version: 2,
            name: "api_endpoints",
            sqlite: include_str!("../migrations/sqlite/0002_api_endpoints.sql"),
            postgres: include_str!("../migrations/postgres/0002_api_endpoints.sql"),
        },
        Migration {
            version: 3,
            name: "reads",
            sqlite: include_str!("../migrations/sqlite/0003_reads.sql"),
            postgres: include_str!("../migrations/postgres/0003_reads.sql"),
        },
        Migration {
            version: 10,
            name: "ingest_sources",
            sqlite: include_str!("../migrations/sqlite/0010_ingest_sources.sql"),
            postgres: include_str!("../migrations/postgres/0010_ingest_sources.sql"),
        },
        Migration {
            version: 20,
            name: "writes",
            sqlite: include_str!("../migrations/sqlite/0020_writes.sql"),
            postgres: include_str!("../migrations/postgres/0020_writes.sql"),
        },
        Migration {
            version: 30,
            name: "usage",
            sqlite: include_str!("../migrations/sqlite/0030_usage.sql"),
            postgres: include_str!("../migrations/postgres/0030_usage.sql"),
        },
        Migration {
            version: 40,
            name: "call_stats_age",
            sqlite: include_str!("../migrations/sqlite/0040_call_stats_age.sql"),
            postgres: include_str!("../migrations/postgres/0040_call_stats_age.sql"),
        },
        Migration {
            version: 41,
            name: "reservations",
            sqlite: include_str!("../migrations/sqlite/0041_reservations.sql"),
            postgres: include_str!("../migrations/postgres/0041_reservations.sql"),
        },
        Migration {
            version: 42,
            name: "totals",
            sqlite: include_str!("../migrations/sqlite/0042_totals.sql"),
            postgres: include_str!("../migrations/postgres/0042_totals.sql"),
        },
        Migration {
            version: 55,
            name: "ingest_attempts",
            sqlite: include_str!("../migrations/sqlite/0055_ingest_attempts.sql"),
            postgres: include_str!("../migrations/postgres/0055_ingest_attempts.sql"),
        },
        Migration {
            version: 56,
            name: "job_attempts",
            sqlite: include_str!("../migrations/sqlite/0056_job_attempts.sql"),
            postgres: include_str!("../migrations/postgres/0056_job_attempts.sql"),
        },
        Migration {
            version: 60,
            name: "sharing",
            sqlite: include_str!("../migrations/sqlite/0060_sharing.sql"),
            postgres: include_str!("../migrations/postgres/0060_sharing.sql"),
        },
    ],
};

/// Largest request: an import target or a list of 10,000 ids stays far below.
const REQUEST_BYTES_MAX: usize = 4 << 20;
/// Largest reservation: the raw URLs of a capture, with digests of the names in their bodies.
const RESERVATION_BYTES_MAX: usize = 64 << 20;
/// Largest answer: the endpoints of a large collection come in one message.
const RESPONSE_BYTES_MAX: usize = 512 << 20;

/// The service's routes, after its tables are as this program expects.
///
/// # Errors
/// When the tables cannot be prepared.
pub async fn service(deps: Deps) -> Result<Routes, Error> {
    portolan_meter::open(&deps.db).await?;
    deps.db.migrate(&MIGRATIONS).await?;
    let discovery = DiscoveryServiceServer::new(rpc::discovery::Discovery::new(deps.clone()))
        .max_decoding_message_size(REQUEST_BYTES_MAX)
        .max_encoding_message_size(RESPONSE_BYTES_MAX);
    let sensitive = SensitiveDataServiceServer::new(rpc::sensitive::SensitiveData::new(deps.clone()))
        .max_decoding_message_size(REQUEST_BYTES_MAX)
        .max_encoding_message_size(RESPONSE_BYTES_MAX);
    let drift =
        DriftServiceServer::new(rpc::drift::Drift::new(deps.clone())).max_encoding_message_size(RESPONSE_BYTES_MAX);
    let platform = ApiPlatformServiceServer::new(rpc::platform::ApiPlatform::new(deps.clone()))
        .max_decoding_message_size(REQUEST_BYTES_MAX);
    let edge = EdgeFeedServiceServer::new(rpc::edge::EdgeFeed::new(deps.clone()));
    let usage = InventoryUsageServiceServer::new(rpc::usage::Usage::new(deps.clone()))
        .max_decoding_message_size(RESERVATION_BYTES_MAX);
    let groups =
        GroupServiceServer::new(rpc::groups::Groups::new(deps.clone())).max_encoding_message_size(RESPONSE_BYTES_MAX);
    let group_preview = GroupPreviewServiceServer::new(rpc::group_preview::GroupPreview::new(deps.clone()))
        .max_encoding_message_size(RESPONSE_BYTES_MAX);
    let collection_writes =
        CollectionWriteServiceServer::new(rpc::collection_writes::CollectionWrites::new(deps.clone()))
            .max_encoding_message_size(RESPONSE_BYTES_MAX);
    let endpoint_writes = EndpointWriteServiceServer::new(rpc::endpoint_writes::EndpointWrites::new(deps.clone()));
    let access_types = AccessTypeServiceServer::new(rpc::access_types::AccessTypes::new(deps.clone()));
    let ingest = IngestServiceServer::new(rpc::ingest::Ingest::new(deps.clone()));
    let jobs = JobServiceServer::new(rpc::jobs::Jobs::new(deps.clone()));
    let export = ExportServiceServer::new(rpc::export::Export::new(deps.clone()));
    let directory =
        CollectionDirectoryServiceServer::new(rpc::collection_directory::CollectionDirectory::new(deps.clone()));
    let server = InventoryServiceServer::new(rpc::Inventory::new(deps))
        .max_decoding_message_size(REQUEST_BYTES_MAX)
        .max_encoding_message_size(RESPONSE_BYTES_MAX);
    let mut routes = Routes::builder();
    routes.add_service(server);
    routes.add_service(edge);
    routes.add_service(usage);
    routes.add_service(groups);
    routes.add_service(group_preview);
    routes.add_service(collection_writes);
    routes.add_service(endpoint_writes);
    routes.add_service(access_types);
    routes.add_service(jobs);
    routes.add_service(ingest);
    routes.add_service(export.max_encoding_message_size(RESPONSE_BYTES_MAX));
    routes.add_service(directory);
    routes.add_service(discovery);
    routes.add_service(sensitive);
    routes.add_service(drift);
    routes.add_service(platform);
    Ok(routes.routes())
}
