//! The RPCs: each splits the request, calls the domain, wraps the answer.

mod collections;
mod convert;
mod endpoints;
mod groups;
mod ingest;
mod jobs;
mod parameters;
mod platform;
mod samples;
mod specifications;
mod statistics;

use tonic::{Response, Status};

use crate::{Deps, Error};

/// The handlers.
#[derive(Clone)]
pub(crate) struct Rpc {
    deps: Deps,
}

type Answer<T> = Result<Response<T>, Status>;

impl Rpc {
    pub(crate) fn new(deps: Deps) -> Self {
        Self { deps }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        portolan_api::Error::from(error).into()
    }
}
