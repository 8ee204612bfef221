use std::collections::{BTreeMap, BTreeSet};

use portolan_engine::{ParameterKey, REQUEST, is_credential, template::SplitUrl};
use portolan_path::Kind;
use serde_json::{Map, Value, json};

use crate::export::{
    names::{NamedPath, named_path, operation_id},
    operation::{Head, Operation},
    schema,
    schema::Seen,
    security::Schemes,
};

/// Methods that a path item of every version can hold.
const METHODS: [&str; 8] = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"];

/// Methods whose request body is described.
const WITH_BODY: [&str; 3] = ["POST", "PUT", "PATCH"];

/// Headers that OpenAPI describes elsewhere, and those that belong to the connection.
const LEFT_OUT: [&str; 6] = ["accept", "authorization", "connection", "content-length", "content-type", "host"];

const JSON: &str = "application/json";

/// The document of some operations.
pub(super) fn write(head: &Head, operations: &[Operation], include_headers: bool) -> Value {
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut origins_of: BTreeMap<String, String> = BTreeMap::new();
    let origins: BTreeSet<&str> = operations.iter().map(|operation| SplitUrl::new(&operation.url).origin).collect();
    let common = if origins.len() == 1 { origins.first().copied() } else { None };
    let (mut schemes, mut ids, mut is_newest) = (Schemes::default(), BTreeSet::new(), false);
    for operation in operations {
        let split = SplitUrl::new(&operation.url);
        let method = Member::of(&operation.method);
        is_newest |= method.is_newest();
        // URLs that differ only in their origin or in the kind of a segment share a path of the document: a fragment,
        // which no client sends, or names tell them apart, so that none is lost.
        let (mut round, mut fragment) = (0, String::new());
        let (named, key) = loop {
            let named = named_path(&operation.url, &operation.variables, round);
            let key = format!("{}{fragment}", named.path);
            if !paths.get(&key).is_some_and(|item| method.stands_in(item)) {
                break (named, key);
            }
            let is_of_origin = origins_of.get(&key).is_none_or(|origin| origin == split.origin);
            if !is_of_origin && fragment.is_empty() {
                fragment = format!("#{}", split.origin.replace("://", "-"));
            } else if named.variables.is_empty() {
                round += 1;
                fragment = format!("#{}", round + 1);
            } else {
                round += 1;
            }
        };
        let mut written = write_operation(operation, &split, &named, include_headers);
        written["operationId"] = operation_id(&operation.method, &named.path, &mut ids).into();
        if let Some(security) = schemes.require(operation) {
            written["security"] = security;
        }
        if common.is_none() && !split.origin.is_empty() {
            written["servers"] = json!([server(split.origin)]);
        }
        origins_of.insert(key.clone(), split.origin.to_owned());
        method.put(paths.entry(key).or_default(), written);
    }
    let mut info = json!({"title": head.title, "version": head.version});
    if let Some(description) = &head.description {
        info["description"] = description.as_str().into();
    }
    let version = match (is_newest, schemes.is_newer()) {
        (true, _) => "3.2.0",
        (false, true) => "3.1.0",
        (false, false) => "3.0.1",
    };
    let mut document = json!({"openapi": version, "info": info, "paths": paths});
    let own = match (&head.host_name, common) {
        (_, Some(origin)) if !origin.is_empty() => Some(server(origin)),
        (Some(host), _) => Some(server(&format!("https://{host}"))),
        _ => None,
    };
    if let Some(own) = own {
        document["servers"] = json!([own]);
    }
    if let Some(schemes) = schemes.written() {
        document["components"] = json!({"securitySchemes": schemes});
    }
    document
}

/// Where an operation stands in its path item.
enum Member {
    Plain(String),
    Additional(String),
}

impl Member {
    fn of(method: &str) -> Self {
        match method {
            "ANY" => Self::Plain("x-amazon-apigateway-any-method".to_owned()),
            "QUERY" => Self::Plain("query".to_owned()),
            plain if METHODS.contains(&plain) => Self::Plain(plain.to_ascii_lowercase()),
            other => Self::Additional(other.to_owned()),
        }
    }

    /// Whether only version 3.2 has it.
    fn is_newest(&self) -> bool {
        matches!(self, Self::Additional(_)) || matches!(self, Self::Plain(name) if name == "query")
    }

