/// Bytes of a key that are looked at.
const KEY_BYTES_MAX: usize = 64;

/// A key in lower case without separators, cut at [`KEY_BYTES_MAX`], on the stack.
pub(super) struct Compact {
    bytes: [u8; KEY_BYTES_MAX],
    len: usize,
}

impl Compact {
    pub fn new(key: &str) -> Self {
        let mut compact = Self { bytes: [0; KEY_BYTES_MAX], len: 0 };
        for byte in key.bytes().filter(|byte| !matches!(byte, b'_' | b'-' | b'.' | b' ')).take(KEY_BYTES_MAX) {
            compact.bytes[compact.len] = byte.to_ascii_lowercase();
            compact.len += 1;
        }
        compact
    }

    pub fn contains(&self, text: &str) -> bool {
        self.len >= text.len() && self.bytes[..self.len].windows(text.len()).any(|window| window == text.as_bytes())
    }

    pub fn is(&self, text: &str) -> bool {
        &self.bytes[..self.len] == text.as_bytes()
    }

    pub fn ends_with(&self, text: &str) -> bool {
        self.bytes[..self.len].ends_with(text.as_bytes())
    }

    /// Whether the key is the word, or the word with "number", "no" or "code" behind it.
    pub fn is_name(&self, word: &str) -> bool {
        let rest = self.bytes[..self.len].strip_prefix(word.as_bytes());
        rest.is_some_and(|rest| [&b""[..], b"number", b"no", b"nr", b"num", b"code", b"id"].contains(&rest))
    }
}

/// The ASCII letters of a text, of either case, as a bit each; a few other characters share a bit with a letter. A text
/// that contains another, in whatever case, has all of its bits, so most searches end before they begin.
pub const fn letters_of(text: &str) -> u32 {
    let bytes = text.as_bytes();
    let mut letters = 0;
    let mut at = 0;
    while at < bytes.len() {
        // Letters have bit 6 and, in the five bits below, their place in the alphabet.
        letters |= ((bytes[at] >> 6 & 1) as u32) << (bytes[at] & 31);
        at += 1;
    }
    letters
}

/// Whether one of the words of the key, split at separators and capitals, is the word.
pub(super) fn has_word(key: &str, word: &str) -> bool {
    words(key).any(|part| part.eq_ignore_ascii_case(word))
}

/// Whether the last of the key's words is the word.
pub(super) fn has_last_word(key: &str, word: &str) -> bool {
    words(key).last().is_some_and(|part| part.eq_ignore_ascii_case(word))
}

/// Words of things that are counted, tracked or measured. What stands under them is no personal data, whatever it looks
/// like.
const THINGS: &[&str] = &[
    "id",
    "ids",
    "ts",
    "time",
    "date",
    "cb",
    "cache",
    "rnd",
    "rand",
    "random",
    "ord",
    "nonce",
    "seq",
    "sequence",
    "hash",
    "size",
    "bytes",
    "offset",
    "version",
    "build",
    "visitor",
    "session",
    "order",
    "orders",
    "asset",
    "tag",
    "part",
    "parts",
    "sku",
    "awb",
    "tracking",
    "track",
    "serial",
    "product",
    "item",
    "article",
    "model",
    "batch",
    "lot",
    "trace",
    "span",
    "request",
    "correlation",
    "transaction",
    "txn",
    "ref",
    "reference",
    "ticket",
    "case",
    "revision",
    "checksum",
    "etag",
    "digest",
    "cursor",
    "page",
    "count",
    "total",
    "amount",
    "price",
    "quantity",
    "barcode",
    "ean",
    "upc",
    "gtin",
    "isbn",
    "issn",
    "shipment",
    "parcel",
    "container",
    "meter",
    "commit",
    "sha",
    "md5",
    "color",
    "epoch",
    "job",
    "waybill",
    "consignment",
];

/// Endings of names that are no words of their own where a name is written without separators.
const THING_ENDS: &[&str] = &["id", "time", "timestamp", "buster", "uuid", "hash", "version", "sequence"];

/// Whether digits under the key are an identifier, a time or a random number rather than a payment card. A key of one
/// or two characters says nothing, as the parameters of measuring pixels do.
pub(super) fn names_a_counter(key: &str) -> bool {
    const CARD: &[&str] = &["card", "credit", "debit", "payment", "account"];
    const ENDS: &[&str] = &["id", "time", "timestamp", "buster", "uuid"];
    let compact = Compact::new(key);
    if ENDS.iter().any(|end| compact.ends_with(end)) {
        return true;
    }
    let is_card = CARD.iter().any(|text| compact.contains(text)) || has_word(key, "cc") || has_word(key, "pan");
    !is_card && (compact.len <= 2 || THINGS.iter().any(|word| has_word(key, word)))
}

