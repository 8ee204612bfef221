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

    fn ends_with(&self, text: &str) -> bool {
        self.bytes[..self.len].ends_with(text.as_bytes())
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

/// Whether digits under the key are an identifier, a time or a random number rather than a payment card. A key of one
/// or two characters says nothing, as the parameters of measuring pixels do.
pub(super) fn names_a_counter(key: &str) -> bool {
    const CARD: [&str; 5] = ["card", "credit", "debit", "payment", "account"];
    const COUNTER_WORDS: [&str; 22] = [
        "id", "ids", "ts", "time", "date", "cb", "cache", "rnd", "rand", "random", "ord", "nonce", "seq", "sequence",
        "hash", "size", "bytes", "offset", "version", "build", "visitor", "session",
    ];
    const COUNTER_ENDS: [&str; 5] = ["id", "time", "timestamp", "buster", "uuid"];
    let compact = Compact::new(key);
    let is_card = CARD.iter().any(|text| compact.contains(text)) || has_word(key, "cc") || has_word(key, "pan");
    if COUNTER_ENDS.iter().any(|end| compact.ends_with(end)) {
        return true;
    }
    !is_card && (compact.len <= 2 || COUNTER_WORDS.iter().any(|word| has_word(key, word)))
}

/// Whether four dotted numbers under the key are a version.
pub(super) fn names_a_version(key: &str) -> bool {
    const WORDS: [&str; 10] =
        ["ver", "build", "firmware", "release", "oid", "netmask", "mask", "plugin", "driver", "revision"];
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
