//! The steps by which tables are made, and whether those that ran on a database are the program's.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::{Dialect, Error};

/// The steps that bring the tables of one service or library to the state this program expects.
#[derive(Clone, Copy, Debug)]
pub struct Migrations {
    /// The service of the [`Db`](crate::Db) they run on, or the name of the library.
    pub service: &'static str,
    /// In strictly ascending order of version, beginning at 1 or above.
    pub steps: &'static [Migration],
}

/// One step, as a pair of scripts with the same effect. A script may hold several statements.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its place in the order.
    pub version: i64,
    /// What it is about; one whose name begins with `contract` takes something away.
    pub name: &'static str,
    /// For SQLite.
    pub sqlite: &'static str,
    /// For Postgres.
    pub postgres: &'static str,
}

/// All tables of one service: its own, and those of the libraries that it uses, which stand beside them.
#[derive(Clone, Copy, Debug)]
pub struct Tables {
    /// The service, which names the schema on Postgres.
    pub service: &'static str,
    /// In the order in which they are made.
    pub parts: &'static [&'static Migrations],
}

/// The name of a step that takes something away begins with this: a program that does not know the step stops. Every
/// other step only adds, so that the program of before runs on its tables while processes are replaced one by one, and
/// when the change is taken back.
const CONTRACTING: &str = "contract";

/// Steps that ran, by version: name and checksum.
pub(crate) type Applied = BTreeMap<i64, (String, String)>;

/// Why a program does not serve the tables that it met.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// The steps of the database are no beginning of the program's: another version made its tables by other steps.
    Foreign(String),
    /// A newer program took something away.
    Newer(String),
}

impl Mismatch {
    /// The error of the tables of `service` at `place`.
    pub fn at(self, service: &str, place: String) -> Error {
        match self {
            Self::Foreign(found) => Error::Foreign { place, found },
            Self::Newer(reason) => Error::Migration { service: service.to_owned(), reason },
        }
    }
}

/// The steps still to run: those after the last applied one.
pub(crate) fn missing_steps<'a>(
    dialect: Dialect,
    migrations: &'a Migrations,
    applied: &Applied,
) -> Result<Vec<&'a Migration>, Mismatch> {
    let Migrations { service, steps } = migrations;
    let newest = applied.last_key_value().map_or(0, |(version, _)| *version);
    let last_known = steps.last().map_or(0, |step| step.version);
    let mut missing = Vec::new();
    for step in *steps {
        match applied.get(&step.version) {
            Some((_, found)) if *found == checksum(script(dialect, step)) => {}
            Some((name, _)) => {
                return Err(Mismatch::Foreign(format!(
                    "step {} {name} of {service} is another one here",
                    step.version
                )));
            }
            None if step.version < newest => {
                let problem =
                    format!("step {} {} of {service} is missing below step {newest}", step.version, step.name);
                return Err(Mismatch::Foreign(problem));
            }
            None => missing.push(step),
        }
    }
    for (version, (name, _)) in applied {
        if steps.iter().any(|step| step.version == *version) {
            continue;
        }
        if *version < last_known {
            return Err(Mismatch::Foreign(format!("step {version} {name} of {service} is unknown here")));
        }
        if name.starts_with(CONTRACTING) {
            return Err(Mismatch::Newer(format!(
                "the database has step {version} {name}, which this program lacks: use a newer program"
            )));
        }
    }
    Ok(missing)
}

pub(crate) fn script(dialect: Dialect, step: &Migration) -> &'static str {
    match dialect {
        Dialect::Sqlite => step.sqlite,
        Dialect::Postgres => step.postgres,
    }
}

pub(crate) fn checksum(script: &str) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(script.as_bytes()) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The steps of a program are in their order.
pub(crate) fn check_steps(migrations: &Migrations) -> Result<(), String> {
    let mut last = 0;
    for step in migrations.steps {
        if step.version <= last {
            return Err(format!("step {} {} does not follow step {last}", step.version, step.name));
        }
        last = step.version;
    }
    Ok(())
}
