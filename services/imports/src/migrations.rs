use portolan_store::{Migration, Migrations};

/// The tables of this service.
pub const MIGRATIONS: Migrations = Migrations {
    service: "imports",
    steps: &[
        Migration {
            version: 1,
            name: "imports",
            sqlite: include_str!("../migrations/sqlite/0001_imports.sql"),
            postgres: include_str!("../migrations/postgres/0001_imports.sql"),
        },
        Migration {
            version: 2,
            name: "sources",
            sqlite: include_str!("../migrations/sqlite/0002_sources.sql"),
            postgres: include_str!("../migrations/postgres/0002_sources.sql"),
        },
        Migration {
            version: 3,
            name: "names",
            sqlite: include_str!("../migrations/sqlite/0003_names.sql"),
            postgres: include_str!("../migrations/postgres/0003_names.sql"),
        },
        Migration {
            version: 60,
            name: "content_digest",
            sqlite: include_str!("../migrations/sqlite/0060_content_digest.sql"),
            postgres: include_str!("../migrations/postgres/0060_content_digest.sql"),
        },
        Migration {
            version: 61,
            name: "upload_owner",
            sqlite: include_str!("../migrations/sqlite/0061_upload_owner.sql"),
            postgres: include_str!("../migrations/postgres/0061_upload_owner.sql"),
        },
        Migration {
            version: 62,
            name: "job_attempts",
            sqlite: include_str!("../migrations/sqlite/0062_job_attempts.sql"),
            postgres: include_str!("../migrations/postgres/0062_job_attempts.sql"),
        },
        Migration {
            version: 63,
            name: "contract_jobs",
            sqlite: include_str!("../migrations/sqlite/0063_contract_jobs.sql"),
            postgres: include_str!("../migrations/postgres/0063_contract_jobs.sql"),
        },
    ],
};
