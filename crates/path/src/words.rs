//! Templates written with the word of a kind in place of each variable: `/jobs/STRING:cancel`.

use crate::Kind;
use crate::escape::normalized;
use crate::segment::{Part, Segment, Variable};

impl Segment {
    /// Reads one segment with the words of kinds.
    pub fn of_words(text: &str) -> Self {
        segment(text, true)
    }

    /// The segment with the word of its kind in place of each variable.
    pub fn words(&self) -> String {
        written(self)
    }
}

/// Reads one segment. A word counts where it does not look like a piece of a longer word in capitals, and anywhere in
/// braces; `+` after the last word is a greedy end.
pub(crate) fn segment(text: &str, is_last: bool) -> Segment {
    if let Some(kind) = Kind::of_token(text) {
        return Segment::Variable(unnamed(kind));
    }
    if is_last && let Some(kind) = text.strip_suffix('+').and_then(Kind::of_token) {
        return Segment::Greedy(unnamed(kind));
    }
    if !text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Segment::Literal(normalized(text).into_owned());
    }
    let mut parts = Vec::new();
    let (mut literal, mut at) = (0, 0);
    while at < text.len() {
        let Some((kind, length)) = word_at(text, at) else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
            continue;
        };
        if literal < at {
            parts.push(Part::Literal(normalized(&text[literal..at]).into_owned()));
        }
        parts.push(Part::Variable(unnamed(kind)));
        at += length;
        literal = at;
    }
    if literal < text.len() {
        parts.push(Part::Literal(normalized(&text[literal..]).into_owned()));
    }
    Segment::of_parts(parts)
}

/// Writes one segment so that it reads back.
pub(crate) fn written(segment: &Segment) -> String {
    match segment {
        Segment::Literal(text) => {
            let is_plain = !text.bytes().any(|byte| byte.is_ascii_uppercase())
                || matches!(self::segment(text, true), Segment::Literal(_));
            if is_plain { text.clone() } else { hidden(text) }
        }
        Segment::Variable(variable) => variable.kind.token().to_owned(),
        Segment::Greedy(variable) => format!("{}+", variable.kind.token()),
        Segment::Mixed(parts) => {
            let write = |braces: bool| {
                let mut text = String::new();
                for part in parts {
                    match part {
                        Part::Literal(literal) if braces => text.push_str(&written(&Segment::Literal(literal.clone()))),
                        Part::Literal(literal) => text.push_str(literal),
                        Part::Variable(variable) if braces => text.push_str(&format!("{{{}}}", variable.kind.token())),
                        Part::Variable(variable) => text.push_str(variable.kind.token()),
                    }
                }
                text
            };
            let plain = write(false);
            if self::segment(&plain, true).has_shape_of(segment) { plain } else { write(true) }
        }
    }
}

/// A literal in which no word is read: the first letter of each is escaped.
fn hidden(text: &str) -> String {
    let mut hidden = String::with_capacity(text.len() + 2);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if Kind::ALL.iter().any(|kind| rest.starts_with(kind.token())) {
            hidden.push_str(&format!("%{:02X}", rest.as_bytes()[0]));
        } else {
            hidden.push(first);
        }
        rest = &rest[first.len_utf8()..];
    }
    hidden
}

/// The kind whose word begins at `at`, and the bytes that it takes.
fn word_at(text: &str, at: usize) -> Option<(Kind, usize)> {
    let rest = text.get(at..)?;
    if let Some(inner) = rest.strip_prefix('{') {
        let (word, _) = inner.split_once('}')?;
        return Some((Kind::of_token(word)?, word.len() + 2));
    }
    let kind = Kind::ALL.into_iter().find(|kind| rest.starts_with(kind.token()))?;
    let length = kind.token().len();
    let before = &text[..at];
    let after = &rest[length..];
    // A letter or digit that an underscore joins on is a neighbor too, unless it belongs to a word of its own.
    let left = match before.strip_suffix('_') {
        Some(left) if !Kind::ALL.iter().any(|kind| left.ends_with(kind.token())) => left,
        Some(_) => "",
        None => before,
    };
    let right = match after.strip_prefix('_') {
        Some(right) if !Kind::ALL.iter().any(|kind| right.starts_with(kind.token())) => right,
        Some(_) => "",
        None => after,
    };
    let is_capital = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit();
    (!left.ends_with(is_capital) && !right.starts_with(is_capital)).then_some((kind, length))
}

fn unnamed(kind: Kind) -> Variable {
    Variable { name: String::new(), kind }
}