/// Whether the key speaks of a thing: an order, a part, a trace, a time.
pub(super) fn names_a_thing(key: &str) -> bool {
    let compact = Compact::new(key);
    THING_ENDS.iter().any(|end| compact.ends_with(end)) || THINGS.iter().any(|word| has_word(key, word))
}

/// Whether the key speaks of what the word means. A word of at most four letters has to be one of the key's words;
/// longer ones may be written as part of it.
pub(super) fn speaks_of(key: &str, word: &str) -> bool {
    compact_speaks_of(key, &Compact::new(key), word)
}

/// The same for a key whose compact form is at hand.
pub(super) fn compact_speaks_of(key: &str, compact: &Compact, word: &str) -> bool {
    if word.len() > 4 { compact.contains(word) } else { compact.is(word) || has_word(key, word) }
}

/// Whether the last word says that the value tells something about the data and is not the data: `birthRate`,
/// `passwordPolicy`, `tokenCount`.
pub(super) fn names_a_property(key: &str) -> bool {
    const LAST: &[&str] = &[
        "rate",
        "rates",
        "count",
        "counts",
        "type",
        "types",
        "hint",
        "hints",
        "policy",
        "policies",
        "length",
        "min",
        "max",
        "limit",
        "limits",
        "expires",
        "expiry",
        "expiration",
        "expired",
        "enabled",
        "required",
        "strength",
        "status",
        "updated",
        "changed",
        "at",
        "url",
        "uri",
        "link",
        "page",
        "used",
        "usage",
        "attempts",
        "rules",
        "allowed",
        "supported",
        "verified",
        "valid",
        "format",
        "index",
        "age",
        "days",
        "reset",
        "set",
        "title",
        "placeholder",
        "in",
        "color",
    ];
    const PLACES: [&str; 5] = ["pagetoken", "nexttoken", "continuationtoken", "synctoken", "cursortoken"];
    words(key).skip(1).last().is_some_and(|word| LAST.iter().any(|known| known.eq_ignore_ascii_case(word)))
        || PLACES.iter().any(|place| Compact::new(key).ends_with(place))
}

/// Whether the first word asks something of the data or allows it: `hasPassword`, `maxRetries`.
fn names_a_switch(key: &str) -> bool {
    const FIRST: &[&str] = &[
        "has", "is", "needs", "require", "requires", "forgot", "show", "hide", "use", "allow", "enable", "max", "min",
        "num",
    ];
    words(key).next().is_some_and(|word| FIRST.iter().any(|known| known.eq_ignore_ascii_case(word)))
}

/// Whether the key is that of a password, in the languages in which forms are written.
pub(super) fn names_a_password(key: &str) -> bool {
    const WORDS: &[&str] = &[
        "passwd",
        "pwd",
        "passphrase",
        "kennwort",
        "passwort",
        "contrasena",
        "contraseña",
        "clave",
        "motdepasse",
        "senha",
        "wachtwoord",
        "parola",
        "haslo",
        "hasło",
        "losenord",
        "lösenord",
        "salasana",
        "adgangskode",
        "sifre",
        "şifre",
        "heslo",
        "jelszo",
        "motpasse",
        "passwordhash",
    ];
    const WHOLE: &[&str] = &["пароль", "密码", "密碼", "パスワード", "비밀번호", "κωδικός", "סיסמה", "كلمةالمرور"];
    let compact = Compact::new(key);
    let is_whole = || {
        let folded = key.to_lowercase();
        WHOLE.iter().any(|word| folded.contains(word))
    };
    (compact.contains("password")
        || WORDS.iter().any(|word| speaks_of_password(key, &compact, word))
        || (!key.is_ascii() && is_whole()))
        && !names_a_property(key)
        && !names_a_switch(key)
}

fn speaks_of_password(key: &str, compact: &Compact, word: &str) -> bool {
    if word.len() > 6 {
        compact.contains(word)
    } else {
        compact.ends_with(word) && (compact.is(word) || has_word(key, word))
    }
}

