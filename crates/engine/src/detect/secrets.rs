//! Secrets that a grammar alone does not tell.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{checks, keys};

/// Values that stand where a secret would and are none: masks, variables of templates, types, examples.
pub(super) fn is_placeholder(value: &str) -> bool {
    const WORDS: &[&str] = &[
        "string",
        "password",
        "secret",
        "changeme",
        "change_me",
        "change-me",
        "redacted",
        "masked",
        "hidden",
        "null",
        "none",
        "nil",
        "undefined",
        "true",
        "false",
        "yes",
        "no",
        "0",
        "1",
        "required",
        "optional",
        "example",
        "placeholder",
        "your_password",
        "your-password",
        "yourpassword",
        "your_secret",
        "your-secret",
        "todo",
        "n/a",
        "empty",
        "deleted",
        "invalid",
        "weak",
        "strong",
        "medium",
        "expired",
        "filtered",
        "removed",
        "secure",
        "text",
        "client_secret",
    ];
    let value = value.trim();
    let inner = value.trim_matches(['[', ']', '<', '>', '(', ')', '{', '}', '*', '"', '\'', '%', '$']);
    let Some(first) = inner.chars().next() else { return true };
    let is_braced = [("{{", "}}"), ("${", "}"), ("<", ">"), ("[", "]"), ("%", "%"), ("{", "}")]
        .iter()
        .any(|(front, back)| value.starts_with(front) && value.ends_with(back) && value.len() > front.len());
    is_braced
        || inner
            .chars()
            .all(|letter| letter == first && matches!(letter, '*' | 'x' | 'X' | '•' | '.' | '-' | '#' | '_'))
        || WORDS.iter().any(|word| word.eq_ignore_ascii_case(inner))
        || value.starts_with("your_")
        || value.starts_with("YOUR_")
}

/// Whether somebody chose or made the value, so that it is no placeholder, date or URL.
pub(super) fn is_chosen(value: &str) -> bool {
    !is_placeholder(value) && !checks::is_url(value) && !is_date(value) && value.len() >= 4
}

fn is_date(value: &str) -> bool {
    let bytes = value.as_bytes();
    bytes.len() >= 10
        && bytes[..10].iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
        && bytes.get(10).is_none_or(|byte| matches!(byte, b'T' | b' '))
}

/// Whether the value is long and mixed enough to be made by a machine.
pub(super) fn is_token(value: &str) -> bool {
    let has = |test: fn(&u8) -> bool| value.as_bytes().iter().any(&test);
    (16..=512).contains(&value.len())
        && is_chosen(value)
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~+/=:".contains(&byte))
}

/// Whether the value is one piece that a machine made, where nothing but the value tells: no path, date, UUID or name.
pub(super) fn is_random_key(value: &str) -> bool {
    let class = |byte: u8| match byte {
        b'0'..=b'9' => 0,
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        _ => 3,
    };
    let longest = value.split(['-', '_', '.', '~']).max_by_key(|part| part.len()).unwrap_or_default();
    let changes = longest.as_bytes().windows(2).filter(|pair| class(pair[0]) != class(pair[1])).count();
    is_token(value)
        && !checks::is_uuid(value)
        && !value.contains(['/', ':', '+', '='])
        && longest.len() >= 12
        && changes >= 4
}

/// `Basic` and the base64 of `user:password`.
pub(super) fn is_basic(value: &str) -> bool {
    let Some((scheme, code)) = value.split_once(' ') else { return false };
    if !scheme.eq_ignore_ascii_case("basic") {
        return false;
    }
    let decoded = STANDARD.decode(code.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.is_some_and(|text| text.contains(':') && text.len() > 1 && !text.chars().any(char::is_control))
}

/// A URL that names a user and a password, which is no placeholder.
pub(super) fn is_url_with_password(value: &str) -> bool {
    let Some((scheme, rest)) = value.split_once("://") else { return false };
    let is_scheme = !scheme.is_empty()
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte))
        && scheme.as_bytes()[0].is_ascii_alphabetic();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((user, host)) = authority.rsplit_once('@') else { return false };
    let Some((_, password)) = user.split_once(':') else { return false };
    is_scheme && !host.is_empty() && !value.contains(char::is_whitespace) && !is_placeholder(password)
}

/// A line of `Set-Cookie` that sets the cookie of a session.
pub(super) fn is_session_cookie(value: &str) -> bool {
    let Some((pair, attributes)) = value.split_once(';') else { return false };
    let Some((name, set)) = pair.split_once('=') else { return false };
    let is_cookie = attributes.split(';').any(|attribute| {
        let name = attribute.split('=').next().unwrap_or_default().trim();
        ["path", "domain", "httponly", "secure", "samesite", "max-age", "expires"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
    });
    is_cookie && set.len() >= 8 && !is_placeholder(set) && keys::names_a_session(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_no_secrets() {
        for text in
            ["", "****", "xxxxxxxx", "<password>", "${DB_PASSWORD}", "{{secret}}", "[REDACTED]", "string", "••••"]
        {
            assert!(is_placeholder(text), "{text}");
        }
        for text in ["Winter-2031", "hunter2", "pa$$word!", "xX9-x"] {
            assert!(!is_placeholder(text), "{text}");
        }
    }

    #[test]
    fn keys_are_told_from_names() {
        for text in ["AIzaSyD4x9Qw7LmN2pR8tV1bC3fH6jK0gE5aBcD", "8f14e45fceea167a5a36dedd4bea2543", "pk_9aB3xK7qLm2Zw4"]
        {
            assert!(is_random_key(text), "{text}");
        }
        for text in [
            "value",
            "orders",
            "summer-sale-2024-banner",
            "uploads/2024/8f14e45fceea167a.pdf",
            "2026-03-01T12:00:00Z",
            "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "PROJECTX-1234567890",
            "12345678901234567890",
        ] {
            assert!(!is_random_key(text), "{text}");
        }
    }

    #[test]
    fn credentials_are_read_where_they_stand() {
        assert!(is_basic("Basic dXNlcjpwYXNz") && is_basic("basic dTpw"));
        assert!(!is_basic("Basic plan") && !is_basic("Basic dXNlcg==") && !is_basic("Bearer dXNlcjpwYXNz"));
        assert!(is_url_with_password("https://kim:s3cret@git.shop.de/a.git"));
        assert!(is_url_with_password("ftp://kim:s3cret@files.shop.de"));
        for text in ["https://shop.de/a:b@c", "https://kim@shop.de", "https://u:***@shop.de", "see a://b:c@d e"] {
            assert!(!is_url_with_password(text), "{text}");
        }
        assert!(is_session_cookie("PHPSESSID=8f3d2c1ba0; path=/; HttpOnly"));
        assert!(!is_session_cookie("theme=dark-blue-1; path=/") && !is_session_cookie("PHPSESSID=deleted; path=/x"));
    }
}
