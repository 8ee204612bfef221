//! A look at what ran on a database, before anything is opened for writing.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::OptionalExtension as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::reach::Reach;
use crate::steps::{Applied, Tables, missing_steps};
use crate::{Dialect, Error, Store, postgres, sqlite};

impl Store {
    /// Refuses a database whose tables another line of versions made, before anything is opened for writing: neither
    /// file nor schema nor row is made or changed, and a database that does not exist is fine. `tables` are those of the
    /// services that the caller serves; records of others are passed over.
    ///
    /// # Errors
    /// [`Error::Foreign`] with what was found and where; [`Error::Migration`] where a newer program took something
    /// away; [`Error::Unavailable`] when the database cannot be reached.
    pub async fn expect_known(url: &str, tables: &[Tables]) -> Result<(), Error> {
        match Self::sqlite_file(url) {
            Some(file) => expect_known_file(&file, tables),
            None => {
                let reach = Reach::of_postgres(url)?;
                let looked = reach.cut_off(expect_known_schemas(url, &reach, tables)).await;
                looked.map_err(Error::Unavailable)?
            }
        }
    }
}

fn expect_known_file(file: &Path, tables: &[Tables]) -> Result<(), Error> {
    let Some(connection) = sqlite::look(file)? else { return Ok(()) };
    let ledger = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'store_migrations'";
    if connection.query_row(ledger, [], |_| Ok(())).optional()?.is_none() {
        return Ok(());
    }
    let mut select = connection.prepare(&select("store_migrations"))?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let records = records(rows.collect::<Result<_, _>>()?);
    expect_all(Dialect::Sqlite, tables, &records, || file.display().to_string())
}

async fn expect_known_schemas(url: &str, reach: &Reach, tables: &[Tables]) -> Result<(), Error> {
    let connected = PgConnection::connect_with(&postgres::options(url)?).await;
    let mut connection = connected.map_err(|error| Error::from(error).at(&reach.name()))?;
    let looked = async {
        let ledgers = "SELECT cast(schemaname AS text) FROM pg_tables WHERE tablename = 'store_migrations'";
        let schemas: Vec<(String,)> = sqlx::query_as(ledgers).fetch_all(&mut connection).await?;
        for (schema,) in schemas {
            let Some(own) = tables.iter().find(|tables| tables.service == schema) else { continue };
            let select = AssertSqlSafe(select(&format!("\"{schema}\".store_migrations")));
            let records = records(sqlx::query_as(select).fetch_all(&mut connection).await?);
            let place = || format!("the schema {schema} of {}", reach.name());
            expect_all(Dialect::Postgres, std::slice::from_ref(own), &records, place)?;
        }
        Ok::<_, Error>(())
    };
    let outcome = looked.await;
    let _ = connection.close().await;
    outcome
}

fn select(ledger: &str) -> String {
    format!("SELECT service, version, name, checksum FROM {ledger}")
}

/// What is recorded, by the service or library whose steps they are.
fn records(rows: Vec<(String, i64, String, String)>) -> BTreeMap<String, Applied> {
    let mut records: BTreeMap<String, Applied> = BTreeMap::new();
    for (service, version, name, checksum) in rows {
        records.entry(service).or_default().insert(version, (name, checksum));
    }
    records
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
