/// What a variable stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is the kind of segment of its name")]
pub enum Kind {
    Integer,
    Float,
    ObjectId,
    String,
    Versioned,
}

impl Kind {
    /// All kinds, a narrow one before a wide one.
    pub const ALL: [Self; 5] = [Self::Integer, Self::Float, Self::ObjectId, Self::String, Self::Versioned];

    /// The word that stands for the kind in a template.
    pub fn token(self) -> &'static str {
        match self {
            Self::Integer => "INTEGER",
            Self::Float => "FLOAT",
            Self::ObjectId => "OBJECT_ID",
            Self::String => "STRING",
            Self::Versioned => "VERSIONED",
        }
    }

    /// The kind that a word stands for; nothing for a literal.
    pub fn of_token(token: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.token() == token)
    }

    /// Whether a text may stand under the kind.
    pub fn accepts(self, text: &str) -> bool {
        match self {
            Self::String | Self::Versioned => true,
            Self::Integer => Self::of_number(text) == Some(Self::Integer) || is_long_integer(text),
            Self::Float => Self::of_number(text) == Some(Self::Float) && text.contains('.'),
            Self::ObjectId => is_object_id(text),
        }
    }

    /// The kind of a text that is a number: an integer of 64 bits, or a number beyond or between those.
    pub fn of_number(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        if is_digits(digits) {
            return Some(if text.parse::<i64>().is_ok() { Self::Integer } else { Self::Float });
        }
        let (whole, fraction) = digits.split_once('.')?;
        (is_digits(whole) && is_digits(fraction)).then_some(Self::Float)
    }
}

/// 24 hexadecimal digits, as MongoDB makes them.
pub(crate) fn is_object_id(text: &str) -> bool {
    text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Digits beyond 64 bits, which a template of integers takes in though alone they would be a float.
fn is_long_integer(text: &str) -> bool {
    is_digits(text.strip_prefix('+').unwrap_or(text))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_accept_what_they_stand_for() {
        assert!(Kind::Integer.accepts("+7") && Kind::Integer.accepts("99999999999999999999"));
        assert!(!Kind::Integer.accepts("7.5") && !Kind::Integer.accepts("x"));
        assert!(Kind::Float.accepts("7.5") && !Kind::Float.accepts("7"));
        assert!(Kind::String.accepts("x"));
        assert_eq!(Kind::of_token("STRINGS"), None);
    }
}
