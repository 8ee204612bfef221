use std::collections::BTreeMap;

use portolan_record::{Record, Source};
use serde_json::{Map as JsonMap, Value, json};

use crate::tree::{Map, Node};
use crate::{ImportError, Target};

/// Media types whose bodies can be written.
const MEDIA_TYPES: [&str; 10] = [
    "application/json",
    "application/xml",
    "application/x-www-form-urlencoded",
    "application/yaml",
    "application/x-yaml",
    "application/soap+xml",
    "text/xml",
    "text/plain",
    "text/html",
    "multipart/form-data",
];

/// What became of one endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointOutcome {
    /// Lower-case; empty when the endpoint names none, which is then refused.
    pub host: String,
    /// As the file has it.
    pub url: String,
    /// Upper-case.
    pub method: String,
    /// Empty when the endpoint cannot be converted; `errors` then says why.
    pub records: Vec<Record<'static>>,
    /// What is wrong with it; an endpoint without errors is imported.
    pub errors: Vec<ImportError>,
}

/// A list, or the one value that stands in its place.
pub(super) fn list(node: Option<&Node>) -> impl Iterator<Item = &Node> {
    match node {
        Some(Node::List(list)) => list.iter(),
        Some(Node::Null) | None => [].iter(),
        Some(other) => std::slice::from_ref(other).iter(),
    }
}

pub(super) fn convert(node: &Node, host: String, target: &Target, samples_max: usize) -> EndpointOutcome {
    let text =
        |name: &str| node.get(name).and_then(Node::scalar).map(|text| text.trim().to_owned()).unwrap_or_default();
    let method = text("method").to_ascii_uppercase();
    let resource = text("resource");
    let mut outcome = EndpointOutcome { host, url: String::new(), method, records: Vec::new(), errors: Vec::new() };
    let refuse = |outcome: &mut EndpointOutcome, error: &str| outcome.errors.push(ImportError::error(error.to_owned()));
    if node.as_map().is_none() {
        refuse(&mut outcome, "Failed to parse Imperva schema: the endpoint is not an object");
        return outcome;
    }
    if outcome.method.is_empty() || resource.is_empty() {
        refuse(&mut outcome, "Missing required fields: method or resource");
        return outcome;
    }
    if outcome.host.is_empty() {
        refuse(&mut outcome, "Hostname not found in Imperva file");
        return outcome;
    }
    outcome.url = format!("https://{}{}", outcome.host, templated(&resource));
    let request = node.get("request").unwrap_or(&Node::Null);
    let responses = node.get("responses").unwrap_or(&Node::Null);
    let ok = responses.get("200").unwrap_or(&Node::Null);
    let bodies = bodies(request.get("contentTypeToRequestBody"));
    let answers = self::bodies(ok.get("contentTypeToResponseBody"));
    let mut seen = 1;
    let mut sample = 0;
    while sample < seen.min(samples_max) {
        // An endpoint without a body is one as well; one with several media types is written once for each.
        let written: Vec<_> = if bodies.is_empty() { vec![None] } else { bodies.iter().map(Some).collect() };
        for body in written {
            let mut values = Values { sample, types_max: 1 };
            let media_type = body.map(|(media_type, _)| *media_type);
            let answer =
                answers.iter().find(|(other, _)| media_type.is_none_or(|own| own == *other)).or(answers.first());
            let record = Record {
                account_id: target.account_id,
                collection_id: target.collection_id,
                source: Source::Imperva,
                method: outcome.method.clone().into(),
                path: format!("{}{}", outcome.url, query(request, &mut values)).into(),
                protocol: "HTTP/1.1".into(),
                request_headers: headers(request, node, media_type, Some(&outcome.host), &mut values).into(),
                request_payload: body
                    .map(|(media, fields)| written_body(media, fields, &mut values))
                    .unwrap_or_default()
                    .into(),
                response_headers: headers(ok, &Node::Null, answer.map(|(media, _)| *media), None, &mut values).into(),
                response_payload: answer
                    .map(|(media, fields)| written_body(media, fields, &mut values))
                    .unwrap_or_default()
                    .into(),
                status_code: 200,
                status: "OK".into(),
                time: target.time,
                ip: "null".into(),
                direction: 1,
                ..Record::default()
            };
            seen = seen.max(values.types_max);
            outcome.records.push(record);
        }
        sample += 1;
    }
    outcome
}

/// The path with its marked segments as type tokens.
fn templated(resource: &str) -> String {
    let path = resource.split(['?', '#']).next().unwrap_or_default().trim_start_matches('/');
    let is_marked = |segment: &str| segment.len() > 2 && segment.starts_with('{') && segment.ends_with('}');
    let segments = path.split('/').map(|segment| if is_marked(segment) { "STRING" } else { segment });
    format!("/{}", segments.collect::<Vec<_>>().join("/"))
}

/// The bodies that can be written, by media type.
fn bodies(node: Option<&Node>) -> Vec<(&str, &Node)> {
    let known =
        |media: &str| MEDIA_TYPES.contains(&media.split(';').next().unwrap_or_default().trim().to_lowercase().as_str());
    node.and_then(Node::as_map).into_iter().flat_map(Map::iter).filter(|(media, _)| known(media)).collect()
}

/// Writes values by type. The `sample`-th declared type of a field is used, or its last one.
struct Values {
    sample: usize,
    /// The most types that one field declares.
    types_max: usize,
}

impl Values {
    fn of_field(&mut self, field: &Node) -> Value {
        let types: Vec<_> =
            list(field.get("dataTypes").or_else(|| field.get("dataType")).or_else(|| field.get("type"))).collect();
        self.types_max = self.types_max.max(types.len());
        match types.get(self.sample.min(types.len().saturating_sub(1))) {
            Some(kind) => self.of_type(kind, field),
            None => json!("sample_value"),
        }
    }

