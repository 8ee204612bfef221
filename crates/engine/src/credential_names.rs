//! Names of credentials, by how they end.

/// What the names of keys end with, without separators.
pub const KEYS: [&str; 9] = [
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
pub const TOKENS: [&str; 14] = [
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
pub const SESSIONS: [&str; 5] = ["sessiontoken", "sessionid", "sessid", "sessionkey", "jsessionid"];

/// Names that are credentials as a whole.
const WHOLE: [&str; 5] = ["cookie", "token", "auth", "sig", "pwd"];

/// Whether a header or a parameter of a query is a credential. The name may be in any case.
pub fn names_a_credential(name: &str) -> bool {
    let name = name.trim_start_matches(['x', 'X']).trim_start_matches(['-', '_']);
    has_credential_at_end(name) || WHOLE.iter().any(|whole| name.eq_ignore_ascii_case(whole))
}

/// Whether a name ends with what the names of keys, tokens, sessions or other secrets end with. The last letter leaves
/// few of them.
fn has_credential_at_end(name: &str) -> bool {
    let Some(last) = name.bytes().rev().find(|byte| !is_separator(*byte)) else { return false };
    let others: &[&str] = match last.to_ascii_lowercase() {
        b'y' => &["sessionkey"],
        b'n' => &["sessiontoken", "authorization"],
        b'd' => &["sessionid", "sessid", "password", "passwd"],
        b't' => &["secret"],
        b'e' => &["setcookie", "passphrase", "signature"],
        b'l' => &["credential"],
        b's' => &["credentials"],
        _ => return false,
    };
    let tail = Tail::of(name);
    let is_any = |parts: &[&str]| parts.iter().any(|part| tail.ends_with(part));
    match last.to_ascii_lowercase() {
        b'y' => is_any(&KEYS) || is_any(others),
        b'n' => is_any(&TOKENS) || is_any(others),
        _ => is_any(others),
    }
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'-' | b'_' | b'.')
}

/// The end of a name in lower case and without separators, where a word of the name may begin.
pub struct Tail {
    bytes: [u8; Self::BYTES_MAX],
    start: usize,
}

impl Tail {
    /// No part is longer.
    pub const BYTES_MAX: usize = 24;

    pub fn of(name: &str) -> Self {
        let mut tail = Self { bytes: [0; Self::BYTES_MAX], start: Self::BYTES_MAX };
        for byte in name.bytes().rev().filter(|byte| !is_separator(*byte)).take(Self::BYTES_MAX) {
            tail.start -= 1;
            tail.bytes[tail.start] = byte.to_ascii_lowercase();
        }
        tail
    }

    pub fn ends_with(&self, part: &str) -> bool {
        self.bytes[self.start..].ends_with(part.as_bytes())
    }
}