    fn stands_in(&self, item: &Map<String, Value>) -> bool {
        match self {
            Self::Plain(name) => item.contains_key(name),
            Self::Additional(name) => item.get("additionalOperations").is_some_and(|known| known.get(name).is_some()),
        }
    }

    fn put(self, item: &mut Map<String, Value>, operation: Value) {
        match self {
            Self::Plain(name) => _ = item.insert(name, operation),
            Self::Additional(name) => {
                item.entry("additionalOperations").or_insert_with(|| json!({}))[name] = operation;
            }
        }
    }
}

/// A server. Braces of the origin are text, and not the variables that they would be here.
fn server(origin: &str) -> Value {
    match origin.split_once("://") {
        Some((scheme, host)) if host.contains(['{', '}']) => {
            json!({"url": format!("{scheme}://{{host}}"), "variables": {"host": {"default": host}}})
        }
        _ => json!({"url": origin}),
    }
}

fn write_operation(operation: &Operation, split: &SplitUrl<'_>, named: &NamedPath, include_headers: bool) -> Value {
    let Operation { url, method, .. } = operation;
    let summary = || format!("{method} request for endpoint {url}");
    let mut written = json!({
        "summary": operation.summary.clone().unwrap_or_else(summary),
        "responses": responses(operation, include_headers),
    });
    if let Some(description) = operation.description.as_deref().filter(|text| !text.is_empty()) {
        written["description"] = Value::from(description);
    }
    if operation.deprecated {
        written["deprecated"] = Value::Bool(true);
    }
    let parameters = request_parameters(operation, split, named, include_headers);
    if !parameters.is_empty() {
        written["parameters"] = Value::from(parameters);
    }
    let leaves = named_seen(operation, |key| {
        key.response_code == REQUEST && !key.is_header && !key.is_query_param && !key.is_url_param
    });
    if WITH_BODY.contains(&method.as_str()) && !leaves.is_empty() {
        let schema = schema::body(leaves);
        written["requestBody"] = json!({"content": {media_type(operation): {"schema": schema}}});
    }
    written
}

fn request_parameters(
    operation: &Operation,
    split: &SplitUrl<'_>,
    named: &NamedPath,
    include_headers: bool,
) -> Vec<Value> {
    let mut written = Vec::new();
    let in_path = named_seen(operation, |key| key.is_url_param);
    // Names of URL parameters count empty segments too.
    let places: Vec<usize> =
        split.segments().enumerate().filter(|(_, text)| !text.is_empty()).map(|(at, _)| at).collect();
    for variable in &named.variables {
        let schema = match variable.kind {
            Kind::Integer => json!({"type": "integer"}),
            Kind::Float => json!({"type": "number"}),
            _ => {
                let place = places.get(variable.segment).copied().unwrap_or(variable.segment).to_string();
                let seen = in_path.get(place.as_str()).map(Seen::schema);
                seen.filter(|schema| schema["type"] == "string").unwrap_or_else(|| json!({"type": "string"}))
            }
        };
        written.push(json!({"name": variable.name, "in": "path", "required": true, "schema": schema}));
    }
    let query = named_seen(operation, |key| key.is_query_param);
    written.extend(query.iter().map(|(name, seen)| parameter(name, "query", seen)));
    if include_headers {
        let headers = named_seen(operation, |key| key.response_code == REQUEST && key.is_header);
        // Credentials are told as requirements.
        let is_described = |name: &str| !LEFT_OUT.contains(&name) && !name.starts_with(':') && !is_credential(name);
        let described = headers.iter().filter(|(name, _)| is_described(name));
        written.extend(described.map(|(name, seen)| parameter(name, "header", seen)));
    }
    written
}

fn parameter(name: &str, place: &str, seen: &Seen) -> Value {
    let mut written = json!({"name": name, "in": place, "required": false, "schema": seen.schema()});
    if let Some(example) = seen.example() {
        written["example"] = example;
    }
    written
}

