use std::cmp::Reverse;

use crate::braces::segment_texts;
use crate::segment::{Part, Segment, Variable};
use crate::{Kind, words};

/// The path of an operation: literals and variables, with the names that its owner gave them.
///
/// Two templates have one shape when they match the same paths: names do not count, kinds do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// From left to right.
    pub segments: Vec<Segment>,
    /// A slash follows the last segment.
    pub ends_with_slash: bool,
}

/// The place of a segment among others that match the same text: the smaller, the better.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    Literal,
    Mixed(Reverse<usize>, String),
    Variable(Kind),
    Greedy(Kind),
}

impl Segment {
    /// The place of the segment among others that match the same text.
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

    /// Gives the variables these names, in their order. An empty name, one that an earlier variable has, and one that
    /// cannot stand in braces leave a variable without one.
    pub fn name_variables<S: AsRef<str>>(&mut self, names: &[S]) {
        let mut taken = std::collections::BTreeSet::new();
        let mut names = names.iter().map(AsRef::as_ref);
        for variable in self.segments.iter_mut().flat_map(Segment::variables_mut) {
            let name = names.next().unwrap_or_default();
            let fits = !name.is_empty() && !name.contains(['{', '}', '/', '?', '#', '+', '*', '=', ',']);
            variable.name = if fits && taken.insert(name) { name.to_owned() } else { String::new() };
        }
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
