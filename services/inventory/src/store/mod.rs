//! The statements of this service, one file for each table, one function for each statement.

pub mod access_types;
pub mod belongings;
pub mod call_stats;
pub mod collections;
pub mod data_types;
pub mod demerged;
pub mod endpoints;
pub mod feed;
pub mod groups;
pub mod issues;
pub mod markings;
pub mod parameters;
pub mod platform;
pub mod positions;
pub mod producers;
pub mod reservations;
pub mod samples;
pub mod specifications;
pub mod templates;
pub mod totals;
pub mod usage;

use portolan_ids::{AccountId, CollectionId};
use portolan_store::{Db, Error, Row, Sql, Tx, Value, args};

/// Sizes of `IN` lists: few distinct texts, each a prepared statement.
const LIST_SIZES: [usize; 4] = [1, 16, 128, 512];

/// The largest list of one statement.
pub const LIST_MAX: usize = 512;

/// Puts a list of keys where `statement` has `{keys}`, as markers from `first_marker` on, and returns the arguments for
/// them. The list is filled up with its last key to one of few lengths.
fn with_keys(statement: &str, first_marker: usize, keys: &[&str]) -> (Sql, Vec<Value>) {
    let size = LIST_SIZES.into_iter().find(|size| keys.len() <= *size).unwrap_or(keys.len());
    let markers: Vec<String> = (first_marker..first_marker + size).map(|marker| format!("${marker}")).collect();
    let last = keys.last().copied().unwrap_or_default();
    let arguments = keys.iter().copied().chain(std::iter::repeat(last)).take(size).map(Value::from).collect();
    (Sql::assembled(statement.replace("{keys}", &markers.join(", "))), arguments)
}

/// Where rows are read: at any moment, or within a transaction.
enum Reader<'r> {
    Db(&'r Db),
    Tx(&'r mut Tx),
}

impl<'r> From<&'r Db> for Reader<'r> {
    fn from(db: &'r Db) -> Self {
        Self::Db(db)
    }
}

impl<'r> From<&'r mut Tx> for Reader<'r> {
    fn from(tx: &'r mut Tx) -> Self {
        Self::Tx(tx)
    }
}

/// The rows of some keys of a collection. The statement takes the account, the collection and, at `{keys}`, the keys.
async fn by_keys<'r>(
    reader: impl Into<Reader<'r>>,
    statement: &str,
    account_id: AccountId,
    collection_id: CollectionId,
    keys: &[&str],
) -> Result<Vec<Row>, Error> {
    let mut reader = reader.into();
    let mut found = Vec::new();
    for keys in keys.chunks(LIST_MAX) {
        let (sql, keys) = with_keys(statement, 3, keys);
        let mut arguments = args![account_id, collection_id];
        arguments.extend(keys);
        found.extend(match &mut reader {
            Reader::Db(db) => db.fetch_all(sql, arguments).await?,
            Reader::Tx(tx) => tx.fetch_all(sql, arguments).await?,
        });
    }
    Ok(found)
}

/// Runs a deletion of the rows of some endpoints.
async fn delete_by_keys(
    tx: &mut Tx,
    statement: &str,
    account_id: AccountId,
    collection_id: CollectionId,
    endpoint_keys: &[&str],
) -> Result<(), Error> {
    for keys in endpoint_keys.chunks(LIST_MAX) {
        let (sql, keys) = with_keys(statement, 3, keys);
        let mut arguments = args![account_id, collection_id];
        arguments.extend(keys);
        tx.execute(sql, arguments).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_filled_up_to_few_lengths() {
        let (sql, arguments) = with_keys("SELECT 1 WHERE a = $1 AND k IN ({keys})", 2, &["x", "y"]);
        assert_eq!(arguments.len(), 16);
        assert_eq!(arguments[15], Value::from("y"));
        let Sql::Assembled(text) = sql else { unreachable!("the text is assembled") };
        assert!(text.ends_with("$17)"), "{text}");
    }
}
