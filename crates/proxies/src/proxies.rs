use std::{borrow::Cow, net::IpAddr};

use http::{HeaderMap, HeaderName};

use crate::{address::address, forwarded::forwarded, lines::lines, ranges::Ranges};

/// Most proxies in a row that may be configured.
pub const HOPS_MAX: u32 = 16;

const FORWARDED: &str = "forwarded";
const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// The proxies whose word counts, and where they say it.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    trust: Trust,
    told: Told,
}

#[derive(Clone, Debug, Default)]
enum Trust {
    #[default]
    Nobody,
    /// Proxies by their addresses.
    Ranges(Ranges),
    /// So many in a row before every request, whatever their addresses.
    Hops(u32),
}

#[derive(Clone, Debug, Default)]
enum Told {
    /// In the chain of `x-forwarded-for`, or where there is none in that of `forwarded`.
    #[default]
    Either,
    XForwardedFor,
    Forwarded,
    /// In a header that holds the client's address alone.
    Single(HeaderName),
}

impl Proxies {
    /// `ranges` are separated by commas, `hops` is 0 where proxies are known by their ranges, `header` is empty for the
    /// usual chains.
    ///
    /// # Errors
    /// A range that cannot be read, too many hops, a name that is no header's, and ranges together with hops.
    pub fn parse(ranges: &str, hops: u32, header: &str) -> Result<Self, String> {
        let ranges = Ranges::list(ranges)?;
        let trust = match (ranges.is_empty(), hops) {
            (true, 0) => Trust::Nobody,
            (false, 0) => Trust::Ranges(ranges),
            (true, 1..=HOPS_MAX) => Trust::Hops(hops),
            (true, _) => return Err(format!("at most {HOPS_MAX} proxies stand in a row, not {hops}")),
            (false, _) => return Err("proxies are trusted by range or by number of hops, not by both".to_owned()),
        };
        let told = match header.trim().to_ascii_lowercase().as_str() {
            "" => Told::Either,
            X_FORWARDED_FOR => Told::XForwardedFor,
            FORWARDED => Told::Forwarded,
            name => Told::Single(name.parse().map_err(|_| format!("`{header}` is no name of a header"))?),
        };
        Ok(Self { trust, told })
    }

    /// Whether what the other end of a connection says of others counts.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        match &self.trust {
            Trust::Nobody => false,
            Trust::Ranges(ranges) => ranges.contains(peer),
            Trust::Hops(_) => true,
        }
    }

    /// The client of a request whose connection comes from `peer`.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        self.client_told(peer, |name| lines(headers, name))
    }

    /// The same, with the lines of a header by its name.
    pub fn client_told<'h>(&self, peer: IpAddr, lines: impl Fn(&str) -> Vec<Cow<'h, str>>) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        let chain = match &self.told {
            Told::Single(name) => {
                let told = lines(name.as_str());
                return told.last().and_then(|line| address(line)).unwrap_or(peer);
            }
            Told::XForwardedFor => plain(&lines(X_FORWARDED_FOR)),
            Told::Forwarded => standard(&lines(FORWARDED)),
            Told::Either => match lines(X_FORWARDED_FOR) {
                none if none.is_empty() => standard(&lines(FORWARDED)),
                told => plain(&told),
            },
        };
        self.walk(peer, &chain)
    }

    /// Goes back along a chain as far as trusted proxies wrote it.
    fn walk(&self, peer: IpAddr, chain: &[Option<IpAddr>]) -> IpAddr {
        let mut client = peer;
        for (passed, hop) in (0..).zip(chain.iter().rev()) {
            let is_written_by_trusted = match &self.trust {
                Trust::Nobody => false,
                Trust::Ranges(ranges) => ranges.contains(client),
                Trust::Hops(hops) => passed < *hops,
            };
            match hop {
                Some(address) if is_written_by_trusted => client = *address,
                _ => break,
            }
        }
        client
    }
}

