use std::net::{IpAddr, Ipv6Addr};

/// Reads one address as a proxy, a log or a record writes it: alone, in brackets, with a port, with a zone, in quotes.
/// `None` for `unknown`, for the obfuscated identifiers of RFC 7239, and for everything else that names no address.
pub fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let found = match text.strip_prefix('[') {
        Some(rest) => {
            let (inside, after) = rest.split_once(']')?;
            let has_port = after.strip_prefix(':').is_some_and(is_port);
            (after.is_empty() || has_port).then(|| v6(inside))?.map(IpAddr::V6)
        }
        None => v6(text).map(IpAddr::V6).or_else(|| text.parse().ok()).or_else(|| {
            let (host, port) = text.rsplit_once(':')?;
            is_port(port).then(|| host.parse().ok().filter(IpAddr::is_ipv4))?
        }),
    };
    found.map(|address| address.to_canonical())
}

/// An IPv6 address, with or without its zone.
fn v6(text: &str) -> Option<Ipv6Addr> {
    let (address, zone) = text.split_once('%').map_or((text, None), |(address, zone)| (address, Some(zone)));
    if zone.is_some_and(|zone| zone.is_empty() || !zone.bytes().all(|byte| byte.is_ascii_graphic())) {
        return None;
    }
    address.parse().ok()
}

/// A port, or the obfuscated one of RFC 7239.
fn is_port(text: &str) -> bool {
    let obfuscated = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    };
    match text.strip_prefix('_') {
        Some(name) => obfuscated(name),
        None => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every spelling of an address by every decoration that may stand around it.
    #[test]
    fn every_form_is_the_same_address() {
        let spelled = [
            ("192.0.2.7", ["192.0.2.7", "::ffff:192.0.2.7", "::ffff:c000:207", "0:0:0:0:0:FFFF:192.0.2.7"]),
            ("2001:db8::5", ["2001:db8::5", "2001:0DB8:0:0:0:0:0:5", "2001:db8:0:0::5", "2001:db8::0005"]),
            ("fe80::1", ["fe80::1", "fe80::1%eth0", "fe80::1%25en1", "FE80::1%2"]),
        ];
        for (expected, spellings) in spelled {
            for spelling in spellings {
                let mut forms = vec![spelling.to_owned(), format!(" {spelling}\t"), format!("\"{spelling}\"")];
                if spelling.contains(':') {
                    forms.extend(["", ":80", ":65535", ":_hidden.1"].map(|port| format!("[{spelling}]{port}")));
                    forms.push(format!("\"[{spelling}]:443\""));
                } else {
                    forms.extend([":80", ":0", ":_p"].map(|port| format!("{spelling}{port}")));
                }
                for form in forms {
                    assert_eq!(address(&form).map(|found| found.to_string()).as_deref(), Some(expected), "{form}");
                }
            }
        }
    }

    #[test]
    fn what_names_no_address_is_none() {
        for text in [
            "",
            " ",
            "unknown",
            "\"unknown\"",
            "_hidden",
            "_SEVKISEK",
            "null",
            "example.com",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.4:",
            "1.2.3.4:65536",
            "1.2.3.4:+1",
            "1.2.3.4:x",
            "[1.2.3.4",
            "[1.2.3.4]",
            "[::1",
            "::1]",
            "[::1]80",
            "[::1]:",
            "[::1]:x",
            "::1%",
            "fe80::1% ",
            "256.1.1.1",
            "1.2.3.4/32",
            "1.2.3.4, 5.6.7.8",
            "0x7f000001",
        ] {
            assert_eq!(address(text), None, "{text:?}");
        }
    }
}
