use std::future::Future;
use std::time::Duration;

use rand::RngExt as _;

use crate::Error;

/// Attempts of one call of [`retrying`]: a conflict that lasts longer is overload, and the caller should hear of it.
const ATTEMPTS_MAX: u32 = 5;
/// Wait before the first repetition; doubled each time, so the last wait stays below half a second.
const WAIT_MS: u64 = 20;

/// An error that can tell whether the transaction it ended may be repeated.
pub trait Repeatable {
    /// True only when nothing was written, see [`Error::repeatable`].
    fn repeatable(&self) -> bool;
}

impl Repeatable for Error {
    fn repeatable(&self) -> bool {
        Error::repeatable(self)
    }
}

/// Runs `attempt`, which begins and commits one transaction, and repeats it while its error is repeatable: at most 5
/// attempts, with growing random waits that together stay below a second.
///
/// ```
/// # use portolan_store::{Db, Error, args, retrying};
/// # const INSERT_ROLE: &str = "INSERT INTO roles (account_id, name) VALUES ($1, $2)";
/// async fn create(db: &Db, account_id: i64, name: &str) -> Result<(), Error> {
///     retrying(|| async {
///         let mut tx = db.begin().await?;
///         tx.execute(INSERT_ROLE, args![account_id, name]).await?;
///         tx.commit().await
///     })
///     .await
/// }
/// ```
pub async fn retrying<T, E, F, A>(mut attempt: A) -> Result<T, E>
where
    E: Repeatable,
    F: Future<Output = Result<T, E>>,
    A: FnMut() -> F,
{
    let mut wait_ms = WAIT_MS;
    for _ in 1..ATTEMPTS_MAX {
        match attempt().await {
            Err(error) if error.repeatable() => {}
            outcome => return outcome,
        }
        // A random share of the wait keeps two losers from meeting again.
        let share_ms = rand::rng().random_range(wait_ms / 2..=wait_ms);
        tokio::time::sleep(Duration::from_millis(share_ms)).await;
        wait_ms *= 2;
    }
    attempt().await
}
