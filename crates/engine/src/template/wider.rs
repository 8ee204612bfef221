//! Tokens that stand for more than others: one parameter has one kind, whatever the values that were seen first.

use std::borrow::Cow;

use portolan_path::{Part, Segment};

use super::look::verb_of;
use super::segment::Variable;

/// What a token becomes that gives way to a variable; its verb stays.
pub(super) fn folded(token: &str) -> Cow<'static, str> {
    match verb_of(token) {
        "" => Cow::Borrowed(Variable::String.token()),
        verb => Cow::Owned(format!("{}{verb}", Variable::String.token())),
    }
}

/// Whether a token has a text where the other, which is not the same, has a narrower kind.
pub(super) fn is_wider(wide: &str, narrow: &str) -> bool {
    let widens = |wide: Variable, narrow: Variable| wide == narrow || wide == Variable::String;
    match (Segment::of_words(wide), Segment::of_words(narrow)) {
        (Segment::Variable(wide), Segment::Variable(narrow)) => widens(wide.kind, narrow.kind),
        (Segment::Mixed(wide), Segment::Mixed(narrow)) => {
            wide.len() == narrow.len()
                && wide.iter().zip(&narrow).all(|pair| match pair {
                    (Part::Literal(wide), Part::Literal(narrow)) => wide == narrow,
                    (Part::Variable(wide), Part::Variable(narrow)) => widens(wide.kind, narrow.kind),
                    _ => false,
                })
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_wider_than_every_other_kind() {
        for (wide, narrow, expected) in [
            ("STRING", "INTEGER", true),
            ("STRING:cancel", "INTEGER:cancel", true),
            ("STRING.csv", "OBJECT_ID.csv", true),
            ("STRING:cancel", "INTEGER:retry", false),
            ("INTEGER", "STRING", false),
            ("FLOAT", "INTEGER", false),
            ("STRING", "users", false),
            ("STRING:cancel", "nightly:cancel", false),
        ] {
            assert_eq!(is_wider(wide, narrow), expected, "{wide} {narrow}");
        }
        assert_eq!(folded("falcon"), "STRING");
        assert_eq!(folded("falcon:run"), "STRING:run");
    }
}
