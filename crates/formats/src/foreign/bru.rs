//! Bruno's own files: one request each, in folders with their settings.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::FormatError;
use crate::notes::{Notes, cut};

use super::bruno::authentication;
use super::build::{Foreign, collection_of};

/// The texts of a collection's files by their paths below it.
pub(crate) type Files = BTreeMap<String, String>;

const METHODS: [&str; 9] = ["get", "post", "put", "delete", "patch", "options", "head", "trace", "connect"];

/// Whether a text is a request of Bruno: it begins with a block of its kind.
pub(crate) fn is_request(text: &str) -> bool {
    let first = text.lines().map(str::trim_end).find(|line| !line.trim().is_empty()).unwrap_or_default();
    let Some(name) = first.strip_suffix('{').map(str::trim) else { return false };
    (name == "meta" || METHODS.contains(&name) || name == "http") && text.lines().any(|line| line.trim_end() == "}")
}

/// One request as a collection.
pub(crate) fn of_request(text: &str) -> Foreign {
    let mut notes = Notes::default();
    let blocks = blocks(text);
    let name = pairs(&blocks, "meta").remove("name").unwrap_or_else(|| "Bruno".to_owned());
    let items = item(&name, &blocks, "the file", &mut notes).into_iter().collect();
    Foreign::new(&collection_of(&name, Vec::new(), items), notes)
}

/// The files below the folder of a collection.
///
/// # Errors
/// [`FormatError::NotPostman`] when none of them is a request.
pub(crate) fn of_files(name: &str, files: &Files) -> Result<Foreign, FormatError> {
    let mut notes = Notes::default();
    let mut root = Folder::default();
    let mut variables = Vec::new();
    for (path, text) in files {
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        let blocks = blocks(text);
        if folder == "environments" {
            let pairs = pairs(&blocks, "vars");
            variables.extend(pairs.into_iter().map(|(key, value)| json!({"key": key, "value": value})));
            continue;
        }
        let folder = root.at(folder);
        match file {
            "collection.bru" | "folder.bru" => {
                folder.auth = auth(&blocks, pairs(&blocks, "auth").remove("mode").as_deref().unwrap_or_default());
            }
            _ => {
                let own = file.strip_suffix(".bru").unwrap_or(file).to_owned();
                let named = pairs(&blocks, "meta").remove("name").unwrap_or(own);
                folder.items.extend(item(&named, &blocks, path, &mut notes));
            }
        }
    }
    let auth = root.auth.take();
    let items = root.written();
    if items.is_empty() {
        return Err(FormatError::NotPostman("the files of Bruno hold no request".to_owned()));
    }
    let mut collection = collection_of(name, variables, items);
    collection["auth"] = auth;
    Ok(Foreign::new(&collection, notes))
}

#[derive(Default)]
struct Folder {
    auth: Value,
    items: Vec<Value>,
    folders: BTreeMap<String, Folder>,
}

impl Folder {
    fn at(&mut self, path: &str) -> &mut Self {
        path.split('/')
            .filter(|part| !part.is_empty())
            .fold(self, |folder, part| folder.folders.entry(part.to_owned()).or_default())
    }

    fn written(self) -> Vec<Value> {
        let mut items = self.items;
        for (name, mut folder) in self.folders {
            let auth = folder.auth.take();
            let inner = folder.written();
            if !inner.is_empty() {
                items.push(json!({"name": name, "auth": auth, "item": inner}));
            }
        }
        items
    }
}

/// A block: its name, and its lines without the indentation of two.
type Block<'t> = (&'t str, Vec<&'t str>);

/// Blocks begin at the margin and end with a brace there, so that braces in them are text.
fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut found: Vec<Block<'_>> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let end = line.trim_end();
        if !open {
            if let Some(name) = end.strip_suffix(['{', '[']).filter(|_| !end.starts_with([' ', '\t'])) {
                found.push((name.trim(), Vec::new()));
                open = true;
            }
        } else if end == "}" || end == "]" {
            open = false;
        } else if let Some((_, lines)) = found.last_mut() {
            lines.push(line.strip_prefix("  ").unwrap_or(line));
        }
    }
    found
}

