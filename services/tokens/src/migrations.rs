use portolan_store::{Migration, Migrations};

pub const MIGRATIONS: Migrations = Migrations {
    service: "tokens",
    steps: &[Migration {
        version: 1,
        name: "tokens",
        sqlite: include_str!("../migrations/sqlite/0001_tokens.sql"),
        postgres: include_str!("../migrations/postgres/0001_tokens.sql"),
    }],
};
