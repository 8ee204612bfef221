//! What runs by itself: the edge follows what it decides by.

use portolan_runtime::Tasks;

use crate::Deps;

pub(crate) fn start(deps: &Deps, tasks: &Tasks) {
    tasks.keep("changes for the edge", &deps.edge, |edge, stop| async move { edge.follow(&stop).await });
    let failures = deps.failures.clone();
    tasks.stopping(async move {
        let _ = failures.flush().await;
    });
}
