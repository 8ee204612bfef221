use portolan_store::{Migration, Migrations};

pub const MIGRATIONS: Migrations = Migrations {
    service: "billing",
    steps: &[
        Migration {
            version: 1,
            name: "billing",
            sqlite: include_str!("../migrations/sqlite/0001_billing.sql"),
            postgres: include_str!("../migrations/postgres/0001_billing.sql"),
        },
        Migration {
            version: 2,
            name: "jobs",
            sqlite: include_str!("../migrations/sqlite/0002_jobs.sql"),
            postgres: include_str!("../migrations/postgres/0002_jobs.sql"),
        },
        Migration {
            version: 85,
            name: "contract_refreshes",
            sqlite: include_str!("../migrations/sqlite/0085_contract_refreshes.sql"),
            postgres: include_str!("../migrations/postgres/0085_contract_refreshes.sql"),
        },
    ],
};
