//! A look at what ran on a database, before anything is opened for writing.

use std::collections::BTreeMap;
use std::path::Path;

use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};

use crate::reach::Reach;
use crate::steps::{Applied, Tables, missing_steps};
use crate::{Dialect, Error, Store, driver, sqlite};

impl Store {
    /// Refuses a database whose tables another line of versions made, before anything is opened for writing: neither
    /// file nor schema nor row is made or changed, and a database that does not exist is fine. `tables` are those of the
    /// services that the caller serves; records of others are passed over.
    ///
    /// # Errors
    /// [`Error::Foreign`] with what was found and where; [`Error::Migration`] where a newer program took something
    /// away; [`Error::Unavailable`] when the database cannot be reached.
    pub async fn expect_known(url: &str, tables: &[Tables]) -> Result<(), Error> {
        sqlx::any::install_default_drivers();
        match Self::sqlite_file(url) {
            Some(file) => expect_known_file(&file, tables).await,
            None => {
                let reach = Reach::of_postgres(url)?;
                let looked = reach.cut_off(expect_known_schemas(url, &reach, tables)).await;
                looked.map_err(Error::Unavailable)?
            }
        }
    }
}

async fn expect_known_file(file: &Path, tables: &[Tables]) -> Result<(), Error> {
    let Some(mut connection) = sqlite::look(file).await? else { return Ok(()) };
    let looked = async {
        let ledger = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'store_migrations'";
        if sqlx::query(ledger).fetch_optional(&mut connection).await?.is_none() {
            return Ok::<_, Error>(());
        }
        let records = records(&mut connection, "store_migrations").await?;
        expect_all(Dialect::Sqlite, tables, &records, || file.display().to_string())
    };
    let outcome = looked.await;
    // Nothing was written, so there is nothing that a failed end could lose.
    let _ = connection.close().await;
    outcome
}

async fn expect_known_schemas(url: &str, reach: &Reach, tables: &[Tables]) -> Result<(), Error> {
    let connected = AnyConnection::connect_with(&driver::options(url)?).await;
    let mut connection = connected.map_err(|error| Error::from(error).at(&reach.name()))?;
    let looked = async {
        let ledgers = "SELECT cast(schemaname AS text) FROM pg_tables WHERE tablename = 'store_migrations'";
        let schemas: Vec<(String,)> = sqlx::query_as(ledgers).fetch_all(&mut connection).await?;
        for (schema,) in schemas {
            let Some(own) = tables.iter().find(|tables| tables.service == schema) else { continue };
            let records = records(&mut connection, &format!("\"{schema}\".store_migrations")).await?;
            let place = || format!("the schema {schema} of {}", reach.name());
            expect_all(Dialect::Postgres, std::slice::from_ref(own), &records, place)?;
        }
        Ok::<_, Error>(())
    };
    let outcome = looked.await;
    let _ = connection.close().await;
    outcome
}

/// What is recorded, by the service or library whose steps they are.
async fn records(connection: &mut AnyConnection, ledger: &str) -> Result<BTreeMap<String, Applied>, Error> {
    let select = format!("SELECT service, version, name, checksum FROM {ledger}");
    let rows: Vec<(String, i64, String, String)> = sqlx::query_as(AssertSqlSafe(select)).fetch_all(connection).await?;
    let mut records: BTreeMap<String, Applied> = BTreeMap::new();
    for (service, version, name, checksum) in rows {
        records.entry(service).or_default().insert(version, (name, checksum));
    }
    Ok(records)
}

fn expect_all(
    dialect: Dialect,
    tables: &[Tables],
    records: &BTreeMap<String, Applied>,
    place: impl Fn() -> String,
) -> Result<(), Error> {
    for migrations in tables.iter().flat_map(|tables| tables.parts) {
        let Some(applied) = records.get(migrations.service) else { continue };
        missing_steps(dialect, migrations, applied).map_err(|mismatch| mismatch.at(migrations.service, place()))?;
    }
    Ok(())
}
