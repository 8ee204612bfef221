use std::{net::IpAddr, str::FromStr};

use ipnet::IpNet;
use url::{Host, Url};

use crate::{FetchError, Reach, reach};

/// Which addresses calls may reach.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Whether private addresses may be reached.
    pub allow_private: bool,
    /// Hosts that may be reached although their addresses are private.
    pub allow_hosts: Vec<HostPattern>,
}

/// A host name, `*.` and a name for all hosts below it, an address, or a range of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// Exactly this host, in lower case.
    Name(String),
    /// Every host below this domain, in lower case.
    Below(String),
    /// Every address of a range.
    Range(IpNet),
}

impl Policy {
    /// Reads the two settings.
    ///
    /// # Errors
    /// The pattern that cannot be read.
    pub fn parse(allow_private: bool, allow_hosts: &str) -> Result<Self, String> {
        let patterns = allow_hosts.split(',').map(str::trim).filter(|pattern| !pattern.is_empty());
        Ok(Self { allow_private, allow_hosts: patterns.map(str::parse).collect::<Result<_, _>>()? })
    }

    /// Checks what can be checked without a resolver, and returns the URL in its one spelling: `0x7f.1` is
    /// `127.0.0.1` by then.
    pub(crate) fn check(&self, url: &str) -> Result<Url, FetchError> {
        // The parser takes the first segment of a path for a host that is missing.
        let (scheme, rest) = url.trim().split_once(':').unwrap_or_default();
        let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        let host = rest.strip_prefix("//").filter(|rest| !rest.is_empty() && !rest.starts_with(['/', '\\']));
        if is_web && rest.starts_with('/') && host.is_none() {
            return Err(FetchError::InvalidUrl);
        }
        let url = Url::parse(url.trim()).map_err(|_| FetchError::InvalidUrl)?;
        self.check_url(&url)?;
        Ok(url)
    }

    pub(crate) fn check_url(&self, url: &Url) -> Result<(), FetchError> {
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
            return Err(FetchError::RefusedAddress);
        }
        let address = match url.host().ok_or(FetchError::InvalidUrl)? {
            Host::Domain(name) if name.is_empty() || name == "." => return Err(FetchError::InvalidUrl),
            Host::Domain(_) => return Ok(()),
            Host::Ipv4(address) => IpAddr::V4(address),
            Host::Ipv6(address) => IpAddr::V6(address),
        };
        if self.admits("", address) { Ok(()) } else { Err(FetchError::RefusedAddress) }
    }

    /// Whether an address to which `host` resolved may be reached.
    pub(crate) fn admits(&self, host: &str, address: IpAddr) -> bool {
        match reach(address) {
            Reach::Public => true,
            Reach::Private => self.allow_private || self.allow_hosts.iter().any(|allowed| allowed.fits(host, address)),
            Reach::Never => false,
        }
    }
}

impl HostPattern {
    /// The host of a URL that the operator configured.
    pub(crate) fn of(url: &str) -> Option<Self> {
        match Url::parse(url).ok()?.host()? {
            Host::Domain(name) => Some(Self::Name(plain(name))),
            Host::Ipv4(address) => Some(Self::Range(IpAddr::V4(address).into())),
            Host::Ipv6(address) => Some(Self::Range(IpAddr::V6(address).into())),
        }
    }

    fn fits(&self, host: &str, address: IpAddr) -> bool {
        match self {
            Self::Name(name) => plain(host) == *name,
            Self::Below(name) => plain(host).strip_suffix(name.as_str()).is_some_and(|rest| rest.ends_with('.')),
            Self::Range(range) => range.contains(&canonical(address)),
        }
    }
}

impl FromStr for HostPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.trim().trim_start_matches('[').trim_end_matches(']');
        if let Ok(range) = bare.parse::<IpNet>() {
            return Ok(Self::Range(range));
        }
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(Self::Range(canonical(address).into()));
        }
        let (below, name) = match bare.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, bare),
        };
        let legal = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '_');
        if name.is_empty() || !name.chars().all(legal) {
            return Err(format!("`{text}` is no host name, `*.` with a name, address or range"));
        }
        Ok(if below { Self::Below(plain(name)) } else { Self::Name(plain(name)) })
    }
}

