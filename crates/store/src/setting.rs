//! Settings that are stored as text, and may have been written by another version or by hand. Whoever reads one that
//! cannot be understood does without it, on the side where less is open; whoever runs the installation is told.

use std::str::FromStr;

use serde::de::DeserializeOwned;

use crate::{Db, Error, Sql, args};

/// Larger than any request that sets one.
const BYTES_MAX: usize = 4 << 20;
/// Rows that are looked at at once.
const PAGE: i64 = 500;
/// What is told of a value that is not understood.
const REASON_CHARS_MAX: usize = 200;
/// What is told of a name that is not known.
const NAME_CHARS_MAX: usize = 100;

/// A column that holds settings.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The table that it stands in.
    pub table: &'static str,
    /// The column that says whose the row is.
    pub owner: &'static str,
    /// The column that tells the rows of an owner apart.
    pub key: &'static str,
    /// Its name there.
    pub column: &'static str,
    /// Why a value is not understood.
    pub check: fn(&str) -> Result<(), String>,
}

impl Setting {
    /// One of an account, in a table whose rows name theirs by `account_id`.
    pub const fn of_account(
        table: &'static str,
        key: &'static str,
        column: &'static str,
        check: fn(&str) -> Result<(), String>,
    ) -> Self {
        Self { table, owner: "account_id", key, column, check }
    }
}

/// A value as it is stored in JSON.
///
/// # Errors
/// Why it is not understood.
pub fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    if text.len() > BYTES_MAX {
        return Err(format!("it has {} bytes, of at most {BYTES_MAX}", text.len()));
    }
    serde_json::from_str(text).map_err(|error| short(&error.to_string(), REASON_CHARS_MAX))
}

/// The same where nothing stands in for a value that is not understood; the log says so.
pub fn understood<T: DeserializeOwned>(column: &'static str, text: &str) -> Option<T> {
    parsed(text).inspect_err(|reason| tracing::warn!(column, reason, "a stored setting is skipped")).ok()
}

/// Whether JSON has this type.
///
/// # Errors
/// Why it has not.
pub fn is<T: DeserializeOwned>(text: &str) -> Result<(), String> {
    parsed::<T>(text).map(drop)
}

/// Whether it is a list of texts each of which can be read.
///
/// # Errors
/// Names the one that cannot.
pub fn is_list_of<T: FromStr>(text: &str) -> Result<(), String> {
    are_known(parsed::<Vec<String>>(text)?, |entry| entry.parse::<T>().is_ok())
}

/// Whether all of these names are known.
///
/// # Errors
/// Names the first that is not.
pub fn are_known(names: impl IntoIterator<Item = String>, is_known: impl Fn(&str) -> bool) -> Result<(), String> {
    match names.into_iter().find(|name| !is_known(name)) {
        Some(name) => Err(format!("{} is unknown", short(&name, NAME_CHARS_MAX))),
        None => Ok(()),
    }
}

/// A line for each value that is not understood, naming table, owner, row, column and why.
///
/// # Errors
/// When the tables cannot be read.
pub async fn unreadable(db: &Db, settings: &[Setting]) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for Setting { table, owner, key, column, check } in settings {
        let rows = Sql::assembled(format!(
            "SELECT cast({owner} AS TEXT) AS owner, cast({key} AS TEXT) AS key, {column} AS value FROM {table} \
             WHERE {column} IS NOT NULL ORDER BY {owner}, {key} LIMIT $1 OFFSET $2"
        ));
        for page in 0.. {
            let page = db.fetch_all(rows.clone(), args![PAGE, page * PAGE]).await?;
            for row in &page {
                let (owner, key): (String, String) = (row.get("owner")?, row.get("key")?);
                if let Err(reason) = check(&row.get::<String>("value")?) {
                    found.push(format!("account {owner}, {table} {key}, {column}: {reason}"));
                }
            }
            if i64::try_from(page.len()).unwrap_or(PAGE) < PAGE {
                break;
            }
        }
    }
    Ok(found)
}

fn short(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}
