use std::collections::BTreeSet;
use std::net::IpAddr;

use portolan_proxies::{Ranges, address, forwarded, range};
use portolan_record::Record;
use serde::{Deserialize, Serialize};

use crate::Headers;

/// Who reaches an endpoint, by the addresses of its calls. In the order of their weight, the widest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "each is the documented access type of its name")]
pub enum AccessType {
    Private,
    ThirdParty,
    Partner,
    Public,
}

impl AccessType {
    /// Every access type.
    pub const ALL: [Self; 4] = [Self::Private, Self::ThirdParty, Self::Partner, Self::Public];

    /// As the contract spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Private => "PRIVATE",
            Self::ThirdParty => "THIRD_PARTY",
            Self::Partner => "PARTNER",
            Self::Public => "PUBLIC",
        }
    }

    /// The access type of a documented name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// The widest of several.
    pub fn effective(types: &BTreeSet<Self>) -> Option<Self> {
        types.last().copied()
    }
}

/// The addresses by which calls are judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessPolicy {
    private: Ranges,
    partners: Ranges,
    trusted: Ranges,
}

/// Headers that name the client beside `x-forwarded-for`.
const CLIENT_HEADERS: [&str; 6] =
    ["x-real-ip", "x-cluster-client-ip", "true-client-ip", "x-original-forwarded-for", "x-client-ip", "client-ip"];
/// Headers that name the client of a record without an address of its own, behind those that hold a chain.
const TOLD_HEADERS: [&str; 3] = ["x-real-ip", "cf-connecting-ip", "true-client-ip"];
/// Addresses of one forwarding header that are looked at: no chain of proxies is longer.
const HOPS_MAX: usize = 50;
/// What is private whatever the account says, since its list takes IPv4 only: loopback, unique local and link-local.
const PRIVATE_V6: [&str; 3] = ["::1/128", "fc00::/7", "fe80::/10"];

impl AccessPolicy {
    /// Ranges and single addresses; texts that are neither are passed over. `trusted` are the proxies whose forwarding
    /// headers count.
    pub fn new<'a>(
        private: impl IntoIterator<Item = &'a str>,
        partners: impl IntoIterator<Item = &'a str>,
        trusted: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let private = ranges(private.into_iter().chain(PRIVATE_V6));
        Self { private, partners: ranges(partners), trusted: ranges(trusted) }
    }

    /// What one call says; nothing when it names no address.
    pub fn judge(&self, record: &Record<'_>) -> Option<AccessType> {
        let source = address(&record.ip);
        let mut addresses: Vec<IpAddr> = source.into_iter().chain(address(&record.dest_ip)).collect();
        if source.is_some_and(|source| self.trusted.contains(source)) {
            self.add_forwarded(&Headers::parse(&record.request_headers), &mut addresses);
        } else if source.is_none() {
            addresses.extend(self.told(&Headers::parse(&record.request_headers)));
        }
        addresses.retain(|address| !address.is_unspecified());
        if addresses.is_empty() {
            return None;
        }
        let outside = |address: &&IpAddr| !self.private.contains(**address);
        let (partners, others): (Vec<&IpAddr>, Vec<&IpAddr>) =
            addresses.iter().filter(outside).partition(|address| self.partners.contains(**address));
        Some(match (others.is_empty(), partners.is_empty()) {
            (false, _) if record.direction != 1 => AccessType::ThirdParty,
            (false, _) => AccessType::Public,
            (true, false) => AccessType::Partner,
            (true, true) => AccessType::Private,
        })
    }

    /// The client that a record without an address of its own tells: the last one of a chain that is no trusted proxy,
    /// else what a header of a single address says.
    fn told(&self, headers: &Headers<'_>) -> Option<IpAddr> {
        let last_untrusted = |hops: &mut dyn Iterator<Item = IpAddr>| {
            let mut trusted = None;
            for hop in hops {
                if !self.trusted.contains(hop) {
                    return Some(hop);
                }
                trusted = Some(hop);
            }
            trusted
        };
        let plain = || {
            let chain = headers.get("x-forwarded-for")?;
            last_untrusted(&mut chain.rsplit(',').take(HOPS_MAX).filter_map(address))
        };
        let standard = || {
            let chain = forwarded(headers.get("forwarded")?);
            last_untrusted(&mut chain.iter().rev().take(HOPS_MAX).filter_map(|element| element.client))
        };
        plain().or_else(standard).or_else(|| TOLD_HEADERS.iter().find_map(|name| address(headers.get(name)?)))
    }

    /// Of a chain only the part that trusted proxies wrote is true: from its end back to the first untrusted address.
    fn add_forwarded(&self, headers: &Headers<'_>, addresses: &mut Vec<IpAddr>) {
        if let Some(chain) = headers.get("x-forwarded-for") {
            for text in chain.rsplit(',').take(HOPS_MAX) {
                let Some(hop) = address(text) else { break };
                addresses.push(hop);
                if !self.trusted.contains(hop) {
                    break;
                }
            }
        }
        for name in CLIENT_HEADERS {
            let values = headers.get(name).into_iter().flat_map(|value| value.split(',').take(HOPS_MAX));
            addresses.extend(values.filter_map(address));
        }
    }
}

