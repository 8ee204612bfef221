use portolan_runtime::key_mark;
use portolan_store::{Migration, Migrations, Tables};

/// The name of the service in the store.
pub const SERVICE: &str = "inventory";

const MIGRATIONS: Migrations = Migrations {
    service: SERVICE,
    steps: &[Migration {
        version: 1,
        name: "inventory",
        sqlite: include_str!("../migrations/sqlite/0001_inventory.sql"),
        postgres: include_str!("../migrations/postgres/0001_inventory.sql"),
    }],
};

/// What the service owns in the store, with the tables of the libraries beside its own.
pub const TABLES: Tables = Tables {
    service: SERVICE,
    parts: &[
        &key_mark::MIGRATIONS,
        &portolan_outbox::MIGRATIONS,
        &portolan_meter::MIGRATIONS,
        &MIGRATIONS,
        &portolan_jobs::MIGRATIONS,
    ],
};
