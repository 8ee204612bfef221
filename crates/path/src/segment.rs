use crate::Kind;

/// One segment of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// This text.
    Literal(String),
    /// Anything that the variable takes.
    Variable(Variable),
    /// At least one literal and one variable, and no two variables side by side.
    Mixed(Vec<Part>),
    /// Everything that follows, at least one segment.
    Greedy(Variable),
}

/// A part of a mixed segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// This text.
    Literal(String),
    /// Anything that the variable takes.
    Variable(Variable),
}

/// What stands for the varying segments of paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Empty where nobody gave one.
    pub name: String,
    /// What it takes.
    pub kind: Kind,
}

impl Segment {
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

    /// Its variables, from left to right.
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

    pub(crate) fn variables_mut(&mut self) -> impl Iterator<Item = &mut Variable> {
        let (one, parts): (_, &mut [Part]) = match self {
            Self::Literal(_) => (None, &mut []),
            Self::Variable(variable) | Self::Greedy(variable) => (Some(variable), &mut []),
            Self::Mixed(parts) => (None, parts),
        };
        one.into_iter().chain(parts.iter_mut().filter_map(|part| match part {
            Part::Variable(variable) => Some(variable),
            Part::Literal(_) => None,
        }))
    }

    /// Whether it has no variable.
    pub fn is_literal(&self) -> bool {
        matches!(self, Self::Literal(_))
    }

    /// Whether both take the same texts, whatever their variables are called.
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
