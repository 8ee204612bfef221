//! Usage by feature.

use std::time::{SystemTime, UNIX_EPOCH};

use portolan_api::{Result, identity::v1::CountAccountsRequest, inventory::v1::CountEndpointsRequest};

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
    let recorded_at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs() as i64);
    Ok(vec![
        FeatureUsage { feature: "ACTIVE_ENDPOINTS", usage: endpoints.into_inner().endpoints, recorded_at },
        FeatureUsage { feature: "ACTIVE_ACCOUNTS", usage: accounts.into_inner().accounts, recorded_at },
    ])
}
