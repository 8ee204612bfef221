use std::time::Duration;

use portolan_proxies::Proxies;

use super::{hosts::Hosts, policy::Policies};
use crate::options::EdgeOptions;

/// What is configured for the edge.
#[derive(Clone, Debug)]
pub struct EdgeRules {
    /// Which account a host belongs to, and whether unknown endpoints pass.
    pub hosts: Hosts,
    /// How many calls pass.
    pub policies: Policies,
    /// Proxies in front of the edge that may say whom they speak for.
    pub proxies: Proxies,
    /// How far the clocks of token issuers may be apart from ours.
    pub leeway_s: u32,
    /// Whether signed tokens need `exp` even where the profile does not ask for it.
    pub requires_exp: bool,
    /// How often changes are asked for.
    pub poll: Duration,
    /// Decisions by profiles that were last known to be current longer ago are refused.
    pub profiles_age_max: Duration,
    /// The same for endpoints.
    pub endpoints_age_max: Duration,
    /// How key sets are fetched and kept.
    pub jwks: portolan_jwks::KeySetOptions,
    /// Shared with the proxies; empty for the derived one.
    pub token: String,
}

impl EdgeRules {
    /// # Errors
    /// The key and what is wrong with it.
    pub fn read(options: &EdgeOptions) -> Result<Self, String> {
        let of = |key: &str, error: String| format!("{key}: {error}");
        for (key, value, bounds) in [
            ("edge.leeway_s", options.leeway_s, 0..=600),
            ("edge.poll_ms", options.poll_ms, 10..=60_000),
            ("edge.profiles_age_max_ms", options.profiles_age_max_ms, 100..=3_600_000),
            ("edge.endpoints_age_max_ms", options.endpoints_age_max_ms, 100..=86_400_000),
            ("edge.jwks_lifetime_max_s", options.jwks_lifetime_max_s, 1..=300),
            ("edge.jwks_refetch_min_s", options.jwks_refetch_min_s, 1..=3_600),
            ("edge.jwks_outage_max_s", options.jwks_outage_max_s, 0..=604_800),
        ] {
            if !bounds.contains(&value) {
                let (first, last) = bounds.into_inner();
                return Err(of(key, format!("must be {first} to {last}")));
            }
        }
        if options.poll_ms > options.profiles_age_max_ms.min(options.endpoints_age_max_ms) {
            let problem = "what is asked for less often than edge.profiles_age_max_ms and \
                           edge.endpoints_age_max_ms say is never young enough";
            return Err(of("edge.poll_ms", problem.to_owned()));
        }
        let hosts = Hosts::parse(&options.hosts, options.allow_unknown);
        let policies = Policies::parse(&options.limits, &options.policies);
        let proxies = Proxies::parse(&options.trusted_proxies, options.trusted_proxy_hops, "");
        Ok(Self {
            hosts: hosts.map_err(|error| of("edge.hosts", error))?,
            policies: policies.map_err(|error| of("edge.limits or edge.policies", error))?,
            proxies: proxies.map_err(|error| of("edge.trusted_proxies", error))?,
            leeway_s: options.leeway_s as u32,
            requires_exp: options.require_exp,
            poll: Duration::from_millis(options.poll_ms),
            profiles_age_max: Duration::from_millis(options.profiles_age_max_ms),
            endpoints_age_max: Duration::from_millis(options.endpoints_age_max_ms),
            jwks: portolan_jwks::KeySetOptions {
                lifetime_max: Duration::from_secs(options.jwks_lifetime_max_s),
                refetch_min: Duration::from_secs(options.jwks_refetch_min_s),
                outage_max: Duration::from_secs(options.jwks_outage_max_s),
                ..portolan_jwks::KeySetOptions::default()
            },
            token: options.token.clone(),
        })
    }
}
