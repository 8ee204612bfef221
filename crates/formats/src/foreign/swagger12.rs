//! Swagger 1.2: an API declaration, or a resource listing that holds its declarations.

use serde_json::{Map, Value, json};

use crate::tree::Node;

use crate::notes::{Calls, Notes, cut, listed};

use super::build::{Foreign, list, members, text, value};

const CALLS: Calls =
    Calls { noun: "operation", is_call: |map| map.get("method").is_some() || map.get("nickname").is_some() };

/// Members of a declaration that are read or hold no operation.
const DECLARATION: [&str; 12] = [
    "swaggerVersion",
    "apiVersion",
    "basePath",
    "resourcePath",
    "apis",
    "models",
    "produces",
    "consumes",
    "authorizations",
    "info",
    "apiDeclarations",
    "description",
];
const API: [&str; 4] = ["path", "description", "operations", "produces"];

pub(super) fn description(root: &Node) -> Option<Foreign> {
    root.get("swaggerVersion")?;
    let mut paths = Map::new();
    let mut definitions = Map::new();
    let (mut notes, mut elsewhere) = (Notes::default(), Vec::new());
    let declarations = root.get("apiDeclarations").and_then(Node::as_list).unwrap_or_default();
    for declaration in std::iter::once(root).chain(declarations) {
        if let Some(map) = declaration.as_map() {
            notes.unknown(map, &DECLARATION, "the declaration", &CALLS);
        }
        for (name, model) in members(declaration.get("models")) {
            definitions.insert(name.to_owned(), schema(model));
        }
        for api in list(declaration, "apis") {
            let operations = list(api, "operations");
            let path = format!("/{}", text(api, "path").trim_start_matches('/'));
            if let Some(map) = api.as_map() {
                notes.unknown(map, &API, &format!("path {}", cut(&path)), &CALLS);
            }
            if operations.is_empty() {
                elsewhere.push(cut(&path));
                continue;
            }
            let item = paths.entry(path).or_insert_with(|| json!({}));
            for operation in operations {
                let method = Some(text(operation, "method")).filter(|method| !method.is_empty());
                let method = method.unwrap_or_else(|| text(operation, "httpMethod")).to_lowercase();
                if item.get(&method).is_some() {
                    let (method, path) = (method.to_uppercase(), cut(&text(api, "path")));
                    notes.warn(format!("{method} {path} stands twice, and the first one counts"));
                    continue;
                }
                item[method] = call(operation);
            }
        }
    }
    if !elsewhere.is_empty() {
        let (count, names) = (elsewhere.len(), listed(&elsewhere));
        notes.warn(format!("{count} paths have no operations here, which other documents may declare: {names}"));
    }
    let base = text(root, "basePath");
    let (scheme, rest) = base.split_once("://").unwrap_or(("", ""));
    let (host, base) = rest.split_once('/').map_or((rest, String::new()), |(host, path)| (host, format!("/{path}")));
    let mut document = json!({
        "swagger": "2.0",
        "info": {
            "title": root.get("info").map(|info| text(info, "title")).unwrap_or_default(),
            "version": text(root, "apiVersion"),
        },
        "paths": paths,
        "definitions": definitions,
    });
    if !host.is_empty() {
        document["host"] = host.into();
        document["schemes"] = json!([scheme]);
    }
    if !base.is_empty() {
        document["basePath"] = base.into();
    } else if host.is_empty() && text(root, "basePath").starts_with('/') {
        document["basePath"] = text(root, "basePath").into();
    }
    Some(Foreign::new(&document, notes))
}

fn call(operation: &Node) -> Value {
    let mut parameters = Vec::new();
    for parameter in list(operation, "parameters") {
        let place = match &*text(parameter, "paramType") {
            "form" => "formData".to_owned(),
            place => place.to_owned(),
        };
        let name = text(parameter, "name");
        let required = parameter.get("required").is_some_and(Node::is_true);
        parameters.push(match &*place {
            "body" => json!({"in": "body", "name": name, "required": required, "schema": schema(parameter)}),
            _ => {
                let mut written = schema(parameter);
                written["in"] = place.into();
                written["name"] = name.into();
                written["required"] = required.into();
                written
            }
        });
    }
    let mut responses = Map::new();
    let success = match &*text(operation, "type") {
        "" | "void" => json!({"description": ""}),
        _ => json!({"description": "", "schema": schema(operation)}),
    };
    responses.insert("200".to_owned(), success);
    for message in list(operation, "responseMessages") {
        responses.insert(text(message, "code"), json!({"description": text(message, "message")}));
    }
    let mut written = json!({"summary": text(operation, "summary"), "parameters": parameters, "responses": responses});
    for name in ["consumes", "produces"] {
        if let Some(types) = operation.get(name) {
            written[name] = value(types);
        }
    }
    written["deprecated"] =
        (operation.get("deprecated").is_some_and(|node| node.is_true() || node.as_text() == Some("true"))).into();
    written
}

/// A type of version 1.2, which names a model where it is no primitive.
fn schema(node: &Node) -> Value {
    let kind = text(node, "type");
    let reference = Some(text(node, "$ref")).filter(|name| !name.is_empty());
    if let Some(name) = reference {
        return json!({"$ref": format!("#/definitions/{name}")});
    }
    let mut written = json!({});
    match &*kind {
        "string" | "integer" | "number" | "boolean" => written["type"] = kind.into(),
        "array" => {
            written["type"] = "array".into();
            written["items"] = node.get("items").map(schema).unwrap_or_else(|| json!({}));
        }
        "File" | "file" => written["type"] = "file".into(),
        "" | "object" | "void" => written["type"] = "object".into(),
        model => return json!({"$ref": format!("#/definitions/{model}")}),
    }
    for name in ["format", "enum", "required", "description"] {
        if let Some(member) = node.get(name).filter(|member| name != "required" || member.as_list().is_some()) {
            written[name] = value(member);
        }
    }
    let properties: Map<String, Value> =
        members(node.get("properties")).map(|(name, property)| (name.to_owned(), schema(property))).collect();
    if !properties.is_empty() {
        written["type"] = "object".into();
        written["properties"] = properties.into();
    }
    written
}