fn ranges<'a>(texts: impl IntoIterator<Item = &'a str>) -> Ranges {
    texts.into_iter().filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call<'a>(ip: &'a str, dest_ip: &'a str, headers: &'a str, direction: i32) -> Record<'a> {
        Record {
            ip: ip.into(),
            dest_ip: dest_ip.into(),
            request_headers: headers.into(),
            direction,
            ..Record::default()
        }
    }

    #[test]
    fn every_range_counts_and_partners_match_whole() {
        let policy = AccessPolicy::new(["10.0.0.0/8", "172.31.0.0/16"], ["1.2.3.4", "198.51.0.0/16"], []);
        let judged = |ip, dest| policy.judge(&call(ip, dest, "{}", 1));
        assert_eq!(judged("172.31.4.5:443", "10.1.1.1"), Some(AccessType::Private));
        assert_eq!(judged("8.8.8.8", "10.1.1.1"), Some(AccessType::Public));
        assert_eq!(judged("1.2.3.4", "10.1.1.1"), Some(AccessType::Partner));
        // A partner's text inside a longer address is no partner.
        assert_eq!(judged("11.2.3.4", ""), Some(AccessType::Public));
        assert_eq!(judged("1.2.3.4", "9.9.9.9"), Some(AccessType::Public));
        assert_eq!(judged("198.51.7.7", "null"), Some(AccessType::Partner));
        assert_eq!(judged("0.0.0.0", "10.0.0.1"), Some(AccessType::Private));
        assert_eq!(judged("0.0.0.0", ""), None);
        assert_eq!(judged("null", ""), None);
        assert_eq!(policy.judge(&call("8.8.8.8", "", "{}", 2)), Some(AccessType::ThirdParty));
    }

    #[test]
    fn ipv6_is_judged_alike() {
        let policy = AccessPolicy::new(["10.0.0.0/8"], ["2001:db8:1::/48"], []);
        let judged = |ip| policy.judge(&call(ip, "", "{}", 1));
        assert_eq!(judged("::1"), Some(AccessType::Private));
        assert_eq!(judged("[fd00::1]:8080"), Some(AccessType::Private));
        assert_eq!(judged("::ffff:10.0.0.7"), Some(AccessType::Private));
        assert_eq!(judged("2001:db8:1::9"), Some(AccessType::Partner));
        assert_eq!(judged("2001:db8:2::9"), Some(AccessType::Public));
    }

    #[test]
    fn forwarding_headers_count_only_from_trusted_proxies() {
        let trusting = AccessPolicy::new(["10.0.0.0/8"], [], ["10.0.0.1", "10.0.0.2"]);
        let headers = r#"{"X-Forwarded-For":"6.6.6.6, 10.9.9.9, 10.0.0.2"}"#;
        // Who stands before the first untrusted address is hearsay.
        assert_eq!(trusting.judge(&call("10.0.0.1", "", headers, 1)), Some(AccessType::Private));
        let direct = r#"{"x-forwarded-for":"6.6.6.6, 10.0.0.2"}"#;
        assert_eq!(trusting.judge(&call("10.0.0.1", "", direct, 1)), Some(AccessType::Public));
        assert_eq!(trusting.judge(&call("10.0.0.3", "", direct, 1)), Some(AccessType::Private));
        let real = r#"{"x-real-ip":"6.6.6.6"}"#;
        assert_eq!(trusting.judge(&call("10.0.0.1", "", real, 1)), Some(AccessType::Public));
    }

    #[test]
    fn the_widest_type_is_in_force() {
        let set = BTreeSet::from([AccessType::Private, AccessType::ThirdParty, AccessType::Partner]);
        assert_eq!(AccessType::effective(&set), Some(AccessType::Partner));
        assert_eq!(AccessType::effective(&BTreeSet::new()), None);
        assert!(AccessType::ALL.iter().all(|known| AccessType::from_name(known.name()) == Some(*known)));
    }

    #[test]
    fn records_without_an_address_are_judged_by_what_they_tell() {
        let policy = AccessPolicy::new(["10.0.0.0/8"], ["8.8.4.4"], ["10.9.0.0/16"]);
        for (headers, expected) in [
            (r#"{}"#, None),
            (r#"{"x-forwarded-for":"1.1.1.1, 8.8.8.8, 10.9.0.1"}"#, Some(AccessType::Public)),
            (r#"{"x-forwarded-for":"1.1.1.1, 10.1.0.1"}"#, Some(AccessType::Private)),
            (r#"{"x-forwarded-for":"10.9.0.2"}"#, Some(AccessType::Private)),
            (r#"{"forwarded":"for=1.1.1.1, for=\"8.8.4.4:80\";proto=https"}"#, Some(AccessType::Partner)),
            (r#"{"x-real-ip":"10.1.0.1"}"#, Some(AccessType::Private)),
            (r#"{"cf-connecting-ip":"1.1.1.1"}"#, Some(AccessType::Public)),
            (r#"{"x-forwarded-for":"unknown"}"#, None),
        ] {
            let record =
                Record { request_headers: headers.into(), ip: "null".into(), direction: 1, ..Record::default() };
            assert_eq!(policy.judge(&record), expected, "{headers}");
        }
    }
}
