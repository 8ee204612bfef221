use portolan_runtime::key_mark;
use portolan_store::{Migration, Migrations, Tables};

const MIGRATIONS: Migrations = Migrations {
    service: "billing",
    steps: &[Migration {
        version: 1,
        name: "billing",
        sqlite: include_str!("../migrations/sqlite/0001_billing.sql"),
        postgres: include_str!("../migrations/postgres/0001_billing.sql"),
    }],
};

/// What the service owns in the store, with the tables of the libraries beside its own.
pub const TABLES: Tables = Tables {
    service: "billing",
    parts: &[&key_mark::MIGRATIONS, &portolan_outbox::MIGRATIONS, &MIGRATIONS, &portolan_jobs::MIGRATIONS],
};
