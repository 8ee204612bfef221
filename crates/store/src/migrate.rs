use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::postgres;
use crate::{Db, Dialect, Error, Sql, args, now_s};

/// The steps that bring one service's tables to the state this program expects.
#[derive(Clone, Copy, Debug)]
pub struct Migrations {
    /// The service of the [`Db`] they run on.
    pub service: &'static str,
    /// In strictly ascending order of version, beginning at 1 or above.
    pub steps: &'static [Migration],
}

/// One step, as a pair of scripts with the same effect. A script may hold several statements.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    pub version: i64,
    pub name: &'static str,
    pub sqlite: &'static str,
    pub postgres: &'static str,
}

/// The name of a step that takes something away begins with this: a program that does not know the step stops. Every
/// other step only adds, so that the program of before runs on its tables while processes are replaced one by one, and
/// when the change is taken back.
const CONTRACTING: &str = "contract";

const CREATE_LEDGER: &str = "CREATE TABLE IF NOT EXISTS store_migrations (service TEXT NOT NULL, \
     version BIGINT NOT NULL, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL, \
     PRIMARY KEY (service, version))";
const SELECT_APPLIED: &str = "SELECT version, name, checksum FROM store_migrations WHERE service = $1";
const INSERT_APPLIED: &str =
    "INSERT INTO store_migrations (service, version, name, checksum, applied_at) VALUES ($1, $2, $3, $4, $5)";

impl Db {
    /// Applies the steps that the database lacks, all in one transaction, under a lock shared with other processes.
    ///
    /// # Errors
    /// [`Error::Migration`] when an applied step was edited or removed, when a newer program took something away, when
    /// steps are out of order or named for another service, and when a script fails. The tables then stay as they
    /// were.
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
        let mut applied = BTreeMap::new();
        for row in tx.fetch_all(SELECT_APPLIED, args![migrations.service]).await? {
            applied.insert(row.get::<i64>("version")?, (row.get::<String>("name")?, row.get::<String>("checksum")?));
        }
        let missing = missing_steps(self.dialect(), migrations.steps, &applied).map_err(fault)?;
        for step in missing {
            let script = script(self.dialect(), step);
            tracing::info!(service = migrations.service, version = step.version, name = step.name, "migrating");
            tx.execute_script(Sql::Literal(script).into_driver())
                .await
                .map_err(|error| fault(format!("step {} {}: {error}", step.version, step.name)))?;
            let row = args![migrations.service, step.version, step.name, checksum(script), now_s()];
            tx.execute(INSERT_APPLIED, row).await?;
        }
        tx.commit().await
    }
}

impl Db {
    /// Refuses tables that lack a step, in a store that is only looked at.
    async fn expect_migrated(&self, migrations: &Migrations) -> Result<(), Error> {
        let fault = |reason: String| Error::Migration { service: migrations.service.to_owned(), reason };
        let ledger = match self.dialect() {
            Dialect::Sqlite => "SELECT 1 FROM sqlite_master WHERE name = 'store_migrations'",
            Dialect::Postgres => {
                "SELECT 1 FROM pg_tables WHERE tablename = 'store_migrations' AND schemaname = current_schema()"
            }
        };
        let mut applied = BTreeMap::new();
        if self.fetch_optional(ledger, args![]).await?.is_some() {
            for row in self.fetch_all(SELECT_APPLIED, args![migrations.service]).await? {
                applied
                    .insert(row.get::<i64>("version")?, (row.get::<String>("name")?, row.get::<String>("checksum")?));
            }
        }
        match missing_steps(self.dialect(), migrations.steps, &applied).map_err(fault)?.first() {
            None => Ok(()),
            Some(step) => {
                Err(fault(format!("step {} {} is missing: `portolan migrate` runs it", step.version, step.name)))
            }
        }
    }
}

fn check_steps(migrations: &Migrations) -> Result<(), String> {
    let mut last = 0;
    for step in migrations.steps {
        if step.version <= last {
            return Err(format!("step {} {} does not follow step {last}", step.version, step.name));
        }
        last = step.version;
    }
    Ok(())
}

/// The steps still to run: those after the last applied one.
fn missing_steps<'a>(
    dialect: Dialect,
    steps: &'a [Migration],
    applied: &BTreeMap<i64, (String, String)>,
) -> Result<Vec<&'a Migration>, String> {
    let newest = applied.last_key_value().map_or(0, |(version, _)| *version);
    let last_known = steps.last().map_or(0, |step| step.version);
    for (version, (name, _)) in applied {
        let is_known = steps.iter().any(|step| step.version == *version);
        let only_adds = *version > last_known && !name.starts_with(CONTRACTING);
        if !is_known && !only_adds {
            return Err(format!(
                "the database has step {version} {name}, which this program lacks: use a newer program"
            ));
        }
    }
    let mut missing = Vec::new();
    for step in steps {
        match applied.get(&step.version) {
            Some((_, found)) if *found == checksum(script(dialect, step)) => {}
            Some(_) => return Err(format!("step {} {} was edited after it ran", step.version, step.name)),
            None if step.version < newest => {
                return Err(format!("step {} {} is missing below the applied step {newest}", step.version, step.name));
            }
            None => missing.push(step),
        }
    }
    Ok(missing)
}

fn script(dialect: Dialect, step: &Migration) -> &'static str {
    match dialect {
        Dialect::Sqlite => step.sqlite,
        Dialect::Postgres => step.postgres,
    }
}

fn checksum(script: &str) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(script.as_bytes()) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
