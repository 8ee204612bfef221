use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// Who can be reached at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// A host of the public internet.
    Public,
    /// A host of this network or machine: refused unless the configuration allows it.
    Private,
    /// Nobody that an outgoing call is for: metadata services, multicast, reserved ranges. Always refused.
    Never,
}

/// Classifies an address by the special-purpose registries. An IPv6 address that carries an IPv4 address is as
/// reachable as the address it carries.
pub fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(a: u16, b: u16, c: u16, d: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), length)
}

const PRIVATE_V4: [Ipv4Net; 5] = [
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10), // carrier-grade NAT
    v4(127, 0, 0, 0, 8),
    v4(172, 16, 0, 0, 12),
    v4(192, 168, 0, 0, 16),
];

const NEVER_V4: [Ipv4Net; 11] = [
    v4(0, 0, 0, 0, 8),
    v4(168, 63, 129, 16, 32),   // the host agent of a cloud, written as a public address
    v4(100, 100, 100, 200, 32), // the metadata service of a cloud, within carrier-grade NAT
    v4(169, 254, 0, 0, 16),     // link-local, with the metadata services of most clouds
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24), // documentation, as the next but one and two
    v4(192, 88, 99, 0, 24),
    v4(198, 18, 0, 0, 15), // benchmarking
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 3), // multicast and reserved
];

fn reach_v4(address: Ipv4Addr) -> Reach {
    let within = |ranges: &[Ipv4Net]| ranges.iter().any(|range| range.contains(&address));
    if within(&NEVER_V4) {
        Reach::Never
    } else if within(&PRIVATE_V4) {
        Reach::Private
    } else {
        Reach::Public
    }
}

/// The only range from which public addresses are given out.
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 0, 0, 3);
const UNIQUE_LOCAL_V6: Ipv6Net = v6(0xfc00, 0, 0, 0, 7);

const NEVER_V6: [Ipv6Net; 5] = [
    v6(0x2001, 0, 0, 0, 23),     // protocol assignments, with Teredo and ORCHID
    v6(0x2001, 0xdb8, 0, 0, 32), // documentation, as the last
    v6(0x2002, 0, 0, 0, 16),     // 6to4: a relay would deliver to the IPv4 address inside
    v6(0x3fff, 0, 0, 0, 20),
    v6(0x2620, 0x4f, 0x8000, 0, 48),
];

/// NAT64, the well-known prefix: a translator delivers to the last 32 bits.
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 0, 96);

fn reach_v6(address: Ipv6Addr) -> Reach {
    if let Some(inner) = address.to_ipv4_mapped() {
        return reach_v4(inner);
    }
    if NAT64.contains(&address) {
        let [.., a, b, c, d] = address.octets();
        return reach_v4(Ipv4Addr::new(a, b, c, d));
    }
    if address.is_loopback() || UNIQUE_LOCAL_V6.contains(&address) {
        // The metadata service of a cloud, within the unique local range.
        let metadata = address == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
        return if metadata { Reach::Never } else { Reach::Private };
    }
    if GLOBAL_V6.contains(&address) && !NEVER_V6.iter().any(|range| range.contains(&address)) {
        Reach::Public
    } else {
        Reach::Never
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_classified_by_whom_they_reach() {
        let check = |addresses: &str, expected: Reach| {
            for address in addresses.split_whitespace() {
                assert_eq!(reach(address.parse().unwrap()), expected, "{address}");
            }
        };
        check("1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 172.15.255.255 172.32.0.0", Reach::Public);
        check("192.167.255.255 192.169.0.0 169.253.255.255 198.17.255.255 223.255.255.255", Reach::Public);
        check("127.0.0.1 127.255.255.255 10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255", Reach::Private);
        check("192.168.0.0 192.168.255.255 100.64.0.0 100.127.255.255", Reach::Private);
        check("0.0.0.0 0.1.2.3 169.254.169.254 169.254.0.0 100.100.100.200 168.63.129.16 192.0.0.1", Reach::Never);
        check("192.0.2.1 198.51.100.7 203.0.113.9 198.18.0.1 198.19.255.255 192.88.99.1", Reach::Never);
        check("224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255", Reach::Never);

        check("2606:4700:4700::1111 2a00:1450:4001::1", Reach::Public);
        check("::1 fc00::1 fd12:3456::1 fdff::1", Reach::Private);
        check(":: fe80::1 febf::1 fec0::1 ff02::1 ff0e::1 100::1 2001:db8::1 3fff::1 5f00::1", Reach::Never);
        check("fd00:ec2::254 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:20::1", Reach::Never);
        check("2002:7f00:1::1 2002:a00:1::1 2002:0101:0101::1 64:ff9b:1::7f00:1", Reach::Never);
        // Compatible form, deprecated: it lies outside what is given out.
        check("::7f00:1 ::1.1.1.1", Reach::Never);
        check("::ffff:1.1.1.1 64:ff9b::1.1.1.1", Reach::Public);
        check("::ffff:127.0.0.1 ::ffff:10.1.2.3 64:ff9b::10.0.0.1 64:ff9b::7f00:1", Reach::Private);
        check("::ffff:169.254.169.254 64:ff9b::a9fe:a9fe ::ffff:0.0.0.0", Reach::Never);
    }
}
