use portolan_runtime::key_mark;
use portolan_store::{Migration, Migrations, Tables};

const MIGRATIONS: Migrations = Migrations {
    service: "identity",
    steps: &[Migration {
        version: 1,
        name: "identity",
        sqlite: include_str!("../migrations/sqlite/0001_identity.sql"),
        postgres: include_str!("../migrations/postgres/0001_identity.sql"),
    }],
};

/// What the service owns in the store, with the tables of the libraries beside its own.
pub const TABLES: Tables = Tables {
    service: "identity",
    parts: &[
        &key_mark::MIGRATIONS,
        &portolan_outbox::MIGRATIONS,
        &portolan_meter::MIGRATIONS,
        &MIGRATIONS,
        &portolan_limit::MIGRATIONS,
    ],
};
