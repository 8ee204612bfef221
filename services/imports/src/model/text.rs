//! Texts as both databases keep them.

/// A text as Postgres keeps it, which takes no NUL characters.
pub fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}") } else { text }
}
