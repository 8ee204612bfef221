use portolan_ids::{AccountId, JobId};
use portolan_store::Tx;

use crate::{Deps, Error, model::jobs::Task};

/// Notes work in the transaction that makes it necessary, and returns the id of its job. In an account at most one job of
/// a kind and collection is active; asked for again while it runs, it starts again after its end.
///
/// A step holds its job before it holds collections. Who asks does so in the same order, before anything of a collection is
/// written: otherwise the two wait for each other until the server breaks one of them off.
pub(crate) async fn ask(deps: &Deps, tx: &mut Tx, account_id: AccountId, task: Task) -> Result<JobId, Error> {
    Ok(deps.jobs.ask(tx, account_id, &task, &task.subject()).await?)
}
