use portolan_runtime::key_mark;
use portolan_store::{Migration, Migrations, Tables};

const MIGRATIONS: Migrations = Migrations {
    service: "tokens",
    steps: &[Migration {
        version: 1,
        name: "tokens",
        sqlite: include_str!("../migrations/sqlite/0001_tokens.sql"),
        postgres: include_str!("../migrations/postgres/0001_tokens.sql"),
    }],
};

/// What the service owns in the store, with the tables of the libraries beside its own.
pub const TABLES: Tables = Tables {
    service: "tokens",
    parts: &[&key_mark::MIGRATIONS, &portolan_outbox::MIGRATIONS, &MIGRATIONS, &portolan_limit::MIGRATIONS],
};
