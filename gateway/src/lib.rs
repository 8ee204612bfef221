//! REST in front of the services: every route of the contract, from its descriptors alone.
//!
//! It finds the route, has the credential checked, turns JSON into the request message, calls the service, and turns
//! its answer or its error into what the route's dialect documents. Request ids, idempotency keys, security headers,
//! `/openapi.json`, `/docs`, `/healthz`, `/livez`, `/readyz` and the pages that links lead to are here; business rules and roles are not.
//!
//! # Invariants
//! - A new RPC appears by its HTTP rule; no code outside [`dialect`] names a dialect, a route, a field or a service.
//! - The order of checks is route, verb, credential, content type, body, role (in the service).
//! - No header of a caller reaches a service, apart from the trace context.
//! - Every answer has `x-request-id`; every error `x-portolan-error` as well; a panic is answered as any fault.
//! - What a request may use is bounded: path, parameters, body, depth, answer, time.
//!
//! Start with [`gateway::handle`] for the way of a request, [`routes`] for how a path is found, [`dialect`] for what differs
//! between the documented contracts, and [`codec`] for JSON.

mod authenticator;
mod body;
mod call;
mod codec;
mod cookie;
mod deprecation;
mod dialect;
mod door;
mod error;
#[cfg(any(fuzzing, test))]
mod fuzzing;
mod gateway;
mod idempotency;
mod idempotency_table;
mod options;
mod origin;
mod pages;
mod ports;
mod process;
mod query;
mod reference;
mod reply;
mod routes;
mod serve;

use std::sync::Arc;

pub use authenticator::GuardAuthenticator;
pub use codec::PlanError;
pub use deprecation::sunset;
#[cfg(fuzzing)]
pub use fuzzing::Transcoder;
pub use idempotency_table::{IdempotencyTable, TABLES};
pub use options::Options;
pub use origin::Site;
pub use portolan_runtime::budget::CallBudget;
pub use ports::{
    Arrival, Authenticator, Backend, Backends, Begin, GatewayDeps, IdempotencyId, IdempotencyStore, Identified,
    Readiness, StoredAnswer,
};
pub use process::main;
pub use reference::{openapi, route_list};
pub use routes::ContractError;
pub use serve::serve;

/// The whole HTTP surface. Serve it with `into_make_service_with_connect_info::<SocketAddr>()`, so that the peer address
/// is known. Errors when the contract holds something that has no JSON form.
pub fn router(deps: GatewayDeps) -> Result<axum::Router, ContractError> {
    let gateway = Arc::new(gateway::Gateway::new(deps)?);
    Ok(axum::Router::new().fallback(gateway::handle).with_state(gateway))
}
