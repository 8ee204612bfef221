use std::borrow::Cow;

use crate::escape::normalized;
use crate::host::canonical_authority;
use crate::matrix::without_sessions;

/// A URL in its one spelling (RFC 3986, 6.2), taken apart.
///
/// User information is dropped: it is a credential and names no resource. `ws` and `wss` are `http` and `https` that are
/// told apart by a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalUrl<'a> {
    /// `http://host`, with a port that is not the scheme's own; empty for a URL without a host.
    pub origin: Cow<'a, str>,
    /// Its path, with normal percent-encoding and without dot segments.
    pub path: Cow<'a, str>,
    /// Without `?`.
    pub query: Option<&'a str>,
    /// Its scheme is `ws` or `wss`.
    pub is_websocket: bool,
    /// It had a user or a password, which are left out.
    pub had_credentials: bool,
}

impl<'a> CanonicalUrl<'a> {
    /// Reads an absolute URL of `http`, `https`, `ws` or `wss`, or a path. A host that can be none is kept in lower case,
    /// so that what it was stays visible.
    pub fn parse(url: &'a str) -> Self {
        let (rest, _) = url.split_once('#').unwrap_or((url, ""));
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let Some((scheme, is_websocket, after)) = scheme(rest) else {
            let path = canonical_path(rest);
            return Self { origin: Cow::Borrowed(""), path, query, is_websocket: false, had_credentials: false };
        };
        let (authority, path) = after.split_at(after.find(['/', '\\']).unwrap_or(after.len()));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let default_port = if scheme == "https" { "443" } else { "80" };
        let host_now = canonical_authority(host, &[default_port]).unwrap_or_else(|| host.to_lowercase());
        let written = &rest[..rest.len() - path.len()];
        let is_same = written.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://")) == Some(&host_now);
        let origin = if is_same { Cow::Borrowed(written) } else { Cow::Owned(format!("{scheme}://{host_now}")) };
        let path = if path.is_empty() { Cow::Borrowed("/") } else { canonical_path(path) };
        Self { origin, path, query, is_websocket, had_credentials: host.len() < authority.len() }
    }

    /// Origin and path.
    pub fn without_query(&self) -> String {
        [&*self.origin, &*self.path].concat()
    }
}

/// A URL without query and fragment in its one spelling.
pub fn canonical_url(url: &str) -> Cow<'_, str> {
    let canonical = CanonicalUrl::parse(url);
    let length = canonical.origin.len() + canonical.path.len();
    match (&canonical.origin, &canonical.path) {
        (Cow::Borrowed(origin), Cow::Borrowed(path))
            if url.get(..origin.len()) == Some(*origin) && url.get(origin.len()..length) == Some(*path) =>
        {
            Cow::Borrowed(&url[..length])
        }
        _ => Cow::Owned(canonical.without_query()),
    }
}

/// The URL without what is a credential in it wherever it stands: user information, the ids of sessions among matrix
/// parameters, and the fragment, which is sent to nobody.
pub fn without_credentials(url: &str) -> Cow<'_, str> {
    let url = url.split_once('#').map_or(url, |(before, _)| before);
    let scheme =
        url.find("://").filter(|at| url[..*at].bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+'));
    let start = scheme.map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '\\']).map_or(url.len(), |at| start + at);
    let query = url[end..].find('?').map_or(url.len(), |at| end + at);
    let user = url[start..end].rfind('@').filter(|_| scheme.is_some());
    let path = without_sessions(&url[end..query]);
    match (user, &path) {
        (None, Cow::Borrowed(_)) => Cow::Borrowed(url),
        (user, path) => {
            let host = user.map_or(start, |at| start + at + 1);
            Cow::Owned(format!("{}{}{path}{}", &url[..start], &url[host..end], &url[query..]))
        }
    }
}

