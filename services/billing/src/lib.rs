//! Billing: what an account uses.
//!
//! It keeps no table: inventory counts endpoints, identity counts accounts, both at the moment of the question.
//!
//! # Invariants
//! - A count that cannot be had is an error, never zero.

mod rpc;
pub mod usage;

use portolan_api::billing::v1::billing_service_server::BillingServiceServer;
use portolan_runtime::Peers;
use tonic::service::Routes;

/// The proto package whose services are served here.
pub const PACKAGE: &str = "portolan.billing.v1";

/// What the service works with.
#[derive(Clone)]
pub struct Deps {
    pub peers: Peers,
}

/// The service without its guard.
pub fn service(deps: Deps) -> Routes {
    Routes::new(BillingServiceServer::new(rpc::Rpc::new(deps)))
}