fn block<'b, 't>(blocks: &'b [Block<'t>], name: &str) -> Option<&'b [&'t str]> {
    blocks.iter().find(|(own, _)| *own == name).map(|(_, lines)| lines.as_slice())
}

/// The lines `name: value` of a block; one with a tilde is switched off.
fn lines<'b>(blocks: &'b [Block<'_>], name: &str) -> impl Iterator<Item = (&'b str, &'b str, bool)> {
    let lines = block(blocks, name).unwrap_or_default();
    lines.iter().filter_map(|line| line.split_once(':')).map(|(name, value)| {
        let name = name.trim();
        let off = name.starts_with('~');
        (name.trim_start_matches('~').trim_matches('"'), value.trim(), off)
    })
}

fn pairs(blocks: &[Block<'_>], name: &str) -> BTreeMap<String, String> {
    let on = lines(blocks, name).filter(|(_, _, off)| !off);
    on.map(|(name, value, _)| (name.to_owned(), value.to_owned())).collect()
}

fn item(name: &str, blocks: &[Block<'_>], place: &str, notes: &mut Notes) -> Option<Value> {
    let mut calls = blocks.iter().filter(|(name, _)| METHODS.contains(name) || *name == "http");
    let Some((verb, _)) = calls.next() else {
        let kind = pairs(blocks, "meta").remove("type").unwrap_or_default();
        notes.warn(format!("{}: a file of type `{}` holds no HTTP request and is left out", cut(place), cut(&kind)));
        return None;
    };
    for (verb, _) in calls {
        notes.warn(format!("{}: a second request `{}` is left out", cut(place), cut(verb)));
    }
    let own = pairs(blocks, verb);
    let part = |name: &str| own.get(name).cloned().unwrap_or_default();
    let method = if *verb == "http" { part("method") } else { (*verb).to_owned() };
    let headers: Vec<Value> = lines(blocks, "headers")
        .map(|(name, value, off)| json!({"key": name, "value": value, "disabled": off}))
        .collect();
    let path: Vec<Value> =
        lines(blocks, "params:path").map(|(name, value, _)| json!({"key": name, "value": value})).collect();
    let mut url = part("url");
    if !url.contains('?') {
        let query = lines(blocks, "params:query").filter(|(_, _, off)| !off);
        let query: Vec<String> = query.map(|(name, value, _)| format!("{name}={value}")).collect();
        if !query.is_empty() {
            url.push_str(&format!("?{}", query.join("&")));
        }
    }
    Some(json!({
        "name": name,
        "request": {
            "method": method.to_uppercase(),
            "url": {"raw": url, "variable": path},
            "header": headers,
            "body": body(blocks, &part("body")),
            "auth": auth(blocks, &part("auth")),
        },
    }))
}

fn body(blocks: &[Block<'_>], mode: &str) -> Value {
    let text = |name: &str| block(blocks, name).map(|lines| lines.join("\n")).unwrap_or_default();
    let fields = |name: &str| -> Vec<Value> {
        let field = |(name, value, off): (&str, &str, bool)| json!({"key": name, "value": value, "type": "text", "disabled": off});
        lines(blocks, name).map(field).collect()
    };
    match mode {
        "json" => json!({"mode": "raw", "raw": text("body:json"), "options": {"raw": {"language": "json"}}}),
        "xml" => json!({"mode": "raw", "raw": text("body:xml"), "options": {"raw": {"language": "xml"}}}),
        "text" => json!({"mode": "raw", "raw": text("body:text")}),
        "form-urlencoded" | "formUrlEncoded" => {
            json!({"mode": "urlencoded", "urlencoded": fields("body:form-urlencoded")})
        }
        "multipart-form" | "multipartForm" => json!({"mode": "formdata", "formdata": fields("body:multipart-form")}),
        "graphql" => json!({
            "mode": "graphql",
            "graphql": {"query": text("body:graphql"), "variables": text("body:graphql:vars")},
        }),
        _ => Value::Null,
    }
}

fn auth(blocks: &[Block<'_>], mode: &str) -> Value {
    let own = pairs(blocks, &format!("auth:{mode}"));
    authentication(mode, &|name| own.get(name).cloned().unwrap_or_default())
}
