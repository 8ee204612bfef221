//! Removes ended jobs and reviewed uploads when they are old, and files that no job needs.

use portolan_runtime::now_s;

use crate::store::uploads;
use crate::{Deps, Error};

/// Removes what is older than the operator keeps.
pub async fn forget(deps: &Deps) -> Result<(), Error> {
    let before = now_s() - deps.retention_s;
    loop {
        let old = uploads::older_than(&deps.db, before).await?;
        if old.is_empty() {
            break;
        }
        for (account_id, upload_id) in old {
            uploads::delete(&deps.db, account_id, &upload_id).await?;
        }
    }
    deps.jobs.forget().await?;
    Ok(())
}

/// Removes files of which no unfinished job is left: a process may end between the end of a job and that of its file, a
/// job may be cancelled by a process that has another spool, and an upload may break off with its process.
pub async fn sweep(deps: &Deps) -> Result<(), Error> {
    deps.spool.remove_partial().await?;
    for name in deps.spool.files().await? {
        // A file is stored before its job, so the newest may still be without one.
        if !deps.jobs.is_active(&deps.spool_id, &name.as_str().into()).await? && !deps.spool.is_recent(&name).await? {
            deps.spool.remove(&name).await?;
        }
    }
    Ok(())
}
