//! Which headers and parameters carry a credential, by their names. Their values are never kept.

use crate::AuthType;

/// What the names of keys end with, without separators.
const KEYS: [&str; 9] = [
    "apikey",
    "accesskey",
    "authkey",
    "secretkey",
    "subscriptionkey",
    "functionskey",
    "passkey",
    "privatekey",
    "appkey",
];

/// What the names of tokens end with.
const TOKENS: [&str; 14] = [
    "accesstoken",
    "authtoken",
    "authorizationtoken",
    "bearertoken",
    "idtoken",
    "refreshtoken",
    "securitytoken",
    "csrftoken",
    "xsrftoken",
    "privatetoken",
    "apitoken",
    "usertoken",
    "vaulttoken",
    "gitlabtoken",
];

/// What the names of sessions end with.
const SESSIONS: [&str; 5] = ["sessiontoken", "sessionid", "sessid", "sessionkey", "jsessionid"];

/// What the names of other secrets end with.
const SECRETS: [&str; 8] =
    ["secret", "password", "passwd", "authorization", "setcookie", "passphrase", "credential", "credentials"];

/// Names that are credentials as a whole.
const WHOLE: [&str; 6] = ["cookie", "token", "auth", "sig", "signature", "pwd"];

/// Whether a header or a parameter of a query is a credential. The name may be in any case.
pub fn is_credential(name: &str) -> bool {
    let name = name.trim_start_matches(['x', 'X']).trim_start_matches(['-', '_']);
    [&KEYS[..], &TOKENS, &SESSIONS, &SECRETS].into_iter().flatten().any(|part| ends_with(name, part))
        || WHOLE.iter().any(|whole| name.eq_ignore_ascii_case(whole))
}

/// How a call proves who makes it by a parameter of its query.
pub fn of_query(name: &str) -> Option<AuthType> {
    let is = |parts: &[&str]| parts.iter().any(|part| ends_with(name, part));
    if is(&KEYS) {
        Some(AuthType::ApiKey)
    } else if is(&["accesstoken", "bearertoken"]) {
        Some(AuthType::Bearer)
    } else if is(&SESSIONS) {
        Some(AuthType::SessionToken)
    } else {
        None
    }
}

/// Whether a name ends with a part, without regard to case and separators, where a word of the name may begin.
fn ends_with(name: &str, part: &str) -> bool {
    let mut bytes =
        name.bytes().rev().filter(|byte| !matches!(byte, b'-' | b'_' | b'.')).map(|byte| byte.to_ascii_lowercase());
    part.bytes().rev().all(|expected| bytes.next() == Some(expected))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(of_query("api_key"), Some(AuthType::ApiKey));
        assert_eq!(of_query("access_token"), Some(AuthType::Bearer));
        assert_eq!(of_query("page"), None);
    }
}
