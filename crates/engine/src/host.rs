use crate::headers::Headers;

/// The host of a request whose host header holds characters that no host has.
pub const SPECIAL_CHAR_HOST: &str = "Special_Char_Host";

/// A host name has at most 253 bytes; with the port there is no need for more.
const HOST_BYTES_MAX: usize = 260;

/// The host that a request names, in lower case and with its port: the header `host`, else `authority`, else
/// `:authority`.
pub fn host_of(headers: &Headers<'_>) -> Option<String> {
    let named = ["host", "authority", ":authority"].into_iter().filter_map(|name| headers.get(name));
    let host = named.map(str::trim).find(|host| !host.is_empty())?;
    let is_special = |byte: u8| {
        byte.is_ascii_control()
            || matches!(byte, b'<' | b'>' | b'%' | b'/' | b'?' | b'#' | b'[' | b']' | b'@' | b'!' | b'$' | b'&' | b'\'')
            || matches!(byte, b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
    };
    if host.len() > HOST_BYTES_MAX || host.bytes().any(is_special) {
        return Some(SPECIAL_CHAR_HOST.to_string());
    }
    Some(host.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_named_host_counts() {
        let host = |json: &str| host_of(&Headers::parse(json));
        assert_eq!(host(r#"{"Host":" API.Example.com:8080 "}"#).unwrap(), "api.example.com:8080");
        assert_eq!(host(r#"{":authority":"b.net","authority":"a.net"}"#).unwrap(), "a.net");
        assert_eq!(host(r#"{"host":"","authority":"a.net"}"#).unwrap(), "a.net");
        assert_eq!(host(r#"{"host":"a<script>"}"#).unwrap(), SPECIAL_CHAR_HOST);
        assert_eq!(host(r#"{"accept":"*/*"}"#), None);
    }
}
