use std::net::IpAddr;

use ipnet::IpNet;

/// Addresses and ranges, as profiles and settings list them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpList(Vec<IpNet>);

impl IpList {
    /// Host bits of a range may be set. An entry that cannot be read makes the whole list unreadable: left out it would
    /// change what the list means.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        entries.into_iter().map(network).collect::<Option<_>>().map(Self)
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    let network = match text.parse::<IpNet>() {
        Ok(network) => network.trunc(),
        Err(_) => IpNet::from(text.parse::<IpAddr>().ok()?),
    };
    // An IPv4 range written as IPv4-mapped IPv6 is the IPv4 range.
    match (network.addr().to_canonical(), network.prefix_len()) {
        (IpAddr::V4(address), length @ 96..) if network.addr().is_ipv6() => {
            IpNet::new(IpAddr::V4(address), length - 96).ok()
        }
        _ => Some(network),
    }
}

/// The client of a request: the peer, unless that is a proxy that is trusted to say whom it speaks for. Its list is read
/// from the right, where the nearest proxy wrote, to the first address that is none of the trusted; what cannot be read
/// ends the walk.
pub fn client_address(peer: IpAddr, forwarded_for: &str, trusted: &IpList) -> IpAddr {
    let mut client = peer.to_canonical();
    for hop in forwarded_for.rsplit(',') {
        if !trusted.contains(client) {
            break;
        }
        let Some(address) = hop_address(hop.trim()) else { break };
        client = address;
    }
    client
}

/// An address, possibly in brackets, possibly with a port.
fn hop_address(text: &str) -> Option<IpAddr> {
    let parsed = text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    parsed.or_else(with_port).or_else(in_brackets).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_cover_each_spelling_of_an_address() {
        let list = IpList::parse(["8.8.8.8/24", "10.1.2.3", "2001:db8::/32", "::ffff:192.0.2.0/120"]).unwrap();
        for inside in [
            "8.8.8.1",
            "::ffff:8.8.8.1",
            "::ffff:0808:0801",
            "10.1.2.3",
            "2001:db8::1",
            "2001:0db8:0:0::1",
            "192.0.2.77",
        ] {
            assert!(list.contains(ip(inside)), "{inside}");
        }
        for outside in ["8.8.9.1", "10.1.2.4", "::8.8.8.1", "2001:db9::1", "::1"] {
            assert!(!list.contains(ip(outside)), "{outside}");
        }
        assert_eq!(IpList::parse(["10.0.0.1", "10.0.0.0/33"]), None);
        assert_eq!(IpList::parse(["fe80::1%eth0"]), None);
    }

    #[test]
    fn only_trusted_proxies_speak_for_others() {
        let trusted = IpList::parse(["10.0.0.0/8", "127.0.0.1"]).unwrap();
        for (peer, forwarded, client) in [
            ("203.0.113.9", "1.2.3.4", "203.0.113.9"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "1.2.3.4", "1.2.3.4"),
            ("::ffff:10.0.0.1", "1.2.3.4", "1.2.3.4"),
            ("10.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"),
            ("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"),
            ("10.0.0.1", "6.6.6.6,1.2.3.4:5678", "1.2.3.4"),
            ("10.0.0.1", "[2001:db8::1]:80", "2001:db8::1"),
            ("10.0.0.1", "6.6.6.6, garbage", "10.0.0.1"),
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ] {
            assert_eq!(client_address(ip(peer), forwarded, &trusted), ip(client), "{peer} {forwarded}");
        }
        assert_eq!(client_address(ip("10.0.0.1"), "1.2.3.4", &IpList::default()), ip("10.0.0.1"));
    }
}
