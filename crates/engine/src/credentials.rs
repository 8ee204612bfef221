//! Which headers and parameters carry a credential, by their names. Their values are never kept.

use std::cell::RefCell;

use crate::AuthType;
use crate::credential_names::{KEYS, SESSIONS, Tail, names_a_credential};
use crate::detect::is_random_key;
use crate::memory::Memory;

thread_local! {
    static NAMES: RefCell<Memory<bool>> = const { RefCell::new(Memory::new()) };
}

/// Whether a header or a parameter of a query is a credential. The name may be in any case.
pub fn is_credential(name: &str) -> bool {
    NAMES.with_borrow_mut(|memory| memory.get(1, name, || names_a_credential(name)))
}

/// Whether a parameter of a query is a credential: by its name, or by its value where the name is `key` alone, which
/// keys of maps are called and keys of records too.
pub fn is_credential_of_query(name: &str, value: &str) -> bool {
    is_credential(name) || is_key(name, value)
}

/// Whether a parameter of a query that is called `key` alone is one, by its value.
pub fn is_key(name: &str, value: &str) -> bool {
    name.eq_ignore_ascii_case("key") && is_random_key(value)
}

/// Whether a text is an address whose query or fragment holds a credential.
pub fn holds_credential(text: &str) -> bool {
    let Some(start) = memchr::memchr2(b'?', b'#', text.as_bytes()) else { return false };
    let pairs = &text[start + 1..];
    let pairs = pairs.split(['&', '?', '#']).take(PAIRS_MAX).filter_map(|pair| pair.split_once('='));
    pairs.filter(|(_, value)| !value.is_empty()).any(|(name, value)| is_credential_of_query(name, value))
}

/// Pairs of an address that are looked at.
const PAIRS_MAX: usize = 100;

/// How a call proves who makes it by a parameter of its query.
pub fn of_query(name: &str, value: &str) -> Option<AuthType> {
    let tail = Tail::of(name);
    let is = |parts: &[&str]| parts.iter().any(|part| tail.ends_with(part));
    if is(&KEYS) || is_key(name, value) {
        Some(AuthType::ApiKey)
    } else if is(&["accesstoken", "bearertoken"]) {
        Some(AuthType::Bearer)
    } else if is(&SESSIONS) {
        Some(AuthType::SessionToken)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential_names::TOKENS;

    #[test]
    fn no_part_is_longer_than_the_end_that_is_compared() {
        for part in [&KEYS[..], &TOKENS, &SESSIONS].into_iter().flatten() {
            assert!(part.len() <= Tail::BYTES_MAX && is_credential(&format!("a_{part}")), "{part}");
        }
    }

    #[test]
    fn names_tell_credentials() {
        for name in [
            "authorization",
            "Proxy-Authorization",
            "cookie",
            "set-cookie",
            "X-API-Key",
            "api_key",
            "apiKey",
            "x-auth-token",
            "X-Amz-Security-Token",
            "X-Amz-Signature",
            "x-session-token",
            "access_token",
            "clientSecret",
            "client_secret",
            "PHPSESSID",
            "password",
            "Ocp-Apim-Subscription-Key",
            "x-goog-api-key",
            "PRIVATE-TOKEN",
            "sig",
            "token",
        ] {
            assert!(is_credential(name), "{name}");
        }
        for name in [
            "page_token",
            "nextPageToken",
            "key",
            "monkey",
            "x-request-id",
            "author",
            "cookieConsent",
            "x",
            "sort_key",
            "é",
        ] {
            assert!(!is_credential(name), "{name}");
        }
        assert_eq!(of_query("api_key", "x"), Some(AuthType::ApiKey));
        assert_eq!(of_query("access_token", "x"), Some(AuthType::Bearer));
        assert_eq!(of_query("page", "x"), None);
        let random = "AIzaSyD4x9Qw7LmN2pR8tV1bC3fH6jK0gE5aBcD";
        assert_eq!(of_query("key", random), Some(AuthType::ApiKey));
        assert_eq!(of_query("key", "orders"), None);
        assert!(is_credential_of_query("Key", random) && !is_credential_of_query("sort", random));
        assert!(holds_credential("https://h/cb?a=1&access_token=x") && holds_credential("/cb#id_token=x"));
        assert!(!holds_credential("https://h/list?page_token=x") && !holds_credential("/a?token="));
        assert!(!is_credential_of_query("key", "summer-sale-2024-banner"));
    }
}
