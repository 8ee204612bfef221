use portolan_api::Error;
use portolan_limit::Limits;
use portolan_store::{Db, Migration, Migrations};

pub const MIGRATIONS: Migrations = Migrations {
    service: "identity",
    steps: &[
        Migration {
            version: 1,
            name: "identity",
            sqlite: include_str!("../migrations/sqlite/0001_identity.sql"),
            postgres: include_str!("../migrations/postgres/0001_identity.sql"),
        },
        Migration {
            version: 2,
            name: "access",
            sqlite: include_str!("../migrations/sqlite/0002_access.sql"),
            postgres: include_str!("../migrations/postgres/0002_access.sql"),
        },
        Migration {
            version: 3,
            name: "audit",
            sqlite: include_str!("../migrations/sqlite/0003_audit.sql"),
            postgres: include_str!("../migrations/postgres/0003_audit.sql"),
        },
        Migration {
            version: 30,
            name: "usage",
            sqlite: include_str!("../migrations/sqlite/0030_usage.sql"),
            postgres: include_str!("../migrations/postgres/0030_usage.sql"),
        },
        Migration {
            version: 31,
            name: "emptied_lists",
            sqlite: include_str!("../migrations/sqlite/0031_emptied_lists.sql"),
            postgres: include_str!("../migrations/postgres/0031_emptied_lists.sql"),
        },
        Migration {
            version: 65,
            name: "administrators",
            sqlite: include_str!("../migrations/sqlite/0065_administrators.sql"),
            postgres: include_str!("../migrations/postgres/0065_administrators.sql"),
        },
        Migration {
            version: 70,
            name: "tenant_states",
            sqlite: include_str!("../migrations/sqlite/0070_tenant_states.sql"),
            postgres: include_str!("../migrations/postgres/0070_tenant_states.sql"),
        },
        Migration {
            version: 81,
            name: "audit_keys",
            sqlite: include_str!("../migrations/sqlite/0081_audit_keys.sql"),
            postgres: include_str!("../migrations/postgres/0081_audit_keys.sql"),
        },
    ],
};

/// Brings the tables of the service, and those of the libraries beside them, to this version.
///
/// # Errors
/// When the store cannot be reached or migrated.
pub async fn migrate(db: &Db) -> Result<(), Error> {
    portolan_meter::open(db).await?;
    portolan_outbox::open(db).await?;
    db.migrate(&MIGRATIONS).await?;
    Limits::in_table(db).await?;
    Ok(())
}
