//! The HTTP rules of a method, `google.api.http`.

use prost::Message as _;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};
use serde_json::{Value, json};

use super::schema;

/// Bindings of one method that are read.
const BINDINGS_MAX: usize = 100;
/// Messages in messages whose fields are parameters of the query.
const DEPTH_MAX: usize = 4;
/// Parameters of one binding.
const PARAMETERS_MAX: usize = 500;

#[derive(Clone, PartialEq, prost::Message)]
struct Options {
    #[prost(message, optional, tag = "72295728")]
    http: Option<Rule>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Rule {
    #[prost(oneof = "Pattern", tags = "2, 3, 4, 5, 6, 8")]
    pattern: Option<Pattern>,
    #[prost(string, tag = "7")]
    body: String,
    #[prost(string, tag = "12")]
    response_body: String,
    #[prost(message, repeated, tag = "11")]
    additional_bindings: Vec<Rule>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Pattern {
    #[prost(string, tag = "2")]
    Get(String),
    #[prost(string, tag = "3")]
    Put(String),
    #[prost(string, tag = "4")]
    Post(String),
    #[prost(string, tag = "5")]
    Delete(String),
    #[prost(string, tag = "6")]
    Patch(String),
    #[prost(message, tag = "8")]
    Custom(Custom),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Custom {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "2")]
    path: String,
}

/// One HTTP method and path of a gRPC method.
pub(super) struct Binding {
    pub(super) method: String,
    pub(super) path: String,
    /// The field that the body is; `*` for the whole message, empty for none.
    body: String,
    response_body: String,
}

/// The bindings that the encoded options of a method hold. A set need not hold the file that defines them.
pub(super) fn bindings(options: &[u8]) -> Vec<Binding> {
    let Some(rule) = Options::decode(options).ok().and_then(|options| options.http) else { return Vec::new() };
    let mut found = Vec::new();
    let mut open = vec![rule];
    while let Some(rule) = open.pop() {
        let Rule { pattern, body, response_body, additional_bindings } = rule;
        open.extend(additional_bindings.into_iter().rev());
        let (method, path) = match pattern {
            Some(Pattern::Get(path)) => ("GET".to_owned(), path),
            Some(Pattern::Put(path)) => ("PUT".to_owned(), path),
            Some(Pattern::Post(path)) => ("POST".to_owned(), path),
            Some(Pattern::Delete(path)) => ("DELETE".to_owned(), path),
            Some(Pattern::Patch(path)) => ("PATCH".to_owned(), path),
            Some(Pattern::Custom(Custom { kind, path })) => (kind, path),
            None => continue,
        };
        if !method.is_empty() && !path.is_empty() {
            let path = format!("/{}", path.trim_start_matches('/'));
            found.push(Binding { method, path, body, response_body });
        }
        if found.len() >= BINDINGS_MAX {
            break;
        }
    }
    found
}

impl Binding {
    pub(super) fn operation(&self, method: &MethodDescriptor, service: &str) -> Value {
        let (input, output) = (method.input(), method.output());
        let in_path = self.variables();
        let mut parameters: Vec<Value> = Vec::new();
        for name in &in_path {
            let schema = field_at(&input, name).map_or_else(|| json!({"type": "string"}), |field| text_schema(&field));
            parameters.push(json!({"in": "path", "name": name, "required": true, "schema": schema}));
        }
        if self.body != "*" {
            let skipped: Vec<&str> = in_path.iter().map(|name| &**name).chain([&*self.body]).collect();
            query(&input, "", 0, &skipped, &mut parameters);
        }
        let schema_of = |message: &MessageDescriptor, name: &str| match message.get_field_by_name(name) {
            Some(field) => schema::of_field(&field),
            None => schema::reference(message),
        };
        let mut written = json!({
            "tags": [service],
            "summary": method.full_name(),
            "parameters": parameters,
            "responses": {"200": {
                "description": "",
                "content": {"application/json": {"schema": schema_of(&output, &self.response_body)}},
            }},
        });
        if !self.body.is_empty() {
            let schema = schema_of(&input, &self.body);
            written["requestBody"] = json!({"content": {"application/json": {"schema": schema}}});
        }
        written
    }

    /// The names in braces, each once.
    fn variables(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for part in self.path.split('{').skip(1) {
            let name = part.split(['}', '=']).next().unwrap_or_default().trim();
            if !name.is_empty() && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        names
    }
}

fn field_at(message: &MessageDescriptor, path: &str) -> Option<FieldDescriptor> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let field = message.get_field_by_name(first)?;
    match rest {
        None => Some(field),
        Some(rest) => field_at(field.kind().as_message()?, rest),
    }
}

/// The schema of a field that stands in a URL, where 64 bits are digits like any number.
fn text_schema(field: &FieldDescriptor) -> Value {
    match field.kind() {
        Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64 => {
            json!({"type": "integer", "format": "int64"})
        }
        _ => schema::of_field(field),
    }
}

/// The fields that are neither in the path nor the body.
fn query(message: &MessageDescriptor, prefix: &str, depth: usize, skipped: &[&str], found: &mut Vec<Value>) {
    for field in message.fields() {
        let name = format!("{prefix}{}", field.name());
        if skipped.contains(&&*name) || found.len() >= PARAMETERS_MAX {
            continue;
        }
        let kind = field.kind();
        match kind.as_message().filter(|inner| !schema::is_plain(inner)) {
            Some(inner) if !field.is_list() && !field.is_map() && depth < DEPTH_MAX => {
                query(inner, &format!("{name}."), depth + 1, skipped, found);
            }
            Some(_) => {}
            None => found.push(json!({"in": "query", "name": name, "schema": text_schema(&field)})),
        }
    }
}
