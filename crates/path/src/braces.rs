//! Templates written with names in braces: `/jobs/{id}:cancel`.

use crate::Kind;
use crate::escape::normalized;
use crate::segment::{Part, Segment, Variable};

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
                parts.push(Part::Literal(normalized(&literal).into_owned()));
                literal.clear();
            }
            parts.push(Part::Variable(variable));
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(normalized(&literal).into_owned()));
        }
        Self::of_parts(parts)
    }
}

/// The segments of a path whose braces may hold slashes: `{name=projects/*/jobs/*}` is four of them.
pub(crate) fn segment_texts(path: &str) -> Vec<String> {
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
