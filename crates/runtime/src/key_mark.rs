//! Which secret key a database belongs to.
//!
//! What is sealed under a key cannot be read under another, so neither a new key nor a foreign one may come to a database
//! that is in use. Each schema keeps a mark of the key it was first served with.

use std::{sync::Arc, time::Duration};

use portolan_store::{Db, Error, Migration, Migrations, args};

use crate::{Config, Keys, error::BoxError};

/// The table of the mark.
pub const MIGRATIONS: Migrations = Migrations {
    service: "secret_key",
    steps: &[Migration {
        version: 1,
        name: "secret_key",
        sqlite: include_str!("../migrations/sqlite/0001_secret_key.sql"),
        postgres: include_str!("../migrations/postgres/0001_secret_key.sql"),
    }],
};
const FIND: &str = "SELECT mark FROM secret_key_marks WHERE id = 1";
const MOVE_ON: &str = "UPDATE secret_key_marks SET mark = $1 WHERE id = 1 AND mark <> $1";
const INSERT: &str = "INSERT INTO secret_key_marks (id, mark) VALUES (1, $1) ON CONFLICT (id) DO NOTHING";

/// Processes that share a data directory start in any order; the one that makes the key takes at most this long.
const KEY_WAIT_MAX: Duration = Duration::from_secs(30);
const KEY_WAIT: Duration = Duration::from_millis(200);

/// Migrates the table.
///
/// # Errors
/// When the store cannot be reached or migrated.
pub async fn open(db: &Db) -> Result<(), Error> {
    db.migrate_library(&MIGRATIONS).await
}

/// The keys of the process. A missing root key is made where `makes` says so and the database was never used; it is
/// waited for where another process of the same data directory makes it.
///
/// # Errors
/// Missing or unreadable keys, and ones that are not the database's.
pub(crate) async fn keys(db: &Db, config: &Config, makes: bool) -> Result<Arc<Keys>, BoxError> {
    let path = config.secret_key_file();
    let recorded = mark(db).await?;
    if !path.exists() {
        if recorded.is_some() {
            let path = path.display();
            return Err(format!("the key that opens this database is missing: restore {path} from the backup").into());
        }
        if !makes {
            wait_for_key(config).await?;
        }
    }
    let keys = if makes { Keys::load_or_create(&path)? } else { Keys::load(&path)? };
    if recorded.is_none() {
        db.execute(INSERT, args![keys.mark()]).await?;
    }
    check(db, &keys).await?;
    move_on(db, &keys).await?;
    Ok(keys)
}

/// Writes the mark of the current key in the place of that of the one before.
///
/// # Errors
/// When the store does not answer.
pub async fn move_on(db: &Db, keys: &Keys) -> Result<(), Error> {
    db.execute(MOVE_ON, args![keys.mark()]).await.map(drop)
}

/// Whether these are the keys of a database.
///
/// # Errors
/// When they are others.
pub async fn check(db: &Db, keys: &Keys) -> Result<(), BoxError> {
    match mark(db).await? {
        Some(mark) if !keys.has_mark(&mark) => Err(format!(
            "{} is not the key that opens this database: restore secret-key from the backup, or name it by secrets.key_file",
            keys.path().display()
        )
        .into()),
        _ => Ok(()),
    }
}

async fn mark(db: &Db) -> Result<Option<String>, Error> {
    db.fetch_optional(FIND, args![]).await?.map(|row| row.get("mark")).transpose()
}

async fn wait_for_key(config: &Config) -> Result<(), BoxError> {
    let path = config.secret_key_file();
    let missing = |hint: &str| format!("secret key {}: there is none; {hint}", path.display()).into();
    if !config.shared.secrets.key_file.is_empty() {
        return Err(missing("PORTOLAN__SECRETS__KEY_FILE names a file with 32 bytes in base64"));
    }
    tracing::info!(key = %path.display(), "waits for the key that portolan-identity makes at its first start");
    let deadline = tokio::time::Instant::now() + KEY_WAIT_MAX;
    while !path.exists() {
        if tokio::time::Instant::now() >= deadline {
            return Err(missing("name the installation's by PORTOLAN__SECRETS__KEY_FILE"));
        }
        tokio::time::sleep(KEY_WAIT).await;
    }
    Ok(())
}
