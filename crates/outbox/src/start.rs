use std::sync::Arc;

use portolan_authz::Guard;
use portolan_runtime::{Process, Tasks, options::kept_s};
use portolan_store::{Db, Error};

use crate::{AuditLog, Relay, RelayHandle, open};

/// The outbox of a process with one service: its tables, its relay, and its guard, which records in it.
///
/// # Errors
/// When the store cannot be reached or migrated.
pub async fn start(process: &Process, db: &Db, guard: Guard) -> Result<(Guard, RelayHandle), Error> {
    open(db).await?;
    let guard = guard.with_audit(Arc::new(AuditLog::new(db.clone())));
    let kept_s = kept_s(process.config.shared.retention.refused_events_days);
    Ok((guard, Relay::to_services(&process.peers).keeping_refused(kept_s).with_db(db).start()))
}

/// The guard of a service, which records in its outbox, with the relay among its tasks. In a process with
/// several services one guard and one relay serve all of them: then nothing is begun here.
///
/// # Errors
/// When the store cannot be reached or migrated.
pub async fn guard(process: &Process, db: &Db, guard: Guard, tasks: &Tasks) -> Result<Guard, Error> {
    if process.is_whole {
        return Ok(guard);
    }
    let (guard, relay) = start(process, db, guard).await?;
    tasks.stopping(relay.stop());
    Ok(guard)
}
