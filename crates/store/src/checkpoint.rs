//! The write-ahead log of an SQLite file, emptied without keeping writers from their work.

use std::time::Duration;

use crate::{Error, Row, pool::Lease};

/// Other processes on the same file hold its write lock for one transaction at a time.
pub(crate) const BUSY_TIMEOUT_MS: u32 = 5_000;

/// The writer's connection waits this long for reads that hold the log, and nobody writes meanwhile…
const WAIT_MS: u32 = 100;

/// … so that it is tried again this often…
pub(crate) const TRIES: u32 = 20;

/// … after those who wait have had a turn.
pub(crate) const PAUSE: Duration = Duration::from_millis(150);

/// Writes what the log holds into the file and cuts the log off; `false` where a read holds it. Seen to its end even when
/// nobody waits for it any more: the connection must not go back with another wait than it came with.
pub(crate) async fn truncate(mut lease: Lease) -> Result<bool, Error> {
    let work = async move {
        let busy_timeout = |ms: u32| sqlx::raw_sql(sqlx::AssertSqlSafe(format!("PRAGMA busy_timeout = {ms}")));
        busy_timeout(WAIT_MS).execute(&mut *lease).await?;
        let truncated = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *lease).await;
        match busy_timeout(BUSY_TIMEOUT_MS).execute(&mut *lease).await {
            Ok(_) => lease.give_back(),
            Err(error) => {
                lease.close();
                return Err(error.into());
            }
        }
        Row(truncated?).get::<i64>(0).map(|is_busy| is_busy == 0)
    };
    tokio::spawn(work).await.map_err(|error| Error::Unavailable(error.to_string()))?
}
