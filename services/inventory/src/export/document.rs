use std::collections::{BTreeMap, BTreeSet};

use portolan_engine::{Aggregate, ParameterKey, REQUEST, template::SplitUrl};
use portolan_path::{Kind, Part, Segment};
use serde_json::{Map, Value, json};

use crate::{
    export::{schema, schema::Seen},
    model::collections::Collection,
};

/// Methods that a document can hold.
const METHODS: [&str; 8] = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"];

/// Methods whose request body is described.
const WITH_BODY: [&str; 3] = ["POST", "PUT", "PATCH"];

/// Headers that OpenAPI describes elsewhere, and those that belong to the connection.
const LEFT_OUT: [&str; 6] = ["accept", "authorization", "connection", "content-length", "content-type", "host"];

const JSON: &str = "application/json";

/// One endpoint with what the document says of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Operation {
    pub(super) url: String,
    pub(super) method: String,
    /// Also of statuses without a body.
    pub(super) response_codes: BTreeSet<i32>,
    pub(super) description: Option<String>,
    pub(super) deprecated: bool,
    pub(super) parameters: BTreeMap<ParameterKey, Aggregate>,
}

/// The document of some operations.
pub(super) fn write(collection: &Collection, operations: &[Operation], include_headers: bool) -> Value {
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let origins: BTreeSet<&str> = operations.iter().map(|operation| SplitUrl::new(&operation.url).origin).collect();
    let common = if origins.len() == 1 { origins.first().copied() } else { None };
    for operation in operations.iter().filter(|operation| METHODS.contains(&operation.method.as_str())) {
        let split = SplitUrl::new(&operation.url);
        let method = operation.method.to_ascii_lowercase();
        let written = write_operation(operation, include_headers, common.is_none());
        // URLs that differ only in their origin or in the kind of a segment share a path of the document: names tell
        // them apart, so that none is lost.
        let mut round = 0;
        loop {
            let path = path_of(&split, round);
            let item = paths.entry(path).or_default();
            if !item.contains_key(&method) {
                item.insert(method, named(written, round));
                break;
            }
            if !has_variable(&split) {
                // A static path has no name to change: the operation is reachable at each of the servers.
                add_servers(item.get_mut(&method), &written);
                break;
            }
            round += 1;
        }
    }
    let mut document = json!({
        "openapi": "3.0.1",
        "info": {
            "title": collection.display_name(),
            "version": "1.0.0",
            "description": "Endpoints of the collection as observed and declared.",
        },
        "paths": paths,
    });
    let server = match (&collection.host_name, common) {
        (_, Some(origin)) if !origin.is_empty() => Some(origin.to_owned()),
        (Some(host), _) => Some(format!("https://{host}")),
        _ => None,
    };
    if let Some(url) = server {
        document["servers"] = json!([{"url": url}]);
    }
    document
}

