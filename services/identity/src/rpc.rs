mod accounts;
mod audit;
mod collection_lists;
mod directory;
mod identity;
mod managed_users;
mod notifications;
mod roles;
mod signup;
mod team;
mod tenants;
mod usage;

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
