use portolan_store::{Db, Migration, Migrations};

use crate::Error;

/// The name of the service in the store.
pub const SERVICE: &str = "inventory";

/// The tables of this service.
pub const MIGRATIONS: Migrations = Migrations {
    service: SERVICE,
    steps: &[Migration {
        version: 1,
        name: "inventory",
        sqlite: include_str!("../migrations/sqlite/0001_inventory.sql"),
        postgres: include_str!("../migrations/postgres/0001_inventory.sql"),
    }],
};

/// Brings the tables of the service, and those of the libraries beside them, to this version.
///
/// # Errors
/// When the store cannot be reached or migrated.
pub async fn migrate(db: &Db) -> Result<(), Error> {
    portolan_meter::open(db).await?;
    portolan_outbox::open(db).await?;
    Ok(db.migrate(&MIGRATIONS).await?)
}
