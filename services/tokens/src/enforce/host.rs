use std::borrow::Cow;

/// A longer name than DNS allows, with room for a port.
const BYTES_MAX: usize = 260;

/// The name of a host in the one spelling that the edge compares: in lower case, without the dot of the root, without a
/// port that is the default of HTTP or HTTPS. Nothing for what is no host.
pub fn host_name(authority: &str) -> Option<Cow<'_, str>> {
    if authority.len() > BYTES_MAX || !authority.bytes().all(is_plain) {
        return None;
    }
    let (name, port) = split_port(authority)?;
    let stripped = name.strip_suffix('.').unwrap_or(name);
    if stripped.is_empty() || stripped.starts_with('.') || stripped.ends_with('.') || stripped.contains("..") {
        return None;
    }
    // Servers read `127.1`, `0x7f.1` and `2130706433` as addresses, in ways of their own.
    let is_number = |label: &str| label.starts_with("0x") || label.bytes().all(|byte| byte.is_ascii_digit());
    let is_like_address = !stripped.starts_with('[') && stripped.rsplit('.').next().is_some_and(is_number);
    if is_like_address && stripped.parse::<std::net::Ipv4Addr>().is_err() {
        return None;
    }
    let port = port.filter(|port| !matches!(*port, "80" | "443"));
    let has_upper = stripped.bytes().any(|byte| byte.is_ascii_uppercase());
    match port {
        Some(port) if stripped.len() != name.len() => {
            Some(Cow::Owned(format!("{stripped}:{port}").to_ascii_lowercase()))
        }
        Some(_) if has_upper => Some(Cow::Owned(authority.to_ascii_lowercase())),
        Some(_) => Some(Cow::Borrowed(authority)),
        None if has_upper => Some(Cow::Owned(stripped.to_ascii_lowercase())),
        None => Some(Cow::Borrowed(stripped)),
    }
}

/// The name alone of a host with a port.
pub fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte)
}

/// Name and port; an address of IPv6 stands in brackets. Nothing for a port that is none, and for one that is written
/// with zeros before it.
fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    let (name, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let end = rest.find(']')?;
            rest[..end].parse::<std::net::Ipv6Addr>().ok()?;
            let (name, after) = authority.split_at(end + 2);
            (name, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
        }
        None => match authority.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (authority, None),
        },
    };
    if name.is_empty() || (!name.starts_with('[') && name.contains(['[', ']'])) {
        return None;
    }
    let is_port = |port: &str| !port.starts_with('0') && port.parse::<u16>().is_ok() && !port.starts_with('+');
    port.is_none_or(is_port).then_some((name, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every combination of case, root dot and default port is one host.
    #[test]
    fn a_host_has_one_spelling() {
        for name in ["api.example.com", "API.Example.com", "API.EXAMPLE.COM"] {
            for dot in ["", "."] {
                for (port, expected) in [("", ""), (":80", ""), (":443", ""), (":8443", ":8443")] {
                    let spelled = format!("{name}{dot}{port}");
                    assert_eq!(host_name(&spelled).unwrap(), format!("api.example.com{expected}"), "{spelled}");
                }
            }
        }
        assert_eq!(host_name("[2001:DB8::1]:443").unwrap(), "[2001:db8::1]");
        assert_eq!(host_name("192.0.2.1:8080").unwrap(), "192.0.2.1:8080");
        assert!(matches!(host_name("api.example.com:8443"), Some(Cow::Borrowed(_))), "nothing is copied");
    }

    #[test]
    fn what_is_no_host_is_none() {
        for bad in [
            "",
            ".",
            "..",
            ":80",
            "a..",
            "a..b",
            ".a",
            "a b",
            "user@host",
            "a/b",
            "a,b",
            "a%2eb",
            "a\\b",
            "a?b",
            "a#b",
            "a:",
            "a:0",
            "a:080",
            "a:+80",
            "a:99999",
            "a:80:80",
            "a:x",
            "[::1",
            "::1",
            "[::1]x",
            "[a]",
            "a]",
            "127.1",
            "0x7f000001",
            "2130706433",
            "127.0.0.01",
            "caf\u{e9}.example",
        ] {
            assert_eq!(host_name(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_port_can_be_left_out() {
        assert_eq!((without_port("a:1"), without_port("a"), without_port("[::1]:2")), ("a", "a", "[::1]"));
        assert_eq!(without_port("[::1]"), "[::1]");
    }
}
