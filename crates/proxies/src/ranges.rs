use std::net::IpAddr;

use ipnet::IpNet;

/// IPv4 ranges that count as private where an account has no list of its own: those of private networks, loopback, and
/// whatever else is not routed between networks.
pub const PRIVATE_RANGES: [&str; 13] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/4",
    "192.0.2.0/24",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "255.255.255.255/32",
    "100.64.0.0/10",
    "192.88.99.0/24",
    "240.0.0.0/4",
];

/// Addresses and ranges, as options and profiles list them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<IpNet>);

impl Ranges {
    /// Reads each entry; host bits may be set.
    ///
    /// # Errors
    /// The first entry that is no address and no range: left out it would change what the list means.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let read =
            |entry: &'a str| range(entry).ok_or_else(|| format!("`{}` is no address and no range", entry.trim()));
        entries.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Reads entries separated by commas; empty ones are passed over.
    ///
    /// # Errors
    /// As [`Ranges::parse`].
    pub fn list(text: &str) -> Result<Self, String> {
        Self::parse(text.split(',').map(str::trim).filter(|entry| !entry.is_empty()))
    }

    /// Whether one of them holds the address, however it is written.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<IpNet> for Ranges {
    fn from_iter<I: IntoIterator<Item = IpNet>>(ranges: I) -> Self {
        Self(ranges.into_iter().collect())
    }
}

/// Reads an address or a range. Host bits may be set; a range of IPv4 in IPv6 form is one of IPv4.
pub fn range(text: &str) -> Option<IpNet> {
    let text = text.trim();
    let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?.trunc();
    match (network.addr().to_canonical(), network.prefix_len()) {
        (IpAddr::V4(address), length @ 96..) if network.addr().is_ipv6() => {
            IpNet::new(IpAddr::V4(address), length - 96).ok()
        }
        _ => Some(network),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_each_spelling_of_an_address() {
        let list = Ranges::parse(["8.8.8.8/24", "10.1.2.3", "2001:db8::/32", "::ffff:192.0.2.0/120"]).unwrap();
        let holds = |text: &str| list.contains(text.parse().unwrap());
        for inside in [
            "8.8.8.1",
            "::ffff:8.8.8.1",
            "::ffff:0808:0801",
            "10.1.2.3",
            "2001:db8::1",
            "2001:0db8:0:0::1",
            "192.0.2.77",
        ] {
            assert!(holds(inside), "{inside}");
        }
        for outside in ["8.8.9.1", "10.1.2.4", "::8.8.8.1", "2001:db9::1", "::1"] {
            assert!(!holds(outside), "{outside}");
        }
    }

    #[test]
    fn an_entry_that_cannot_be_read_is_named() {
        for text in ["8.8.8.8/33", "8.8.8", "fe80::1%eth0", "example.com", "8.8.8.8:80"] {
            let error = Ranges::list(&format!("10.0.0.1, {text}")).unwrap_err();
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
        assert!(Ranges::list(" , ").unwrap().is_empty());
    }
}
