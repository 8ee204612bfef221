use portolan_runtime::key_mark;
use portolan_store::{Migration, Migrations, Tables};

const MIGRATIONS: Migrations = Migrations {
    service: "imports",
    steps: &[Migration {
        version: 1,
        name: "imports",
        sqlite: include_str!("../migrations/sqlite/0001_imports.sql"),
        postgres: include_str!("../migrations/postgres/0001_imports.sql"),
    }],
};

/// What the service owns in the store, with the tables of the libraries beside its own.
pub const TABLES: Tables = Tables {
    service: "imports",
    parts: &[&key_mark::MIGRATIONS, &portolan_outbox::MIGRATIONS, &MIGRATIONS, &portolan_jobs::MIGRATIONS],
};
