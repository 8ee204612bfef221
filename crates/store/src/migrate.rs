use crate::postgres;
use crate::steps::{Applied, Migrations, Tables, check_steps, checksum, missing_steps, script};
use crate::{Db, Dialect, Error, Sql, Store, args, now_s};

const CREATE_LEDGER: &str = "CREATE TABLE IF NOT EXISTS store_migrations (service TEXT NOT NULL, \
     version BIGINT NOT NULL, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL, \
     PRIMARY KEY (service, version))";
const SELECT_APPLIED: &str = "SELECT version, name, checksum FROM store_migrations WHERE service = $1";
const INSERT_APPLIED: &str =
    "INSERT INTO store_migrations (service, version, name, checksum, applied_at) VALUES ($1, $2, $3, $4, $5)";

impl Store {
    /// The handle of a service whose tables are brought to this version first.
    ///
    /// # Errors
    /// As [`Store::service`] and [`Db::migrate_tables`].
    pub async fn migrate(&self, tables: &Tables) -> Result<Db, Error> {
        let db = self.service(tables.service).await?;
        db.migrate_tables(tables).await?;
        Ok(db)
    }
}

impl Db {
    /// Brings all tables of the service to this version.
    ///
    /// # Errors
    /// As [`Db::migrate`].
    pub async fn migrate_tables(&self, tables: &Tables) -> Result<(), Error> {
        for part in tables.parts {
            if part.service == tables.service {
                self.migrate(part).await?;
            } else {
                self.migrate_library(part).await?;
            }
        }
        Ok(())
    }

    /// Applies the steps that the database lacks, all in one transaction, under a lock shared with other processes.
    ///
    /// # Errors
    /// [`Error::Foreign`] when an applied step was edited or removed; [`Error::Migration`] when a newer program took
    /// something away, when steps are out of order or named for another service, and when a script fails. The tables
    /// then stay as they were.
    pub async fn migrate(&self, migrations: &Migrations) -> Result<(), Error> {
        if migrations.service != self.service() {
            let reason = format!("the handle belongs to the service {}", self.service());
            return Err(Error::Migration { service: migrations.service.to_owned(), reason });
        }
        self.migrate_library(migrations).await
    }

    /// Applies the steps of a library whose tables stand beside those of every service that uses it: in each schema on
    /// Postgres, once in the file on SQLite. `migrations.service` is the library's name.
    ///
    /// # Errors
    /// As [`Db::migrate`].
    pub async fn migrate_library(&self, migrations: &Migrations) -> Result<(), Error> {
        let fault = |reason: String| Error::Migration { service: migrations.service.to_owned(), reason };
        check_steps(migrations).map_err(fault)?;
        let found = self.expect_migrated(migrations).await;
        // Where nothing is missing nothing is made, so that a user who may only read and write rows can serve.
        if (found.is_ok() && !migrations.steps.is_empty()) || !self.makes() {
            return found;
        }
        let mut tx = self.begin().await?;
        // SQLite's IMMEDIATE transaction already excludes every other writer; Postgres needs a lock with a name, held
        // until the commit alike.
        if self.dialect() == Dialect::Postgres {
            tx.execute("SELECT pg_advisory_xact_lock($1)", args![postgres::LOCK]).await?;
        }
        tx.execute(CREATE_LEDGER, args![]).await?;
        let mut applied = Applied::new();
        for row in tx.fetch_all(SELECT_APPLIED, args![migrations.service]).await? {
            applied.insert(row.get::<i64>("version")?, (row.get::<String>("name")?, row.get::<String>("checksum")?));
        }
        let missing = missing_steps(self.dialect(), migrations, &applied);
        for step in missing.map_err(|mismatch| mismatch.at(migrations.service, self.place()))? {
            let script = script(self.dialect(), step);
            tracing::info!(service = migrations.service, version = step.version, name = step.name, "migrating");
            tx.execute_script(Sql::Literal(script))
                .await
                .map_err(|error| fault(format!("step {} {}: {error}", step.version, step.name)))?;
            let row = args![migrations.service, step.version, step.name, checksum(script), now_s()];
            tx.execute(INSERT_APPLIED, row).await?;
        }
        tx.commit().await
    }

    /// Refuses tables that lack a step, in a store that is only looked at.
    async fn expect_migrated(&self, migrations: &Migrations) -> Result<(), Error> {
        let ledger = match self.dialect() {
            Dialect::Sqlite => "SELECT 1 FROM sqlite_master WHERE name = 'store_migrations'",
            Dialect::Postgres => {
                "SELECT 1 FROM pg_tables WHERE tablename = 'store_migrations' AND schemaname = current_schema()"
            }
        };
        let mut applied = Applied::new();
        if self.fetch_optional(ledger, args![]).await?.is_some() {
            for row in self.fetch_all(SELECT_APPLIED, args![migrations.service]).await? {
                applied
                    .insert(row.get::<i64>("version")?, (row.get::<String>("name")?, row.get::<String>("checksum")?));
            }
        }
        let missing = missing_steps(self.dialect(), migrations, &applied);
        match missing.map_err(|mismatch| mismatch.at(migrations.service, self.place()))?.first() {
            None => Ok(()),
            Some(step) => Err(Error::Migration {
                service: migrations.service.to_owned(),
                reason: format!("step {} {} is missing: `portolan migrate` runs it", step.version, step.name),
            }),
        }
    }
}