fn write_operation(operation: &Operation, include_headers: bool, with_server: bool) -> Value {
    let Operation { url, method, .. } = operation;
    let mut written = json!({
        "operationId": format!("{url}-{method}"),
        "summary": format!("{method} request for endpoint {url}"),
        "responses": responses(operation, include_headers),
    });
    let split = SplitUrl::new(url);
    if with_server && !split.origin.is_empty() {
        written["servers"] = json!([{"url": split.origin}]);
    }
    if let Some(description) = operation.description.as_deref().filter(|text| !text.is_empty()) {
        written["description"] = Value::from(description);
    }
    if operation.deprecated {
        written["deprecated"] = Value::Bool(true);
    }
    let parameters = request_parameters(operation, &split, include_headers);
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

/// The path of the document: variable segments become `{param1}` and so on.
fn path_of(split: &SplitUrl<'_>, round: usize) -> String {
    let mut number = 0;
    let segments: Vec<String> = split
        .segments()
        .map(|segment| {
            let mut name = || {
                number += 1;
                format!("{{{}}}", parameter_name(number, round))
            };
            match Segment::of_words(segment) {
                Segment::Literal(text) => text,
                Segment::Variable(_) | Segment::Greedy(_) => name(),
                Segment::Mixed(parts) => parts
                    .into_iter()
                    .map(|part| match part {
                        Part::Literal(text) => text,
                        Part::Variable(_) => name(),
                    })
                    .collect(),
            }
        })
        .collect();
    let url = split.with_segments(segments.iter().map(String::as_str));
    let path = &url[split.origin.len()..];
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

fn parameter_name(number: usize, round: usize) -> String {
    if round == 0 { format!("param{number}") } else { format!("param{number}_{round}") }
}

fn has_variable(split: &SplitUrl<'_>) -> bool {
    split.segments().any(|segment| !Segment::of_words(segment).is_literal())
}

/// Gives the path parameters the names they have in this round.
fn named(mut operation: Value, round: usize) -> Value {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten();
    for (index, parameter) in parameters.filter(|parameter| parameter["in"] == "path").enumerate() {
        parameter["name"] = Value::from(parameter_name(index + 1, round));
    }
    operation
}

fn add_servers(known: Option<&mut Value>, other: &Value) {
    let servers = other.get("servers").and_then(Value::as_array);
    if let Some(known) = known
        && let (Some(known), Some(servers)) = (known.get_mut("servers").and_then(Value::as_array_mut), servers)
    {
        known.extend(servers.iter().cloned());
    }
}

fn request_parameters(operation: &Operation, split: &SplitUrl<'_>, include_headers: bool) -> Vec<Value> {
    let mut written = Vec::new();
    let in_path = named_seen(operation, |key| key.is_url_param);
    for (index, segment) in split.segments().enumerate() {
        for variable in Segment::of_words(segment).variables() {
            let schema = match variable.kind {
                Kind::Integer => json!({"type": "integer"}),
                Kind::Float => json!({"type": "number"}),
                _ => {
                    let seen = in_path.get(index.to_string().as_str()).map(Seen::schema);
                    seen.filter(|schema| schema["type"] == "string").unwrap_or_else(|| json!({"type": "string"}))
                }
            };
            written.push(json!({"name": "", "in": "path", "required": true, "schema": schema}));
        }
    }
    let query = named_seen(operation, |key| key.is_query_param);
    written.extend(query.iter().map(|(name, seen)| parameter(name, "query", seen)));
    if include_headers {
        let headers = named_seen(operation, |key| key.response_code == REQUEST && key.is_header);
        let described = headers.iter().filter(|(name, _)| !LEFT_OUT.contains(name) && !name.starts_with(':'));
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

    fn document(urls: &[&str]) -> Value {
        let operation = |url: &&str| Operation { url: (*url).to_owned(), method: "GET".into(), ..Operation::default() };
        let collection = Collection {
            id: 1,
            name: "Payments".into(),
            description: None,
            created_at: 0,
            host_name: None,
            kind: None,
            tags: Vec::new(),
            access_type: None,
            redacted: false,
            deactivated: false,
            out_of_testing_scope: false,
            automated: false,
            endpoint_count: 0,
            write_id: None,
            deleted: false,
            conditions: None,
            values_removed: true,
            made_by: None,
            sharing: Default::default(),
        };
        write(&collection, &urls.iter().map(operation).collect::<Vec<_>>(), true)
    }

    #[test]
    fn one_origin_is_the_server_of_all() {
        let document = document(&["https://a.example/v/INTEGER", "https://a.example/x"]);
        assert_eq!(document["servers"][0]["url"], "https://a.example");
        let operation = &document["paths"]["/v/{param1}"]["get"];
        assert_eq!(operation["parameters"][0]["schema"]["type"], "integer");
        assert_eq!(operation["parameters"][0]["name"], "param1");
        assert!(operation.get("servers").is_none());
        assert_eq!(operation["responses"]["default"]["description"], "No answer is known");
    }

    #[test]
    fn paths_that_meet_are_told_apart() {
        let document = document(&["/v/INTEGER", "/v/STRING", "https://a.example/x", "https://b.example/x"]);
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.keys().collect::<Vec<_>>(), ["/v/{param1_1}", "/v/{param1}", "/x"]);
        assert_eq!(paths["/v/{param1_1}"]["get"]["parameters"][0]["name"], "param1_1");
        assert_eq!(paths["/x"]["get"]["servers"].as_array().unwrap().len(), 2);
    }
}