    fn of_type(&mut self, kind: &Node, field: &Node) -> Value {
        let name =
            kind.as_text().or_else(|| ["type", "dataType", "name"].iter().find_map(|name| kind.get(name)?.as_text()));
        let children = |names: &[&str]| names.iter().find_map(|name| kind.get(name).or_else(|| field.get(name)));
        match name.unwrap_or_default().to_ascii_lowercase().as_str() {
            "string" => json!("sample_string"),
            "number" | "integer" | "int" | "long" | "float" | "double" => json!(123),
            "boolean" | "bool" => json!(true),
            "null" => Value::Null,
            "object" => {
                let fields = children(&["properties", "children", "fields", "parameters", "objectProperties", "value"]);
                Value::Object(self.object(fields))
            }
            "array" | "list" => {
                let item = children(&["items", "elements", "arrayItems", "elementTypes", "children", "value"]);
                let first = item.map(|item| list(Some(item)).next());
                match first.flatten() {
                    Some(item) if item.get("dataTypes").is_some() || item.get("dataType").is_some() => {
                        json!([self.of_field(item)])
                    }
                    Some(item) => json!([self.of_type(item, &Node::Null)]),
                    None => json!([]),
                }
            }
            _ => json!("sample_value"),
        }
    }

    /// Fields are a list of named ones, or an object of them.
    fn object(&mut self, fields: Option<&Node>) -> JsonMap<String, Value> {
        let mut object = JsonMap::new();
        match fields {
            Some(Node::Map(map)) => {
                for (name, field) in map.iter() {
                    object.insert(name.to_owned(), self.of_field(field));
                }
            }
            other => {
                for field in list(other) {
                    if let Some(name) = field.get("name").and_then(Node::scalar) {
                        object.insert(name, self.of_field(field));
                    }
                }
            }
        }
        object
    }
}

fn written_body(media_type: &str, fields: &Node, values: &mut Values) -> String {
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_lowercase();
    // One field without a name is the whole body.
    let unnamed = list(Some(fields)).next().filter(|field| {
        field.as_map().is_some() && field.get("name").and_then(Node::scalar).is_none_or(|name| name.is_empty())
    });
    let body = match unnamed {
        Some(field) if matches!(fields, Node::List(_)) => values.of_field(field),
        _ => Value::Object(values.object(Some(fields))),
    };
    match media_type.as_str() {
        "application/x-www-form-urlencoded" => match body {
            Value::Object(object) => {
                let pairs = object.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(&plain(value))));
                pairs.collect::<Vec<_>>().join("&")
            }
            other => plain(&other),
        },
        "application/xml" | "text/xml" | "application/soap+xml" => format!("<root>{}</root>", xml(&body)),
        "text/plain" | "text/html" => plain(&body),
        _ => body.to_string(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn xml(value: &Value) -> String {
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    match value {
        Value::Object(object) => {
            let tag = |name: &str| name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect::<String>();
            object.iter().map(|(name, inner)| format!("<{0}>{1}</{0}>", tag(name), xml(inner))).collect()
        }
        Value::Array(list) => list.iter().map(|inner| format!("<item>{}</item>", xml(inner))).collect(),
        other => escaped(&plain(other)),
    }
}

fn query(request: &Node, values: &mut Values) -> String {
    let mut pairs = Vec::new();
    for field in list(request.get("queryParamList")) {
        let Some(name) = field.as_text().map(str::to_owned).or_else(|| field.get("name").and_then(Node::scalar)) else {
            continue;
        };
        let typed = field.get("dataTypes").is_some() || field.get("dataType").is_some();
        let value = if typed { plain(&values.of_field(field)) } else { "sample_query_value".to_owned() };
        pairs.push(format!("{}={}", encoded(&name), encoded(&value)));
    }
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

fn headers(part: &Node, endpoint: &Node, media_type: Option<&str>, host: Option<&str>, values: &mut Values) -> String {
    let mut headers = BTreeMap::new();
    for field in list(part.get("headerList")) {
        let name = field.as_text().map(str::to_owned).or_else(|| field.get("name").and_then(Node::scalar));
        let Some(name) = name.map(|name| name.trim().to_lowercase()).filter(|name| !name.is_empty()) else { continue };
        let given = field.get("value").and_then(Node::scalar).filter(|value| !value.is_empty());
        let typed = field.get("dataTypes").is_some();
        let value = given.unwrap_or_else(|| match &*name {
            "cookie" => "sample_cookie_value".to_owned(),
            _ if typed => plain(&values.of_field(field)),
            _ => "sample_header_value".to_owned(),
        });
        headers.insert(name, value);
    }
    for location in list(endpoint.get("authenticationInfo").and_then(|info| info.get("authParameterLocations"))) {
        let named = location.get("authParameterLocation").and_then(Node::as_text).or(location.as_text());
        if let Some(name) =
            named.and_then(|named| named.strip_prefix("http-req-header-")).filter(|name| !name.is_empty())
        {
            headers.insert(name.to_lowercase(), "sample_token".to_owned());
        }
    }
    if let Some(media_type) = media_type {
        headers.entry("content-type".to_owned()).or_insert_with(|| media_type.to_owned());
    }
    if let Some(host) = host {
        headers.entry("host".to_owned()).or_insert_with(|| host.to_owned());
    }
    if headers.is_empty() { String::new() } else { serde_json::to_string(&headers).expect("text always serializes") }
}