/// The IPv4 address that an IPv6 address maps.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

fn plain(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_refused_address_is_refused() {
        let spellings = "http://127.0.0.1/ http://127.1/ http://127.0.1/ http://2130706433/ http://0x7f000001/ \
            http://0x7f.0.0.1/ http://0177.0.0.1/ http://017700000001/ http://0x7F.1/ http://127.0.0.1./ \
            http://127.0.0.1:22/ http://0/ http://0.0.0.0/ http://[::1]/ http://[::]/ http://[0:0:0:0:0:0:0:1]/ \
            http://[::ffff:127.0.0.1]/ http://[::ffff:7f00:1]/ http://[::127.0.0.1]/ http://[2002:7f00:1::]/ \
            http://[64:ff9b::7f00:1]/ http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/ http://[fe80::1]/ \
            http://169.254.169.254/latest/meta-data/ http://2852039166/ http://0xa9fea9fe/ http://0251.0376.0251.0376/ \
            http://10.1.2.3/ http://172.20.0.1/ http://192.168.1.1/ http://3232235777/ http://100.64.0.1/ \
            http://224.0.0.1/ http://255.255.255.255/ http://198.51.100.1/ http://%31%32%37.0.0.1/ \
            http://①②⑦.⓪.⓪.①/ http://127。0。0。1/ https://127.0.0.1/ http:127.0.0.1 http:\\\\127.0.0.1 \
            HTTP://127.0.0.1 ftp://example.com/ file:///etc/passwd gopher://example.com/ data:text/plain,x \
            http://user@example.com/ http://user:secret@example.com/ http://:secret@example.com/ ws://example.com/ \
            javascript:alert(1) jar:http://example.com/ unix:/run/x.sock dict://example.com:11211/";
        let policy = Policy::default();
        for spelling in spellings.split_whitespace() {
            assert_eq!(policy.check(spelling), Err(FetchError::RefusedAddress), "{spelling}");
        }
    }

    #[test]
    fn what_is_no_url_is_told_apart() {
        let policy = Policy::default();
        for text in [
            "",
            "  ",
            "example.com/path",
            "//example.com",
            "http://",
            "https:///",
            "http://[::1",
            "http://a b/",
            "http://256.256.256.256/",
            "http://[fe80::1%25eth0]/",
            "http://example.com:99999/",
        ] {
            assert_eq!(policy.check(text), Err(FetchError::InvalidUrl), "{text}");
        }
    }

    #[test]
    fn names_and_public_addresses_pass() {
        let policy = Policy::default();
        for text in
            ["https://example.com/a?b=c", "http://1.1.1.1/", "http://[2606:4700:4700::1111]:8080/", "http://localhost/"]
        {
            assert!(policy.check(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn private_addresses_pass_when_allowed_and_metadata_never() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let policy = Policy { allow_private: true, ..Policy::default() };
        assert!(policy.check("http://127.0.0.1:80/").is_ok() && policy.check("http://10.0.0.1/").is_ok());
        assert_eq!(policy.check("http://169.254.169.254/"), Err(FetchError::RefusedAddress));

        let policy = Policy::parse(false, "internal.example, *.corp.example, 10.1.0.0/16, [fd00::1]").unwrap();
        assert!(policy.admits("INTERNAL.example.", address("192.168.0.1")));
        assert!(!policy.admits("not-internal.example", address("192.168.0.1")));
        assert!(policy.admits("a.b.corp.example", address("10.9.0.1")));
        assert!(!policy.admits("corp.example", address("10.9.0.1")));
        assert!(!policy.admits("evilcorp.example", address("10.9.0.1")));
        assert!(policy.admits("whatever", address("10.1.200.1")) && policy.check("http://10.1.0.9/").is_ok());
        assert!(policy.admits("", address("::ffff:10.1.0.1")) && policy.admits("", address("fd00::1")));
        assert!(!policy.admits("", address("fd00::2")));
        assert!(!policy.admits("internal.example", address("169.254.169.254")));
        assert!(Policy::parse(false, "a b").is_err() && Policy::parse(false, "http://x").is_err());
    }
}
