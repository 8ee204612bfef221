use std::time::Duration;

use super::{hosts::Hosts, ip::IpList, policy::Policies};

/// What is configured for the edge.
#[derive(Clone, Debug)]
pub struct Settings {
    pub hosts: Hosts,
    pub policies: Policies,
    /// Proxies in front of the edge that may say whom they speak for.
    pub trusted_proxies: IpList,
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
    pub jwks: portolan_jwks::Settings,
    /// Shared with the proxies; a call without it is refused.
    pub token: String,
}

impl Settings {
    /// Reads `edge.*`. `value` answers a key's text; `derived_token` stands where none is configured.
    ///
    /// # Errors
    /// The key and what is wrong with it.
    pub fn read<'v>(value: impl Fn(&str) -> &'v str, derived_token: String) -> Result<Self, String> {
        let number = |key: &str| value(key).parse::<u64>().map_err(|_| format!("{key} must be a number"));
        let flag = |key: &str| match value(key) {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(format!("{key} must be `true` or `false`")),
        };
        let of = |key: &str, error: String| format!("{key}: {error}");
        let hosts = Hosts::parse(value("edge.hosts"), flag("edge.allow_unknown")?);
        let policies = Policies::parse(value("edge.limits"), value("edge.policies"));
        let proxies = value("edge.trusted_proxies").split(',').map(str::trim).filter(|range| !range.is_empty());
        Ok(Self {
            hosts: hosts.map_err(|error| of("edge.hosts", error))?,
            policies: policies.map_err(|error| of("edge.limits or edge.policies", error))?,
            trusted_proxies: IpList::parse(proxies).ok_or("edge.trusted_proxies: not addresses and ranges")?,
            leeway_s: number("edge.leeway_s")?.min(600) as u32,
            requires_exp: flag("edge.require_exp")?,
            poll: Duration::from_millis(number("edge.poll_ms")?.max(10)),
            profiles_age_max: Duration::from_millis(number("edge.profiles_age_max_ms")?),
            endpoints_age_max: Duration::from_millis(number("edge.endpoints_age_max_ms")?),
            jwks: portolan_jwks::Settings {
                lifetime_max: Duration::from_secs(number("edge.jwks_lifetime_max_s")?.min(300)),
                refetch_min: Duration::from_secs(number("edge.jwks_refetch_min_s")?.max(1)),
                outage_max: Duration::from_secs(number("edge.jwks_outage_max_s")?),
                ..portolan_jwks::Settings::default()
            },
            token: match value("edge.token") {
                "" => derived_token,
                token => token.to_owned(),
            },
        })
    }
}
