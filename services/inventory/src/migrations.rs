use portolan_store::{Db, Migration, Migrations};

use crate::Error;

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
        Migration {
            version: 65,
            name: "lanes",
            sqlite: include_str!("../migrations/sqlite/0065_lanes.sql"),
            postgres: include_str!("../migrations/postgres/0065_lanes.sql"),
        },
    ],
};

/// Brings the tables of the service, and those of the libraries beside them, to this version.
///
/// # Errors
/// When the store cannot be reached or migrated.
pub async fn migrate(db: &Db) -> Result<(), Error> {
    portolan_meter::open(db).await?;
    portolan_outbox::open(db).await?;
    Ok(db.migrate(&MIGRATIONS).await?)
}
