use std::borrow::Cow;

/// A name has at most 253 bytes, a port six.
const HOST_BYTES_MAX: usize = 260;

/// One spelling of a host without its port: lower case, IDNA as `xn--`, addresses in their usual form, no dot at the
/// end. `None` for what can be no host.
pub fn canonical_host(host: &str) -> Option<Cow<'_, str>> {
    if host.len() > HOST_BYTES_MAX {
        return None;
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_usual = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_');
    let last = host.rsplit('.').next().unwrap_or_default();
    // A last label that begins with a digit may be part of an address; `xn--` has to be valid.
    if !last.is_empty()
        && host.bytes().all(is_usual)
        && !last.starts_with(|letter: char| letter.is_ascii_digit())
        && !host.contains("xn--")
    {
        return Some(Cow::Borrowed(host));
    }
    let host = url::Host::parse(host).ok()?.to_string();
    (!host.is_empty() && !host.ends_with('.')).then_some(Cow::Owned(host))
}

/// One spelling of an authority: the canonical host, and the port unless it is one of `default_ports`. User information
/// makes it none.
pub(crate) fn canonical_authority(authority: &str, default_ports: &[&str]) -> Option<String> {
    let (host, port) = split_port(authority);
    let host = canonical_host(host)?;
    let port = port.trim_start_matches('0');
    if port.is_empty() {
        return Some(host.into_owned());
    }
    port.parse::<u16>().ok()?;
    Some(if default_ports.contains(&port) { host.into_owned() } else { format!("{host}:{port}") })
}

/// The name of a host in one spelling, with its port when it names one that is not usual. `None` for what can be no host:
/// user information and any character that no host has make it none.
///
/// Without a scheme both usual ports, 80 and 443, are left out.
pub fn host_name(authority: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte) || !byte.is_ascii();
    if authority.is_empty() || authority.len() > HOST_BYTES_MAX || !authority.bytes().all(plain) {
        return None;
    }
    canonical_authority(authority, &["80", "443"])
}

/// Host and port; the port is empty where none is named.
fn split_port(authority: &str) -> (&str, &str) {
    match authority.rsplit_once(':') {
        // The colons of an IPv6 address are its own.
        Some((host, port))
            if (!host.starts_with('[') || host.ends_with(']')) && port.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            (host, port)
        }
        _ => (authority, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_one_spelling() {
        for (host, expected) in [
            ("api.example.com", Some("api.example.com")),
            ("API.Example.com.", Some("api.example.com")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("B%C3%BCcher.example", Some("xn--bcher-kva.example")),
            ("0x7f.1", Some("127.0.0.1")),
            ("[::0001]", Some("[::1]")),
            ("a_b.example", Some("a_b.example")),
            ("", None),
            (".", None),
            ("a b", None),
            ("a/b", None),
            ("user@host", None),
        ] {
            assert_eq!(canonical_host(host).as_deref(), expected, "{host}");
        }
    }

    #[test]
    fn usual_ports_are_left_out() {
        for (authority, expected) in [
            ("API.Example.com.", Some("api.example.com")),
            ("API.Example.com.:080", Some("api.example.com")),
            ("a.example:443", Some("a.example")),
            ("a.example:8443", Some("a.example:8443")),
            ("[::1]:8443", Some("[::1]:8443")),
            ("[::1]", Some("[::1]")),
            ("a.example:", Some("a.example")),
            ("a.example:99999", None),
            ("user@a.example", None),
            ("a%2eb", None),
            ("a,b", None),
            ("a b", None),
            ("", None),
        ] {
            assert_eq!(host_name(authority).as_deref(), expected, "{authority}");
        }
    }
}
