use std::cmp::Reverse;

use crate::canonical::canonical_path;
use crate::{Kind, words};

/// The path of an operation: literals and variables, with the names that its owner gave them.
///
/// Two templates have one shape when they match the same paths: names do not count, kinds do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub segments: Vec<Segment>,
    pub ends_with_slash: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    Literal(String),
    Variable(Variable),
    /// At least one literal and one variable, and no two variables side by side.
    Mixed(Vec<Part>),
    /// Everything that follows, at least one segment.
    Greedy(Variable),
}

/// A part of a mixed segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Literal(String),
    Variable(Variable),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Empty where nobody gave one.
    pub name: String,
    pub kind: Kind,
}

/// The place of a segment among others that match the same text: the smaller, the better.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    Literal,
    Mixed(Reverse<usize>, String),
    Variable(Kind),
    Greedy(Kind),
}

impl Template {
    /// Reads a path with names in braces: `/jobs/{id}:cancel`, `/{proxy+}`, `/v1/{name=projects/*}/jobs`, `{path=**}`,
    /// `{file:.*}`. `kind_of` answers the kind of a name. Braces that do not match are text.
    pub fn parse(path: &str, kind_of: &dyn Fn(&str) -> Kind) -> Self {
        let texts = segment_texts(path);
        let ends_with_slash = texts.len() > 1 && texts.last().is_some_and(String::is_empty);
        let count = texts.len() - usize::from(ends_with_slash);
        let mut segments = Vec::with_capacity(count);
        for (index, text) in texts[..count].iter().enumerate() {
            if count > 1 || ends_with_slash || !text.is_empty() {
                segments.push(Segment::parse(text, index + 1 == count, kind_of));
            }
        }
        Self { segments, ends_with_slash }
    }

    /// Reads a path with the words of kinds, as [`Template::words`] writes it.
    pub fn of_words(path: &str) -> Self {
        let inner = path.strip_prefix('/').unwrap_or(path);
        let (inner, ends_with_slash) = match inner.strip_suffix('/') {
            Some(inner) => (inner, true),
            None => (inner, false),
        };
        if inner.is_empty() && !ends_with_slash {
            return Self { segments: Vec::new(), ends_with_slash };
        }
        let count = inner.split('/').count();
        let segments = inner.split('/').enumerate().map(|(index, text)| words::segment(text, index + 1 == count));
        Self { segments: segments.collect(), ends_with_slash }
    }

    /// The path with the word of its kind in place of each variable.
    pub fn words(&self) -> String {
        self.written(words::written)
    }

    /// The path with names in braces, as OpenAPI writes it. Variables without a name are numbered.
    pub fn names(&self) -> String {
        let mut unnamed = 0;
        let mut named = |variable: &Variable, suffix: &str| {
            if variable.name.is_empty() {
                unnamed += 1;
                format!("{{param{unnamed}{suffix}}}")
            } else {
                format!("{{{}{suffix}}}", variable.name)
            }
        };
        self.written(|segment| match segment {
            Segment::Literal(text) => text.clone(),
            Segment::Variable(variable) => named(variable, ""),
            Segment::Greedy(variable) => named(variable, "+"),
            Segment::Mixed(parts) => parts
                .iter()
                .map(|part| match part {
                    Part::Literal(text) => text.clone(),
                    Part::Variable(variable) => named(variable, ""),
                })
                .collect(),
        })
    }