/// Whether the key is that of a secret by which a program proves who it is.
pub(super) fn names_a_client_secret(key: &str) -> bool {
    const ENDS: &[&str] = &[
        "clientsecret",
        "appsecret",
        "applicationsecret",
        "consumersecret",
        "apisecret",
        "apisecretkey",
        "webhooksecret",
        "signingsecret",
        "sharedsecret",
        "secretkey",
        "secretaccesskey",
        "accesskeysecret",
        "oauthsecret",
        "hmacsecret",
        "jwtsecret",
        "privatekey",
        "encryptionkey",
        "signingkey",
        "totpsecret",
        "otpsecret",
        "awssecret",
        "secretaccess",
        "masterkey",
        "aeskey",
        "wpakey",
        "presharedkey",
        "psk",
    ];
    let compact = Compact::new(key);
    ENDS.iter().any(|end| compact.ends_with(end))
}

/// Whether the key is that of a key to an interface.
pub(super) fn names_an_api_key(key: &str) -> bool {
    const ENDS: &[&str] =
        &["apikey", "apitoken", "subscriptionkey", "accountkey", "storagekey", "authkey", "apiaccesskey"];
    let compact = Compact::new(key);
    ENDS.iter().any(|end| compact.ends_with(end))
}

/// Whether the key speaks of a telephone.
pub(super) fn names_a_phone(key: &str) -> bool {
    const WORDS: &[&str] = &[
        "phone",
        "mobile",
        "telephone",
        "telefon",
        "telefono",
        "telephon",
        "cellphone",
        "cell",
        "tel",
        "msisdn",
        "handy",
        "whatsapp",
        "landline",
        "fax",
    ];
    let compact = Compact::new(key);
    WORDS.iter().any(|word| compact_speaks_of(key, &compact, word))
        && !names_a_property(key)
        && !compact.ends_with("id")
}

/// Whether the key is that of a cookie or a token of a session.
pub(super) fn names_a_session(key: &str) -> bool {
    const ENDS: &[&str] = &[
        "sessionid",
        "sessid",
        "sessionkey",
        "sessiontoken",
        "jsessionid",
        "authsession",
        "loggedin",
        "sessioncookie",
        "accesstoken",
        "refreshtoken",
        "authtoken",
    ];
    let compact = Compact::new(key.trim_start_matches("cookie#"));
    ENDS.iter().any(|end| compact.ends_with(end))
        || ["session", "sid", "connectsid", "auth"].iter().any(|word| compact.is(word))
        || { compact.ends_with("session") && key.contains(['_', '-', '.']) }
        || compact.contains("aspnetcorecookies")
        || compact.contains("aspnetcoreidentity")
        || compact.contains("wordpressloggedin")
}

/// Whether four dotted numbers under the key are a version.
pub(super) fn names_a_version(key: &str) -> bool {
    const WORDS: &[&str] = &[
        "ver",
        "identifier",
        "build",
        "firmware",
        "release",
        "oid",
        "netmask",
        "mask",
        "path",
        "section",
        "chapter",
        "plugin",
        "driver",
        "revision",
    ];
    let compact = Compact::new(key);
    compact.contains("version") || compact.contains("netmask") || WORDS.iter().any(|word| has_word(key, word))
}

fn words(key: &str) -> impl Iterator<Item = &str> {
    key.split(['_', '-', '.', ' ']).flat_map(|part| {
        let mut rest = part;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let bytes = rest.as_bytes();
            let mut end = 1;
            while end < bytes.len() && (!bytes[end].is_ascii_uppercase() || bytes[end - 1].is_ascii_uppercase()) {
                end += 1;
            }
            // A capital is one byte, so the cut stands on a character.
            let (word, tail) = rest.split_at(end);
            rest = tail;
            Some(word)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_at_separators_and_capitals() {
        assert_eq!(words("card-pinCode_XYZ.日本A").collect::<Vec<_>>(), ["card", "pin", "Code", "XYZ", "日本", "A"]);
        assert!(has_word("visitorID", "id"));
        assert!(!has_word("shipping", "pin"));
    }

    #[test]
    fn short_and_counting_keys_are_told_from_cards() {
        for key in ["", "o", "cb", "cardId", "event_time", "orderTimestamp", "session"] {
            assert!(names_a_counter(key), "{key}");
        }
        for key in ["cc", "cardNumber", "number", "value", "account_no"] {
            assert!(!names_a_counter(key), "{key}");
        }
    }
}
