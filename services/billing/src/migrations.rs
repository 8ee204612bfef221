use portolan_store::{Migration, Migrations};

pub const MIGRATIONS: Migrations = Migrations {
    service: "billing",
    steps: &[Migration {
        version: 1,
        name: "billing",
        sqlite: include_str!("../migrations/sqlite/0001_billing.sql"),
        postgres: include_str!("../migrations/postgres/0001_billing.sql"),
    }],
};
