//! Lists of addresses and ranges that a credential may be used from.

use std::net::IpAddr;

pub use portolan_proxies::range as parse;

/// Whether one of the ranges holds the address. An entry that cannot be read holds nothing.
pub fn contain(ranges: &[String], address: &str) -> bool {
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let address = address.to_canonical();
    ranges.iter().filter_map(|range| parse(range)).any(|range| range.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_their_addresses() {
        for (range, address, expected) in [
            ("8.8.8.8/24", "8.8.8.1", true),
            ("8.8.8.8", "8.8.8.8", true),
            ("8.8.8.8", "8.8.8.9", false),
            ("8.8.8.0/24", "::ffff:8.8.8.7", true),
            ("::ffff:8.8.8.0/120", "8.8.8.7", true),
            ("2001:db8::/32", "2001:db8:0:0::1", true),
            ("2001:db8::/32", "8.8.8.8", false),
            ("0.0.0.0/0", "garbage", false),
            ("garbage", "8.8.8.8", false),
        ] {
            assert_eq!(contain(&[range.to_owned()], address), expected, "{range} {address}");
        }
        for text in ["", "8.8.8.8/33", "8.8.8", "fe80::1%eth0", "example.com", "8.8.8.8:80"] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