/// The hops of `x-forwarded-for`, the nearest last.
fn plain(lines: &[Cow<'_, str>]) -> Vec<Option<IpAddr>> {
    lines.iter().flat_map(|line| line.split(',')).map(address).collect()
}

fn standard(lines: &[Cow<'_, str>]) -> Vec<Option<IpAddr>> {
    lines.iter().flat_map(|line| forwarded(line)).map(|element| element.client).collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn client(proxies: &Proxies, peer: &str, told: &[(&'static str, &str)]) -> String {
        let line = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        let mut headers = HeaderMap::new();
        told.iter().map(line).for_each(|(name, value)| _ = headers.append(name, value));
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn proxies_by_range() {
        let proxies = Proxies::parse("10.0.0.0/8, fd00::/8, 127.0.0.1", 0, "").unwrap();
        for (peer, line, expected) in [
            ("203.0.113.9", "1.2.3.4", "203.0.113.9"),
            ("10.0.0.1", "1.2.3.4", "1.2.3.4"),
            ("::ffff:10.0.0.1", "1.2.3.4", "1.2.3.4"),
            ("10.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"),
            ("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"),
            ("10.0.0.1", "6.6.6.6, [2001:db8::5]:80, [fd00::1]", "2001:db8::5"),
            ("10.0.0.1", "2001:db8::5, fd00::1%eth0", "2001:db8::5"),
            // What cannot be read ends the walk at who wrote it.
            ("10.0.0.1", "6.6.6.6, garbage", "10.0.0.1"),
            ("10.0.0.1", "6.6.6.6, unknown, 10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "6.6.6.6, _hidden", "10.0.0.1"),
            ("10.0.0.1", "6.6.6.6, \u{e9}, 10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ] {
            assert_eq!(client(&proxies, peer, &[("x-forwarded-for", line)]), expected, "{peer}: {line}");
        }
        assert_eq!(client(&Proxies::default(), "10.0.0.1", &[("x-forwarded-for", "1.2.3.4")]), "10.0.0.1");
        // A line that is no text hides none of the lines before it.
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", HeaderValue::from_static("6.6.6.6"));
        headers.append("x-forwarded-for", HeaderValue::from_bytes(b"\xff, 1.2.3.4").unwrap());
        assert_eq!(proxies.client("10.0.0.1".parse().unwrap(), &headers).to_string(), "1.2.3.4");
        headers.append("x-forwarded-for", HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(proxies.client("10.0.0.1".parse().unwrap(), &headers).to_string(), "10.0.0.1");
    }

    #[test]
    fn proxies_by_number() {
        for (hops, line, expected) in [
            (1, "6.6.6.6, 1.2.3.4", "1.2.3.4"),
            (2, "6.6.6.6, 1.2.3.4, 5.6.7.8", "1.2.3.4"),
            // An address of a private network is no proxy because of that.
            (1, "6.6.6.6, 10.0.0.9", "10.0.0.9"),
            (3, "1.2.3.4", "1.2.3.4"),
            (2, "1.2.3.4, unknown", "10.0.0.1"),
            (1, "", "10.0.0.1"),
        ] {
            let proxies = Proxies::parse("", hops, "").unwrap();
            assert_eq!(client(&proxies, "10.0.0.1", &[("x-forwarded-for", line)]), expected, "{hops}: {line}");
        }
    }

    #[test]
    fn the_header_is_chosen() {
        let proxies = |header| Proxies::parse("", 1, header).unwrap();
        let (chain, standard) = (("x-forwarded-for", "1.1.1.1"), ("forwarded", "for=\"[2001:db8::1]:443\""));
        let own = ("x-real-client", "3.3.3.3");
        let asked = |header, told: &[(&'static str, &str)]| client(&proxies(header), "10.0.0.1", told);
        assert_eq!(asked("", &[standard, chain]), "1.1.1.1");
        assert_eq!(asked("", &[standard]), "2001:db8::1");
        assert_eq!(asked("Forwarded", &[standard, chain]), "2001:db8::1");
        assert_eq!(asked("forwarded", &[chain]), "10.0.0.1");
        assert_eq!(asked("X-Forwarded-For", &[standard]), "10.0.0.1");
        assert_eq!(asked("x-real-client", &[standard, chain, ("x-real-client", "6.6.6.6"), own]), "3.3.3.3");
        assert_eq!(asked("x-real-client", &[chain]), "10.0.0.1");
    }

    #[test]
    fn what_contradicts_is_refused() {
        for (ranges, hops, header) in [("10.0.0.0/8", 1, ""), ("near", 0, ""), ("", 17, ""), ("", 1, "no header")] {
            assert!(Proxies::parse(ranges, hops, header).is_err(), "{ranges} {hops} {header}");
        }
    }
}
