//! The numbers of the change feed.

use portolan_api::Result;
use portolan_store::Tx;

use crate::{Deps, store};

/// The next number. Called first in a transaction that changes rows of the feed: it locks the sequence until the commit,
/// so that numbers become visible in their order and changes of one thing queue.
pub(crate) async fn next(tx: &mut Tx) -> Result<i64> {
    store::next_number(tx, "change").await
}

/// Commits a change of what the edge enforces, which took a number, and answers when no process decides by what was
/// before.
pub(crate) async fn commit(deps: &Deps, tx: Tx) -> Result<()> {
    tx.commit().await?;
    deps.edge.settle().await
}
