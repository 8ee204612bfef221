use std::sync::LazyLock;

use fst::Set;

/// Parts of a token that are looked at; a token of more parts is no word.
const PARTS_MAX: usize = 16;

/// The longest entry of the list has 28 bytes.
const WORD_BYTES_MAX: usize = 32;

static WORDS: LazyLock<Set<&[u8]>> = LazyLock::new(|| {
    Set::new(include_bytes!("../../data/words.fst").as_slice()).expect("the dictionary is part of the program")
});

/// Whether a path token reads as English: the whole token is a word, or all of its parts are, split at `-`, `_`, `.`
/// and at capitals. Case does not matter. The empty token is no word.
pub fn is_word(token: &str) -> bool {
    if is_entry(token) {
        return true;
    }
    let mut count = 0;
    for part in token.split(['-', '_', '.']).filter(|part| !part.is_empty()) {
        count += 1;
        // A token without parts is known to be no entry.
        let is_part = part.len() < token.len();
        if count > PARTS_MAX || !((is_part && is_entry(part)) || is_camel_case(part)) {
            return false;
        }
    }
    count > 0
}

/// Whether a token stays literal in a template: a word, or a version such as `v2`.
pub fn stays_literal(token: &str) -> bool {
    is_version(token) || is_word(token)
}

fn is_version(token: &str) -> bool {
    let digits = token.strip_prefix(['v', 'V']).unwrap_or_default();
    (1..=2).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a part that is no entry itself is divided by its capitals into entries.
fn is_camel_case(part: &str) -> bool {
    let bytes = part.as_bytes();
    let mut start = 0;
    for end in 1..=bytes.len() {
        let is_border = end == bytes.len() || (bytes[end].is_ascii_uppercase() && !bytes[end - 1].is_ascii_uppercase());
        if is_border {
            if (start, end) == (0, bytes.len()) || !is_entry_bytes(&bytes[start..end]) {
                return false;
            }
            start = end;
        }
    }
    start > 0
}

fn is_entry(text: &str) -> bool {
    is_entry_bytes(text.as_bytes())
}

fn is_entry_bytes(text: &[u8]) -> bool {
    let mut lower = [0; WORD_BYTES_MAX];
    let Some(lower) = lower.get_mut(..text.len()) else { return false };
    lower.copy_from_slice(text);
    lower.make_ascii_lowercase();
    !text.is_empty() && WORDS.contains(&*lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_their_compounds_are_english() {
        for token in [
            "demo",
            "well-known",
            ".well-known",
            "smallDog_Cute",
            "cat",
            "tree",
            "users",
            "API",
            "login",
            "oauth",
            "repos",
            "admin",
            "config",
            "webhooks",
            "getUserId",
            "Books",
            "search.json",
        ] {
            assert!(is_word(token), "{token}");
        }
    }

    #[test]
    fn identifiers_are_not() {
        for token in ["", "-", "iz", "OSHE2CNS", "2HOIWNJK", "A0", "alice", "12", "v1", "Ünïcode", &"a".repeat(400)] {
            assert!(!is_word(token), "{token}");
        }
        assert!(stays_literal("v1"));
        assert!(!stays_literal("v123"));
        assert!(!stays_literal("v"));
    }
}