/// A path in its one spelling: escapes normalized and dot segments resolved. Empty segments stay, since servers tell
/// them apart.
pub fn canonical_path(path: &str) -> Cow<'_, str> {
    let path = normalized(path);
    if !path.contains('.') || !path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return path;
    }
    let (is_absolute, inner) = path.strip_prefix('/').map_or((false, &*path), |inner| (true, inner));
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = inner.split('/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." => {}
            ".." => _ = kept.pop(),
            _ => kept.push(segment),
        }
        // A dot segment at the end names a folder.
        if segments.peek().is_none() && matches!(segment, "." | "..") {
            kept.push("");
        }
    }
    let joined = kept.join("/");
    Cow::Owned(if is_absolute { format!("/{joined}") } else { joined })
}

/// The scheme as it is kept, whether it is one of WebSocket, and what follows `://`.
fn scheme(url: &str) -> Option<(&'static str, bool, &str)> {
    [("https", "https", false), ("http", "http", false), ("wss", "https", true), ("ws", "http", true)]
        .into_iter()
        .find_map(|(written, kept, is_websocket)| {
            let found = url.get(..written.len())?;
            let rest = url[written.len()..].strip_prefix("://")?;
            found.eq_ignore_ascii_case(written).then_some((kept, is_websocket, rest))
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings_of_one_url_are_one() {
        for (url, expected) in [
            ("https://api.example.com/a", "https://api.example.com/a"),
            ("HTTPS://API.Example.com.:443/a?b#c", "https://api.example.com/a"),
            ("http://h:80", "http://h/"),
            ("http://h:443/", "http://h:443/"),
            ("https://user:pa@ss@h/x", "https://h/x"),
            ("wss://h/feed", "https://h/feed"),
            ("WS://h:80/feed", "http://h/feed"),
            ("https://h/a/./b/../c", "https://h/a/c"),
            ("https://h/%7eu/%e2%82%ac/%2f", "https://h/~u/%E2%82%AC/%2F"),
            ("https://h/€ x", "https://h/%E2%82%AC%20x"),
            ("https://h/a/%2e%2e/b", "https://h/b"),
            ("https://h/a/..", "https://h/"),
            ("https://h/../..", "https://h/"),
            ("https://h/100%", "https://h/100%25"),
            ("https://h//a//", "https://h//a//"),
            ("https://bücher.example/", "https://xn--bcher-kva.example/"),
            ("https://[::0001]:8443/x", "https://[::1]:8443/x"),
            ("/a/b?c", "/a/b"),
            ("a/b", "a/b"),
            ("", ""),
            ("ftp://h/a", "ftp://h/a"),
            ("http://", "http:///"),
        ] {
            assert_eq!(canonical_url(url), expected, "{url}");
        }
        assert_eq!(without_credentials("https://u:p@h/a@b?c=d@e"), "https://h/a@b?c=d@e");
        assert_eq!(without_credentials("/a@b?next=https://x@y"), "/a@b?next=https://x@y");
        assert_eq!(
            without_credentials("https://h/a;v=1;JSESSIONID=q.1/b;sid=z?c=;sid=1#t=2"),
            "https://h/a;v=1/b?c=;sid=1"
        );
        let canonical = CanonicalUrl::parse("wss://u:p@h/x?y=1#z");
        assert!(canonical.is_websocket && canonical.had_credentials);
        assert_eq!(canonical.query, Some("y=1"));
        assert!(matches!(canonical_url("https://h/a?b"), Cow::Borrowed("https://h/a")));
    }

    proptest! {
        #[test]
        fn canonicalization_is_idempotent(
            url in "(https?://|HTTPS://|wss?://)?([a-z]{0,3}:?[a-z]{0,2}@)?[A-Za-z0-9.\\-:\\[\\]]{0,12}(/|%|\\.|\\.\\.|%2e|%2F|%7E|[a-z]|é| |;|=|@|\\{|\\}|\\?|#){0,12}"
        ) {
            let once = canonical_url(&url).into_owned();
            prop_assert_eq!(canonical_url(&once), &*once);
        }

        #[test]
        fn any_text_is_read(url in any::<String>()) {
            let once = canonical_url(&url).into_owned();
            prop_assert_eq!(canonical_url(&once), &*once);
        }
    }
}
