//! Usage by feature.

use portolan_api::{Result, identity::v1::CountAccountsRequest, inventory::v1::CountEndpointsRequest};
use portolan_runtime::now_s;

use crate::Deps;

/// The use of one feature at one moment.
pub struct FeatureUsage {
    pub feature: &'static str,
    pub usage: i64,
    /// Unix seconds.
    pub recorded_at: i64,
}

/// Measures the features of an account.
///
/// # Errors
/// `UNAVAILABLE` when a service that counts does not answer.
pub async fn measure(deps: &Deps, account_id: i64) -> Result<Vec<FeatureUsage>> {
    let (mut inventory, mut identity) = (deps.peers.inventory(), deps.peers.identity());
    let endpoints = inventory.count_endpoints(CountEndpointsRequest { account_id });
    let accounts = identity.count_accounts(CountAccountsRequest { account_id });
    let (endpoints, accounts) = tokio::try_join!(endpoints, accounts)?;
    let recorded_at = now_s();
    Ok(vec![
        FeatureUsage { feature: "ACTIVE_ENDPOINTS", usage: endpoints.into_inner().endpoints, recorded_at },
        FeatureUsage { feature: "ACTIVE_ACCOUNTS", usage: accounts.into_inner().accounts, recorded_at },
    ])
}
