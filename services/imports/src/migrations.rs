use portolan_store::{Migration, Migrations};

/// The tables of this service.
pub const MIGRATIONS: Migrations = Migrations {
    service: "imports",
    steps: &[Migration {
        version: 1,
        name: "imports",
        sqlite: include_str!("../migrations/sqlite/0001_imports.sql"),
        postgres: include_str!("../migrations/postgres/0001_imports.sql"),
    }],
};
