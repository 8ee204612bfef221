use portolan_api::Error;
use portolan_limit::Limits;
use portolan_store::{Db, Migration, Migrations};

pub const MIGRATIONS: Migrations = Migrations {
    service: "identity",
    steps: &[Migration {
        version: 1,
        name: "identity",
        sqlite: include_str!("../migrations/sqlite/0001_identity.sql"),
        postgres: include_str!("../migrations/postgres/0001_identity.sql"),
    }],
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