    /// The variables in their order.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.segments.iter().flat_map(Segment::variables)
    }

    /// Whether both match the same paths.
    pub fn has_shape_of(&self, other: &Self) -> bool {
        self.ends_with_slash == other.ends_with_slash
            && self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(|(left, right)| left.has_shape_of(right))
    }

    /// Whether a path of these decoded segments is one of this template. A slash at the end does not count.
    pub fn matches<S: AsRef<str>>(&self, path: &[S]) -> bool {
        let is_greedy = matches!(self.segments.last(), Some(Segment::Greedy(_)));
        (self.segments.len() == path.len() || (is_greedy && path.len() > self.segments.len()))
            && self.segments.iter().zip(path).all(|(segment, text)| segment.matches(text.as_ref()))
    }

    /// The order of templates that match one path: the smallest counts.
    pub fn precedence(&self, ends_with_slash: bool) -> impl Ord + use<> {
        let ranks: Vec<Rank> = self.segments.iter().map(Segment::rank).collect();
        (ranks, self.ends_with_slash != ends_with_slash)
    }

    fn written(&self, mut write: impl FnMut(&Segment) -> String) -> String {
        let mut text = String::new();
        for segment in &self.segments {
            text.push('/');
            text.push_str(&write(segment));
        }
        if self.ends_with_slash || text.is_empty() {
            text.push('/');
        }
        text
    }
}

impl Segment {
    /// Reads one segment with names in braces.
    pub fn parse(text: &str, is_last: bool, kind_of: &dyn Fn(&str) -> Kind) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        let mut literal = String::new();
        while let Some((before, inner, after)) = braced(rest) {
            literal.push_str(before);
            rest = after;
            let Some((name, is_greedy, kind)) = variable_of(inner, kind_of) else {
                continue;
            };
            let variable = Variable { name: name.to_owned(), kind };
            if is_greedy && is_last && literal.is_empty() && parts.is_empty() && rest.is_empty() {
                return Self::Greedy(variable);
            }
            if !literal.is_empty() {
                parts.push(Part::Literal(canonical_literal(&literal)));
                literal.clear();
            }
            parts.push(Part::Variable(variable));
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(canonical_literal(&literal)));
        }
        Self::of_parts(parts)
    }

    /// Variables that touch become one, under the names of both: nothing tells where the first ends.
    pub(crate) fn of_parts(parts: Vec<Part>) -> Self {
        let mut joined: Vec<Part> = Vec::with_capacity(parts.len());
        for part in parts {
            match (joined.last_mut(), part) {
                (Some(Part::Literal(last)), Part::Literal(text)) => last.push_str(&text),
                (Some(Part::Variable(last)), Part::Variable(variable)) => {
                    if !variable.name.is_empty() {
                        last.name = [&*last.name, &*variable.name].join(if last.name.is_empty() { "" } else { "," });
                    }
                    last.kind = Kind::String;
                }
                (_, part) => joined.push(part),
            }
        }
        match (joined.len(), joined.pop()) {
            (_, None) => Self::Literal(String::new()),
            (1, Some(Part::Literal(text))) => Self::Literal(text),
            (1, Some(Part::Variable(variable))) => Self::Variable(variable),
            (_, Some(last)) => {
                joined.push(last);
                Self::Mixed(joined)
            }
        }
    }

    /// Reads one segment with the words of kinds.
    pub fn of_words(text: &str) -> Self {
        words::segment(text, true)
    }

    /// The segment with the word of its kind in place of each variable.
    pub fn words(&self) -> String {
        words::written(self)
    }

    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        let (one, parts): (_, &[Part]) = match self {
            Self::Literal(_) => (None, &[]),
            Self::Variable(variable) | Self::Greedy(variable) => (Some(variable), &[]),
            Self::Mixed(parts) => (None, parts),
        };
        one.into_iter().chain(parts.iter().filter_map(|part| match part {
            Part::Variable(variable) => Some(variable),
            Part::Literal(_) => None,
        }))
    }

    pub fn is_literal(&self) -> bool {
        matches!(self, Self::Literal(_))
    }

    pub fn has_shape_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(left), Self::Literal(right)) => left == right,
            (Self::Variable(left), Self::Variable(right)) | (Self::Greedy(left), Self::Greedy(right)) => {
                left.kind == right.kind
            }
            (Self::Mixed(left), Self::Mixed(right)) => {
                left.len() == right.len()
                    && left.iter().zip(right).all(|pair| match pair {
                        (Part::Literal(left), Part::Literal(right)) => left == right,
                        (Part::Variable(left), Part::Variable(right)) => left.kind == right.kind,
                        _ => false,
                    })
            }
            _ => false,
        }
    }

    /// Whether a decoded text is one of this segment.
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Literal(literal) => crate::decoded(literal) == text,
            Self::Variable(variable) | Self::Greedy(variable) => variable.kind.accepts(text),
            Self::Mixed(parts) => {
                let parts: Vec<_> = parts.iter().map(decoded_part).collect();
                matches_parts(&parts, text, &mut STEPS_MAX.clone())
            }
        }
    }

    /// What stands for each variable in a decoded text of this segment.
    pub fn captured<'t>(&self, text: &'t str) -> Option<Vec<&'t str>> {
        match self {
            Self::Literal(_) => self.matches(text).then(Vec::new),
            Self::Variable(_) | Self::Greedy(_) => self.matches(text).then(|| vec![text]),
            Self::Mixed(parts) => {
                let parts: Vec<_> = parts.iter().map(decoded_part).collect();
                let mut found = Vec::new();
                capture(&parts, text, &mut STEPS_MAX.clone(), &mut found).then_some(found)
            }
        }
    }

    /// A text in which every variable is replaced by a text of its kind that no literal has.
    pub fn sample(&self) -> String {
        let of_kind = |kind: Kind| match kind {
            Kind::Integer => "+000000000000000000",
            Kind::Float => "+000000000.000000000",
            Kind::ObjectId => "aaaaaaaaaaaaaaaaaaaaaaaa",
            Kind::String | Kind::Versioned => "\u{1}",
        };
        match self {
            Self::Literal(text) => crate::decoded(text).into_owned(),
            Self::Variable(variable) | Self::Greedy(variable) => of_kind(variable.kind).to_owned(),
            Self::Mixed(parts) => parts
                .iter()
                .map(|part| match decoded_part(part) {
                    Part::Literal(text) => text,
                    Part::Variable(variable) => of_kind(variable.kind).to_owned(),
                })
                .collect(),
        }
    }

    pub(crate) fn rank(&self) -> Rank {
        match self {
            Self::Literal(_) => Rank::Literal,
            Self::Variable(variable) => Rank::Variable(variable.kind),
            Self::Greedy(variable) => Rank::Greedy(variable.kind),
            Self::Mixed(parts) => {
                let literals = parts.iter().map(|part| match part {
                    Part::Literal(text) => crate::decoded(text).len(),
                    Part::Variable(_) => 0,
                });
                Rank::Mixed(Reverse(literals.sum()), self.words())
            }
        }
    }
}

