//! The numbers of the change feed. `Edge::commit` ends a change that took one.

use portolan_api::Result;
use portolan_store::Tx;

use crate::store::sequences;

/// The next number. Called first in a transaction that changes rows of the feed: it locks the sequence until the commit,
/// so that numbers become visible in their order and changes of one thing queue.
///
/// # Errors
/// When the store does not answer.
pub async fn next(tx: &mut Tx) -> Result<i64> {
    sequences::next_number(tx, "change").await
}
