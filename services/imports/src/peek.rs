//! Names for collections, found in the first bytes of a file. A name that is not found is no error: others follow.

/// Longer names are no names.
const NAME_BYTES_MAX: usize = 1_000;

/// The host of a capture's first request, with its port.
pub fn har_host(prefix: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(prefix);
    let (_, requests) = text.split_once("\"request\"")?;
    let url = json_member(requests, "\"url\"")?;
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

/// The first host of an Imperva schema.
pub fn imperva_host(prefix: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(prefix);
    let host = ["\"hostName\"", "\"hostname\""].into_iter().find_map(|name| json_member(&text, name))?;
    Some(host.trim().to_lowercase()).filter(|host| !host.is_empty())
}

/// A file's name without its directory and its last extensions.
pub fn stem(file_name: &str) -> Option<String> {
    let name = file_name.rsplit(['/', '\\']).next()?;
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem).trim();
    (!stem.is_empty() && stem.len() <= NAME_BYTES_MAX).then(|| stem.to_owned())
}

/// The text of the first member with this quoted name.
fn json_member(text: &str, quoted: &str) -> Option<String> {
    let (_, rest) = text.split_once(quoted)?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<String>();
    values.next()?.ok().filter(|value| value.len() <= NAME_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_request_names_a_capture() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(har_host(text.as_bytes()).as_deref(), expected);
        check(
            r#"{"log":{"entries":[{"request":{"method":"GET","url":"https://u@API.example.com:8443/a"}}"#,
            Some("api.example.com:8443"),
        );
        check(r#"{"log":{"pages":[{"url":"https://other"}],"entries":[{"request" : {"url" : "http://a?b"#, None);
        check(r#"{"log":{"entries":[{"request":{"url":"/relative"}}]}}"#, None);
        check(r#"{"log":{"entries":[]}}"#, None);
    }

    #[test]
    fn schemas_are_named() {
        assert_eq!(imperva_host(br#"{"data":{"hostName":"API.example.com"}}"#).as_deref(), Some("api.example.com"));
        assert_eq!(imperva_host(br#"{"services":[]}"#), None);
    }

    #[test]
    fn files_are_named_without_extensions() {
        assert_eq!(stem("dir/shop.har.gz").as_deref(), Some("shop"));
        assert_eq!(stem("shop").as_deref(), Some("shop"));
        assert_eq!(stem(".har"), None);
    }
}