/// Tries of one match of a mixed segment. Real ones take as many as they have parts.
pub(crate) const STEPS_MAX: usize = 256;

/// A part whose literal is decoded.
pub(crate) fn decoded_part(part: &Part) -> Part {
    match part {
        Part::Literal(text) => Part::Literal(crate::decoded(text).into_owned()),
        Part::Variable(variable) => Part::Variable(variable.clone()),
    }
}

/// Whether the parts make up the text, each variable at least one character.
pub(crate) fn matches_parts(parts: &[Part], text: &str, steps: &mut usize) -> bool {
    capture(parts, text, steps, &mut Vec::new())
}

fn capture<'t>(parts: &[Part], text: &'t str, steps: &mut usize, found: &mut Vec<&'t str>) -> bool {
    let Some(left) = steps.checked_sub(1) else { return false };
    *steps = left;
    match parts {
        [] => text.is_empty(),
        [Part::Literal(literal), rest @ ..] => {
            text.strip_prefix(&**literal).is_some_and(|text| capture(rest, text, steps, found))
        }
        [Part::Variable(variable)] => {
            found.push(text);
            !text.is_empty() && variable.kind.accepts(text)
        }
        [Part::Variable(variable), rest @ ..] => {
            // The text that follows begins with a literal, which a segment of two parts ends with.
            let [Part::Literal(literal), after @ ..] = rest else { return false };
            if after.is_empty() {
                let Some(own) = text.strip_suffix(&**literal) else { return false };
                found.push(own);
                return !own.is_empty() && variable.kind.accepts(own);
            }
            let first = text.chars().next().map_or(0, char::len_utf8);
            let mut from = first;
            let known = found.len();
            while let Some(offset) = text.get(from..).and_then(|rest| rest.find(&**literal)) {
                let at = from + offset;
                found.truncate(known);
                found.push(&text[..at]);
                if variable.kind.accepts(&text[..at]) && capture(after, &text[at + literal.len()..], steps, found) {
                    return true;
                }
                if *steps == 0 {
                    return false;
                }
                from = at + text[at..].chars().next().map_or(1, char::len_utf8);
            }
            false
        }
    }
}

