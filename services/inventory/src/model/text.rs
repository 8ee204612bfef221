//! Checks on texts that callers send.

use portolan_api::{Error, Reason};

/// A list has more than `limit` entries.
pub fn too_long(member: &str, limit: usize) -> Error {
    Error::new(Reason::ListTooLong).with("member", member).with("limit", limit)
}

/// A text is longer than `limit` characters.
pub fn text_too_long(member: &str, limit: usize) -> Error {
    Error::new(Reason::TextTooLong).with("member", member).with("limit", limit)
}

/// Longest description: a page of text, as documented beside the field.
const DESCRIPTION_CHARACTERS_MAX: usize = 10_000;

/// A description that was sent; the empty one is valid.
///
/// # Errors
/// `DESCRIPTION_REQUIRED`, `TEXT_TOO_LONG`, `TEXT_HAS_NUL`.
pub fn description(text: Option<String>) -> Result<String, Error> {
    let text = text.ok_or(Reason::DescriptionRequired)?;
    if text.chars().count() > DESCRIPTION_CHARACTERS_MAX {
        return Err(text_too_long("description", DESCRIPTION_CHARACTERS_MAX));
    }
    no_nul("description", &text)?;
    Ok(text)
}

/// # Errors
/// `TEXT_HAS_NUL`: no store keeps that character.
pub fn no_nul(member: &str, text: &str) -> Result<(), Error> {
    if text.contains('\0') {
        return Err(Error::new(Reason::TextHasNul).with("member", member));
    }
    Ok(())
}

/// A text from a record with what no store keeps replaced.
pub fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