fn responses(operation: &Operation, include_headers: bool) -> Value {
    let mut written = Map::new();
    for code in &operation.response_codes {
        let mut response = json!({"description": format!("Answer with status {code}")});
        let leaves = named_seen(operation, |key| key.response_code == *code && !key.is_header);
        if !leaves.is_empty() {
            response["content"] = json!({JSON: {"schema": schema::body(leaves)}});
        }
        let headers = named_seen(operation, |key| key.response_code == *code && key.is_header);
        let headers: Map<String, Value> = headers
            .into_iter()
            .filter(|(name, _)| include_headers && !LEFT_OUT.contains(name))
            .map(|(name, seen)| (name.to_owned(), json!({"schema": seen.schema()})))
            .collect();
        if !headers.is_empty() {
            response["headers"] = Value::from(headers);
        }
        written.insert(code.to_string(), response);
    }
    if written.is_empty() {
        // A document must name one response.
        written.insert("default".to_owned(), json!({"description": "No answer is known"}));
    }
    Value::from(written)
}

/// The parameters of one place, by name, with all types seen there.
fn named_seen(operation: &Operation, wanted: impl Fn(&ParameterKey) -> bool) -> BTreeMap<&str, Seen> {
    let mut named: BTreeMap<&str, Seen> = BTreeMap::new();
    for (key, aggregate) in operation.parameters.iter().filter(|(key, _)| wanted(key)) {
        named.entry(&key.name).or_default().add(key.sub_type, aggregate);
    }
    named
}

/// The content type that requests had; JSON where none is known.
fn media_type(operation: &Operation) -> &'static str {
    const FORMS: [&str; 2] = ["application/x-www-form-urlencoded", "multipart/form-data"];
    let is_type = |key: &ParameterKey| key.response_code == REQUEST && key.is_header && key.name == "content-type";
    let mut values =
        operation.parameters.iter().filter(|(key, _)| is_type(key)).flat_map(|(_, seen)| seen.values.list());
    let form = |value: &str| FORMS.into_iter().find(|form| value.to_ascii_lowercase().starts_with(form));
    values.find_map(form).unwrap_or(JSON)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(endpoints: &[(&str, &str)]) -> Value {
        let operation = |(method, url): &(&str, &str)| Operation {
            url: (*url).to_owned(),
            method: (*method).to_owned(),
            ..Operation::default()
        };
        let head = Head { title: "Payments".into(), version: "1.0.0".into(), description: None, host_name: None };
        write(&head, &endpoints.iter().map(operation).collect::<Vec<_>>(), true)
    }

    #[test]
    fn one_origin_is_the_server_of_all() {
        let document = document(&[("GET", "https://a.example/v/INTEGER"), ("GET", "https://a.example/x")]);
        assert_eq!(document["servers"][0]["url"], "https://a.example");
        let operation = &document["paths"]["/v/{param1}"]["get"];
        assert_eq!(operation["parameters"][0]["schema"]["type"], "integer");
        assert_eq!(operation["parameters"][0]["name"], "param1");
        assert_eq!(operation["operationId"], "get_v_by_param1");
        assert!(operation.get("servers").is_none());
        assert_eq!(operation["responses"]["default"]["description"], "No answer is known");
    }

    #[test]
    fn paths_that_meet_are_told_apart() {
        let document = document(&[
            ("GET", "/v/INTEGER"),
            ("GET", "/v/STRING"),
            ("GET", "https://a.example/x"),
            ("GET", "https://b.example/x"),
            ("GET", "http://{{host}}/x"),
        ]);
        let paths = document["paths"].as_object().unwrap();
        let keys: Vec<_> = paths.keys().collect();
        assert_eq!(keys, ["/v/{param1_1}", "/v/{param1}", "/x", "/x#http-{{host}}", "/x#https-b.example"]);
        assert_eq!(paths["/v/{param1_1}"]["get"]["parameters"][0]["name"], "param1_1");
        assert_eq!(paths["/x#https-b.example"]["get"]["servers"], json!([{"url": "https://b.example"}]));
        let variable = json!([{"url": "http://{host}", "variables": {"host": {"default": "{{host}}"}}}]);
        assert_eq!(paths["/x#http-{{host}}"]["get"]["servers"], variable);
    }

    #[test]
    fn every_method_has_a_place() {
        let document = document(&[("QUERY", "/a"), ("PURGE", "/a"), ("ANY", "/a")]);
        assert_eq!(document["openapi"], "3.2.0");
        let item = &document["paths"]["/a"];
        assert!(item["query"].is_object() && item["additionalOperations"]["PURGE"].is_object());
        assert!(item["x-amazon-apigateway-any-method"].is_object());
    }
}
