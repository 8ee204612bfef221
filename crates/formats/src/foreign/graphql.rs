//! GraphQL: the schema language, and the answer to an introspection query. Every field of the query, mutation and
//! subscription types is an operation; all share one endpoint, `POST /graphql`, and are told apart by a fragment.

use serde_json::{Map, Value, json};

use crate::FormatError;
use crate::tree::Node;

use crate::notes::{Notes, cut};

use super::build::{Foreign, list, text};

/// Most operations of one schema.
const FIELDS_MAX: usize = 50_000;

/// Whether a text is in the schema language.
pub(super) fn is_sdl(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with(['#', '"']));
    let is_definition = |line: &str| {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("schema") => words.next().is_some_and(|word| word.starts_with(['{', '@'])),
            Some("type" | "interface" | "input" | "enum" | "extend" | "union" | "scalar" | "directive") => {
                words.next().is_some_and(|word| word.starts_with(|first: char| first.is_alphabetic() || first == '@'))
                    && !line.contains(':')
            }
            _ => false,
        }
    };
    lines.next().is_some_and(is_definition) && text.contains('{')
}

struct Field {
    root: &'static str,
    name: String,
    arguments: Vec<String>,
}

fn document(title: &str, fields: Vec<Field>) -> Value {
    let mut paths = Map::new();
    for field in fields {
        let variables: Map<String, Value> =
            field.arguments.iter().map(|name| (name.clone(), json!({"type": "string"}))).collect();
        let body = json!({"type": "object", "properties": {
            "query": {"type": "string"},
            "variables": {"type": "object", "properties": variables},
        }});
        paths.insert(
            format!("/graphql#{}.{}", field.root, field.name),
            json!({"post": {
                "summary": format!("{} {}", field.root, field.name),
                "requestBody": {"content": {"application/json": {"schema": body}}},
                "responses": {"200": {"description": ""}},
            }}),
        );
    }
    json!({"openapi": "3.1.0", "info": {"title": title, "version": ""}, "paths": paths})
}

pub(super) fn of_introspection(root: &Node) -> Option<Foreign> {
    let schema = root.get("__schema").or_else(|| root.get("data")?.get("__schema"))?;
    let (mut fields, mut notes) = (Vec::new(), Notes::default());
    for (member, kind) in [("queryType", "query"), ("mutationType", "mutation"), ("subscriptionType", "subscription")] {
        let Some(name) = schema.get(member).map(|node| text(node, "name")) else { continue };
        let found = list(schema, "types").iter().find(|known| text(known, "name") == name && !name.is_empty());
        if found.is_none() && !name.is_empty() {
            notes
                .warn(format!("the type {} of `{member}` is not in the schema, so its fields are unknown", cut(&name)));
        }
        for field in found.map(|found| list(found, "fields")).unwrap_or_default() {
            let arguments = list(field, "args").iter().map(|argument| text(argument, "name")).collect();
            fields.push(Field { root: kind, name: text(field, "name"), arguments });
        }
    }
    Some(Foreign::new(&document("GraphQL", fields), notes))
}

/// # Errors
/// [`FormatError::NotOpenApi`] where the schema has no operation, [`FormatError::TooLarge`] above the limit.
pub(super) fn of_sdl(text: &str) -> Result<Value, FormatError> {
    let tokens = tokens(text);
    let mut roots = [
        ("Query".to_owned(), "query"),
        ("Mutation".to_owned(), "mutation"),
        ("Subscription".to_owned(), "subscription"),
    ];
    for (at, token) in tokens.iter().enumerate() {
        if *token == "schema" && tokens[at + 1..].iter().take(40).any(|next| *next == "{") {
            for window in tokens[at + 1..].windows(3).take_while(|window| window[0] != "}") {
                if let Some(root) = roots.iter_mut().find(|(_, kind)| *kind == window[0] && window[1] == ":") {
                    window[2].clone_into(&mut root.0);
                }
            }
        }
    }
    let mut fields = Vec::new();
    for (at, window) in tokens.windows(2).enumerate() {
        let kind = roots.iter().find(|(name, _)| window[0] == "type" && name == window[1]).map(|(_, kind)| *kind);
        let Some(kind) = kind else { continue };
        let Some(open) = tokens[at..].iter().position(|token| *token == "{") else { continue };
        read_fields(&tokens[at + open + 1..], kind, &mut fields);
        if fields.len() > FIELDS_MAX {
            return Err(FormatError::TooLarge(format!("it has more than {FIELDS_MAX} operations")));
        }
    }
    if fields.is_empty() {
        return Err(FormatError::NotOpenApi(
            "the GraphQL schema has no field of a query, mutation or subscription".to_owned(),
        ));
    }
    Ok(document("GraphQL", fields))
}

/// The fields of one type, up to its closing brace.
fn read_fields(tokens: &[&str], root: &'static str, fields: &mut Vec<Field>) {
    let mut at = 0;
    let is_name = |token: &str| token.starts_with(|first: char| first.is_alphabetic() || first == '_');
    while at < tokens.len() && tokens[at] != "}" && fields.len() <= FIELDS_MAX {
        let name = tokens[at];
        let mut arguments = Vec::new();
        let mut next = at + 1;
        if tokens.get(next) == Some(&"(") {
            let mut depth = 1;
            next += 1;
            while next < tokens.len() && depth > 0 {
                match tokens[next] {
                    "(" => depth += 1,
                    ")" => depth -= 1,
                    token if depth == 1 && tokens.get(next + 1) == Some(&":") && is_name(token) => {
                        arguments.push(token.to_owned());
                    }
                    _ => {}
                }
                next += 1;
            }
        }
        if is_name(name) && tokens.get(next) == Some(&":") {
            fields.push(Field { root, name: name.to_owned(), arguments });
            // The type, which ends where a name begins that a colon or parenthesis follows, or a directive.
            next += 2;
        }
        at = next.max(at + 1);
    }
}

/// Names and signs; comments, descriptions and strings are left out.
fn tokens(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        match bytes[at] {
            b'#' => at += rest.find('\n').unwrap_or(rest.len()),
            b'"' if rest.starts_with("\"\"\"") => at += rest[3..].find("\"\"\"").map_or(rest.len(), |end| end + 6),
            b'"' => {
                let mut end = 1;
                while end < rest.len() && rest.as_bytes()[end] != b'"' {
                    end += if rest.as_bytes()[end] == b'\\' { 2 } else { 1 };
                }
                at += (end + 1).min(rest.len());
                while at < bytes.len() && !text.is_char_boundary(at) {
                    at += 1;
                }
            }
            byte if byte.is_ascii_alphanumeric() || byte == b'_' => {
                let end =
                    rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(rest.len());
                found.push(&rest[..end]);
                at += end;
            }
            byte => {
                let end = rest.chars().next().map_or(1, char::len_utf8);
                if matches!(byte, b'{' | b'}' | b'(' | b')' | b':' | b'@' | b'[' | b']') {
                    found.push(&rest[..end]);
                }
                at += end;
            }
        }
    }
    found
}
