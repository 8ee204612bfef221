//! Which of the processes that share a database have read the key file as it is.
//!
//! Each process tells what it has read, at once when that changes and now and then in any case. A rotation goes on when
//! every process that is there has told the state that the file is in.

use portolan_store::{Db, Error, args};

use crate::{Keys, now_s};

/// A process tells again after this.
pub(crate) const TELL_EVERY_S: i64 = 5;
/// Who has told nothing for so long is not there any more.
const ALIVE_S: i64 = 20;

const TELL: &str = "INSERT INTO secret_key_readers (reader_id, state, told_at) VALUES ($1, $2, $3)
    ON CONFLICT (reader_id) DO UPDATE SET state = excluded.state, told_at = excluded.told_at";
const DROP_GONE: &str = "DELETE FROM secret_key_readers WHERE told_at < $1";
const COUNT_BEHIND: &str = "SELECT COUNT(*) AS behind FROM secret_key_readers WHERE told_at >= $1 AND state <> $2";

/// Tells what a process has read.
pub(crate) async fn tell(db: &Db, reader_id: &str, keys: &Keys) -> Result<(), Error> {
    let now = now_s();
    db.execute(TELL, args![reader_id, keys.state_mark(), now]).await?;
    db.execute(DROP_GONE, args![now - ALIVE_S]).await.map(drop)
}

/// How many processes of a service are there and have read another state of the keys than this one.
///
/// # Errors
/// When the store does not answer.
pub async fn behind(db: &Db, keys: &Keys) -> Result<i64, Error> {
    let row = db.fetch_optional(COUNT_BEHIND, args![now_s() - ALIVE_S, keys.state_mark()]).await?;
    Ok(row.map(|row| row.get("behind")).transpose()?.unwrap_or_default())
}
