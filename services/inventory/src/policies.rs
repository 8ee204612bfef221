//! Who reaches an endpoint, by the addresses of its calls: the address ranges of accounts, as identity has them.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use portolan_api::Reason;
use portolan_engine::AccessPolicy;
use portolan_ids::AccountId;
use portolan_proxies::PRIVATE_RANGES;

use crate::{
    Deps, Error,
    deps::ACCOUNTS_MAX,
    peers::{self, Ranges},
};

/// A change of an account's ranges holds for new calls after this long.
const POLICY_FRESH: Duration = Duration::from_secs(5);

/// The policies of accounts that were asked for a moment ago.
pub fn fresh(deps: &Deps) -> HashMap<AccountId, Arc<AccessPolicy>> {
    let mut policies = deps.shared.policies.lock().unwrap_or_else(PoisonError::into_inner);
    if policies.len() > ACCOUNTS_MAX {
        policies.clear();
    }
    let fresh = policies.iter().filter(|(_, (at, _))| at.elapsed() < POLICY_FRESH);
    fresh.map(|(account_id, (_, policy))| (*account_id, policy.clone())).collect()
}

/// The policy of an account; nothing when there is no such account, or it has ended. While identity does not answer, the
/// last known or the built-in one stands in: a call is not held up for it, and the job that applies it later asks again.
pub async fn of_account(deps: &Deps, account_id: AccountId) -> Option<Arc<AccessPolicy>> {
    match at_this_moment(deps, account_id).await {
        Ok(policy) => Some(Arc::new(policy)),
        Err(error) if error.reason() == Some(Reason::AccountNotFound) => {
            deps.shared.policies.lock().unwrap_or_else(PoisonError::into_inner).remove(&account_id);
            None
        }
        Err(error) => {
            tracing::debug!(account_id = account_id.get(), %error, "address ranges are not known for now");
            let mut policies = deps.shared.policies.lock().unwrap_or_else(PoisonError::into_inner);
            let built_in = || Arc::new(policy(deps, PRIVATE_RANGES, []));
            let (at, policy) = policies.entry(account_id).or_insert_with(|| (Instant::now(), built_in()));
            *at = Instant::now();
            Some(policy.clone())
        }
    }
}

/// The policy of an account as identity has its ranges at this moment.
///
/// # Errors
/// `ACCOUNT_NOT_FOUND`, also for an account that has ended; `UNAVAILABLE`.
pub async fn at_this_moment(deps: &Deps, account_id: AccountId) -> Result<AccessPolicy, Error> {
    let Ranges { private, partners } = peers::ranges(&deps.peers, account_id).await?;
    let policy = policy(deps, private.iter().map(String::as_str), partners.iter().map(String::as_str));
    let mut policies = deps.shared.policies.lock().unwrap_or_else(PoisonError::into_inner);
    policies.insert(account_id, (Instant::now(), Arc::new(policy.clone())));
    Ok(policy)
}

fn policy<'a>(
    deps: &'a Deps,
    private: impl IntoIterator<Item = &'a str>,
    partners: impl IntoIterator<Item = &'a str>,
) -> AccessPolicy {
    AccessPolicy::new(private, partners, deps.trusted_proxies.iter().map(String::as_str))
}
