mod agents;
mod billing;
mod jobs;
mod metering;
mod subscription;

use tonic::{Response, Status};

use crate::Deps;

type RpcResult<T> = Result<Response<T>, Status>;

#[derive(Clone)]
pub(crate) struct Rpc {
    deps: Deps,
}

impl Rpc {
    pub(crate) fn new(deps: Deps) -> Self {
        Self { deps }
    }
}

/// A position or number as the wire has it; batches are far smaller.
fn small(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