fn canonical_literal(text: &str) -> String {
    // One part of a segment: dots in it are no dot segment.
    if matches!(text, "." | "..") { text.to_owned() } else { canonical_path(text).into_owned() }
}

/// The segments of a path whose braces may hold slashes: `{name=projects/*/jobs/*}` is four of them.
fn segment_texts(path: &str) -> Vec<String> {
    let mut flat = String::with_capacity(path.len());
    let mut rest = path.strip_prefix('/').unwrap_or(path);
    while let Some((before, inner, after)) = braced(rest) {
        flat.push_str(before);
        rest = after;
        match inner.split_once('=').filter(|(_, pattern)| pattern.contains('/')) {
            Some((name, pattern)) => {
                let parts = pattern.split('/').map(|part| match part {
                    "*" => format!("{{{name}}}"),
                    "**" => format!("{{{name}=**}}"),
                    literal => literal.to_owned(),
                });
                flat.push_str(&parts.collect::<Vec<_>>().join("/"));
            }
            // The operator of RFC 6570 that brings its own slash.
            None if inner.starts_with('/') => flat.push_str(&format!("/{{{}}}", &inner[1..])),
            None => flat.push_str(&format!("{{{inner}}}")),
        }
    }
    flat.push_str(rest);
    let mut texts = vec![String::new()];
    let mut depth = 0_usize;
    for letter in flat.chars() {
        match letter {
            '/' if depth == 0 => {
                texts.push(String::new());
                continue;
            }
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if let Some(text) = texts.last_mut() {
            text.push(letter);
        }
    }
    if depth > 0 {
        return flat.split('/').map(str::to_owned).collect();
    }
    texts
}

/// What stands before the first pair of braces, in it and behind it. Patterns in braces may hold braces.
fn braced(text: &str) -> Option<(&str, &str, &str)> {
    let start = text.find('{')?;
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate().skip(start) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&text[..start], &text[start + 1..at], &text[at + 1..]));
        }
    }
    None
}

/// Name, greediness and kind of what stands in braces; nothing for the query and fragment of RFC 6570.
fn variable_of<'t>(inner: &'t str, kind_of: &dyn Fn(&str) -> Kind) -> Option<(&'t str, bool, Kind)> {
    if inner.starts_with(['?', '&', '#']) {
        return None;
    }
    let (name, rule) = match inner.find(['=', ':']) {
        Some(at) => (&inner[..at], &inner[at + 1..]),
        None => (inner, ""),
    };
    let bare = name.trim_start_matches(['+', '*', '.']).trim_end_matches(['+', '*', '?']).trim();
    let is_greedy =
        bare.len() < name.trim().len() && name.contains(['+', '*']) || matches!(rule, "**" | ".*" | ".+" | "path");
    let kind = match rule {
        "int" | "integer" | "long" | "\\d+" | "[0-9]+" => Kind::Integer,
        _ => kind_of(bare),
    };
    Some((bare, is_greedy, kind))
}
