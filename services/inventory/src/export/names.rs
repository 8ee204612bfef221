//! Names in a document: paths with those of their variables, and ids of operations.

use std::collections::BTreeSet;

use portolan_engine::template::SplitUrl;
use portolan_path::{Kind, Template};

/// Longest part of an operation's id that comes from the path.
const ID_BYTES_MAX: usize = 100;

/// A path with names in braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamedPath {
    pub(super) path: String,
    pub(super) variables: Vec<NamedVariable>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamedVariable {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// The 0-based segment that it stands in.
    pub(super) segment: usize,
}

/// The path of a URL. Variables without a name are numbered; a further `round` gives other names to a path whose names
/// are taken.
pub(super) fn named_path(url: &str, names: &[String], round: usize) -> NamedPath {
    let mut template = Template::of_words(&url[SplitUrl::new(url).origin.len()..]);
    template.name_variables(names);
    let mut taken: BTreeSet<String> = template.variables().map(|variable| variable.name.clone()).collect();
    let mut number = 0;
    let mut chosen = Vec::new();
    for variable in template.variables() {
        let mut name = variable.name.clone();
        while name.is_empty() {
            number += 1;
            name = Some(format!("param{number}")).filter(|name| taken.insert(name.clone())).unwrap_or_default();
        }
        chosen.push(if round == 0 { name } else { format!("{name}_{round}") });
    }
    template.name_variables(&chosen);
    let mut variables = Vec::new();
    for (segment, part) in template.segments.iter().enumerate() {
        let suffix = if matches!(part, portolan_path::Segment::Greedy(_)) { "+" } else { "" };
        variables.extend(part.variables().map(|variable| NamedVariable {
            name: format!("{}{suffix}", variable.name),
            kind: variable.kind,
            segment,
        }));
    }
    NamedPath { path: template.names(), variables }
}

/// An id that generators of code take for the name of a function: `get_orders_by_orderId`.
pub(super) fn operation_id(method: &str, path: &str, taken: &mut BTreeSet<String>) -> String {
    let mut id = method.to_ascii_lowercase();
    for character in path.chars() {
        match character {
            '{' => id.push_str("_by_"),
            letter if letter.is_ascii_alphanumeric() => id.push(letter),
            _ if !id.ends_with('_') => id.push('_'),
            _ => {}
        }
        if id.len() > ID_BYTES_MAX {
            break;
        }
    }
    let id = id.trim_end_matches('_').replace("__", "_");
    let mut unique = id.clone();
    let mut number = 1;
    while !taken.insert(unique.clone()) {
        number += 1;
        unique = format!("{id}_{number}");
    }
    unique
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(url: &str, names: &[&str], round: usize) -> String {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        named_path(url, &names, round).path
    }

    #[test]
    fn declared_names_win_and_others_are_numbered() {
        for (url, names, round, expected) in [
            ("/jobs/STRING:cancel", &["jobId"][..], 0, "/jobs/{jobId}:cancel"),
            ("/a/INTEGER/b/STRING", &["", "param1"], 0, "/a/{param2}/b/{param1}"),
            ("/a/INTEGER/b/STRING", &["id", "id"], 0, "/a/{id}/b/{param1}"),
            ("/a/INTEGER", &["id"], 2, "/a/{id_2}"),
            ("/near/(STRING,STRING)", &["lat", "lon"], 0, "/near/({lat},{lon})"),
            ("/files/STRING+", &["path"], 0, "/files/{path+}"),
            ("https://h/a/", &[], 0, "/a/"),
            ("https://h", &[], 0, "/"),
        ] {
            assert_eq!(path(url, names, round), expected, "{url}");
        }
        let greedy = named_path("/files/STRING+", &[], 0);
        assert_eq!((&*greedy.variables[0].name, greedy.variables[0].segment), ("param1+", 1));
    }

    #[test]
    fn ids_are_names_of_functions() {
        let mut taken = BTreeSet::new();
        for (path, expected) in [
            ("/orders/{orderId}", "get_orders_by_orderId"),
            ("/orders/{order-id}", "get_orders_by_order_id"),
            ("/orders/{orderId}/", "get_orders_by_orderId_2"),
            ("/jobs/{id}:cancel", "get_jobs_by_id_cancel"),
            ("/", "get"),
            ("/Übung", "get_bung"),
        ] {
            assert_eq!(operation_id("GET", path, &mut taken), expected);
        }
        assert!(operation_id("GET", &"/a".repeat(500), &mut taken).len() <= ID_BYTES_MAX + 8);
    }
}
