use portolan_ids::AccountId;
use portolan_store::{Db, Error, Row, Tx, args};

use crate::{
    model::{
        data_types::{DataType, Definition},
        detectors::Versions,
    },
    store::endpoints::{json, to_json},
};

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT account_id, name, built_in, active, definition, created_at, updated_at FROM data_types ", $rest)
    };
}

const SELECT_VERSION: &str = "SELECT next_id FROM inventory_sequences WHERE name = 'data_types'";

/// Rises with every change of any account's kinds of data.
pub async fn version(db: &Db) -> Result<i64, Error> {
    Ok(db.fetch_optional(SELECT_VERSION, args![]).await?.map(|row| row.get("next_id")).transpose()?.unwrap_or_default())
}

const SELECT_VERSIONS: &str = "SELECT name, next_id FROM inventory_sequences WHERE name = 'data_types' \
     OR name LIKE 'data_types/%'";

/// The version, and that of each account which has changed its kinds, all of one moment.
pub async fn versions(db: &Db) -> Result<Versions, Error> {
    let mut versions = Versions::default();
    for row in db.fetch_all(SELECT_VERSIONS, args![]).await? {
        let (name, version) = (row.get::<String>("name")?, row.get("next_id")?);
        match name.strip_prefix(OF_ACCOUNT).map(str::parse) {
            Some(Ok(account_id)) => _ = versions.accounts.insert(AccountId(account_id), version),
            _ => versions.all = version,
        }
    }
    Ok(versions)
}

/// Before the id of an account, the name of its version.
const OF_ACCOUNT: &str = "data_types/";

const RAISE_VERSION: &str = "INSERT INTO inventory_sequences (name, next_id) VALUES ($1, 1) \
     ON CONFLICT (name) DO UPDATE SET next_id = inventory_sequences.next_id + 1";

async fn raise_versions(tx: &mut Tx, account_id: AccountId) -> Result<(), Error> {
    tx.execute(RAISE_VERSION, args!["data_types"]).await?;
    tx.execute(RAISE_VERSION, args![format!("{OF_ACCOUNT}{account_id}")]).await.map(drop)
}

const SELECT_ACCOUNTS: &str = "SELECT DISTINCT account_id FROM data_types";

/// Accounts with kinds of their own, or switches of built-in ones.
pub async fn accounts(db: &Db) -> Result<Vec<AccountId>, Error> {
    db.fetch_all(SELECT_ACCOUNTS, args![]).await?.iter().map(|row| row.get("account_id")).collect()
}

const SELECT_ALL: &str = select!("ORDER BY account_id, name");

/// Those of every account, with it.
pub async fn list_all(db: &Db) -> Result<Vec<(AccountId, DataType)>, Error> {
    let rows = db.fetch_all(SELECT_ALL, args![]).await?;
    rows.iter().map(|row| Ok((row.get("account_id")?, read(row)?))).collect()
}

const SELECT_OF_ACCOUNT: &str = select!("WHERE account_id = $1 ORDER BY name");

pub async fn list(db: &Db, account_id: AccountId) -> Result<Vec<DataType>, Error> {
    db.fetch_all(SELECT_OF_ACCOUNT, args![account_id]).await?.iter().map(read).collect()
}

const SELECT_ONE: &str = select!("WHERE account_id = $1 AND name = $2");

pub async fn get(db: &Db, account_id: AccountId, name: &str) -> Result<Option<DataType>, Error> {
    db.fetch_optional(SELECT_ONE, args![account_id, name]).await?.map(|row| read(&row)).transpose()
}

const INSERT: &str = "INSERT INTO data_types \
     (account_id, name, built_in, active, definition, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
     ON CONFLICT DO NOTHING";

/// False when the name is taken.
pub async fn insert(tx: &mut Tx, account_id: AccountId, wanted: &DataType) -> Result<bool, Error> {
    let inserted = write(tx, INSERT, account_id, wanted).await? == 1;
    raise_versions(tx, account_id).await?;
    Ok(inserted)
}

const SAVE: &str = "INSERT INTO data_types \
     (account_id, name, built_in, active, definition, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
     ON CONFLICT (account_id, name) DO UPDATE SET active = excluded.active, definition = excluded.definition, \
     updated_at = excluded.updated_at";

pub async fn save(tx: &mut Tx, account_id: AccountId, wanted: &DataType) -> Result<(), Error> {
    write(tx, SAVE, account_id, wanted).await?;
    raise_versions(tx, account_id).await
}

const DELETE: &str = "DELETE FROM data_types WHERE account_id = $1 AND name = $2";

/// False when there is none.
pub async fn delete(tx: &mut Tx, account_id: AccountId, name: &str) -> Result<bool, Error> {
    let deleted = tx.execute(DELETE, args![account_id, name]).await? == 1;
    raise_versions(tx, account_id).await?;
    Ok(deleted)
}

async fn write(tx: &mut Tx, statement: &'static str, account_id: AccountId, wanted: &DataType) -> Result<u64, Error> {
    let definition = to_json(&wanted.definition)?;
    let row = args![
        account_id,
        &wanted.name,
        wanted.built_in,
        wanted.active,
        definition,
        wanted.created_at,
        wanted.updated_at
    ];
    tx.execute(statement, row).await
}

/// A definition that cannot be read finds nothing, and hides the values of the kind that it was about.
fn read(row: &Row) -> Result<DataType, Error> {
    let (definition, unreadable) = match json(row, "definition") {
        Ok(definition) => (definition, None),
        Err(error) => {
            tracing::debug!(%error, "the stored definition of a kind of data is skipped");
            (Definition { redacted: true, ..Definition::default() }, Some(error.to_string()))
        }
    };
    Ok(DataType {
        name: row.get("name")?,
        built_in: row.get("built_in")?,
        active: row.get("active")?,
        definition,
        unreadable,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}
