//! What runs by itself: the edge follows what it decides by.

use portolan_runtime::Tasks;

use crate::Deps;

pub(crate) fn start(deps: &Deps, tasks: &Tasks) {
    let edge = deps.edge.clone();
    tasks.keep("changes for the edge", move |stop| {
        let edge = edge.clone();
        async move { edge.follow(&stop).await }
    });
    let failures = deps.failures.clone();
    tasks.stopping(async move {
        let _ = failures.flush().await;
    });
}
