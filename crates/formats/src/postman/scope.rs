use std::collections::HashMap;

use crate::tree::{Map, Node};

/// Deepest chain of variables whose values name variables.
const DEPTH_MAX: usize = 16;
/// Most replacements in one text.
const REPLACEMENTS_MAX: usize = 1_000;
/// Most bytes that replacements may add to one text.
const ADDED_BYTES_MAX: usize = 256 * 1024;

/// The variables that hold at a place of the file. The nearest one with a value counts.
pub(super) struct Scope<'s> {
    outer: Option<&'s Scope<'s>>,
    values: HashMap<String, String>,
}

impl<'s> Scope<'s> {
    pub(super) fn root<'d>(variables: impl Iterator<Item = &'d Node>) -> Self {
        Self { outer: None, values: read(variables) }
    }

    pub(super) fn below<'d>(outer: &'s Scope<'s>, variables: impl Iterator<Item = &'d Node>) -> Self {
        Self { outer: Some(outer), values: read(variables) }
    }

    fn get(&self, name: &str) -> Option<&str> {
        let mut scope = Some(self);
        while let Some(here) = scope {
            if let Some(value) = here.values.get(name) {
                return Some(value);
            }
            scope = here.outer;
        }
        None
    }

    /// The text with its variables replaced. What has no value, or goes beyond a limit, stays as written.
    pub(super) fn resolve(&self, text: &str) -> String {
        if !text.contains("{{") {
            return text.to_owned();
        }
        let mut out = String::with_capacity(text.len());
        let mut left = Left { replacements: REPLACEMENTS_MAX, bytes: ADDED_BYTES_MAX };
        self.expand(text, DEPTH_MAX, &mut left, &mut out);
        out
    }

    fn expand(&self, text: &str, depth: usize, left: &mut Left, out: &mut String) {
        let mut rest = text;
        while let Some((before, name, after)) = placeholder(rest) {
            out.push_str(before);
            match self.get(name.trim()) {
                Some(value) if depth > 0 && left.take(value.len()) => self.expand(value, depth - 1, left, out),
                _ => {
                    out.push_str("{{");
                    out.push_str(name);
                    out.push_str("}}");
                }
            }
            rest = after;
        }
        out.push_str(rest);
    }
}

struct Left {
    replacements: usize,
    bytes: usize,
}

impl Left {
    fn take(&mut self, bytes: usize) -> bool {
        let fits = self.replacements > 0 && bytes <= self.bytes;
        if fits {
            self.replacements -= 1;
            self.bytes -= bytes;
        }
        fits
    }
}

/// Splits a text at its first `{{name}}`. Braces that close nothing are text.
pub(super) fn placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = text.find("{{")?;
    let end = from + 2 + text[from + 2..].find("}}")?;
    from += text[from..end].rfind("{{")?;
    Some((&text[..from], &text[from + 2..end], &text[end + 2..]))
}

/// The variables of a collection or folder; both spellings exist.
pub(super) fn variables(node: &Map) -> impl Iterator<Item = &Node> {
    let lists = [node.get("variable"), node.get("variables")];
    lists.into_iter().flatten().filter_map(Node::as_list).flatten()
}

/// Left out by its author: `disabled` in version 2, `enabled` in version 1.
pub(super) fn is_disabled(node: &Node) -> bool {
    node.get("disabled").is_some_and(Node::is_true) || matches!(node.get("enabled"), Some(Node::Bool(false)))
}

fn read<'d>(variables: impl Iterator<Item = &'d Node>) -> HashMap<String, String> {
    let mut values = HashMap::new();
    for variable in variables.filter(|variable| !is_disabled(variable)) {
        let name = variable.get("key").or_else(|| variable.get("id")).and_then(Node::scalar);
        let value = variable.get("value").and_then(Node::scalar).filter(|value| !value.is_empty());
        if let (Some(name), Some(value)) = (name, value) {
            values.insert(name.trim().to_owned(), value);
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::parse_json;

    fn check(variables: &str, text: &str, expected: &str) {
        let tree = parse_json(variables).unwrap();
        let scope = Scope::root(tree.root.as_list().unwrap().iter());
        assert_eq!(scope.resolve(text), expected);
    }

    #[test]
    fn variables_are_replaced_within_limits() {
        let given = r#"[{"key":"a","value":"1"},{"id":"b","value":"<{{a}}>"},{"key":"empty","value":""},
            {"key":"off","value":"x","disabled":true},{"key":"off1","value":"x","enabled":false},{"key":"n","value":7},
            {"key":"self","value":"{{self}}"}]"#;
        check(given, "{{a}}/{{ b }}/{{n}}", "1/<1>/7");
        check(given, "{{empty}} {{off}} {{off1}} {{none}} {{$guid}}", "{{empty}} {{off}} {{off1}} {{none}} {{$guid}}");
        check(given, "a}} {{a}} {{ {{a", "a}} 1 {{ {{a");
        check(given, "{{x{{a}}}}", "{{x1}}");
        check(given, "{{self}}", "{{self}}");
        check("[]", "é {{é}} }}", "é {{é}} }}");
    }

    #[test]
    fn chains_that_double_stay_small() {
        let mut variables = vec![r#"{"key":"v0","value":"0123456789"}"#.to_owned()];
        for n in 1..200 {
            let below = n - 1;
            variables.push(format!(r#"{{"key":"v{n}","value":"{{{{v{below}}}}}{{{{v{below}}}}}"}}"#));
        }
        let tree = parse_json(&format!("[{}]", variables.join(","))).unwrap();
        let scope = Scope::root(tree.root.as_list().unwrap().iter());
        assert!(scope.resolve("{{v199}}").len() < ADDED_BYTES_MAX);
        let closings = "}}".repeat(100_000);
        assert_eq!(scope.resolve(&format!("{{{{{closings}")), format!("{{{{{closings}"));
    }
}
