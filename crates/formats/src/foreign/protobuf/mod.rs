//! gRPC: sets of descriptors and `.proto` files. Each method is an operation at its path, `POST /package.Service/Method`,
//! and each of its HTTP rules another.

mod compile;
mod rules;
mod schema;

use prost::Message as _;
use prost_reflect::{DescriptorPool, MessageDescriptor, MethodDescriptor};
use serde_json::{Map, Value, json};

use crate::FormatError;
use crate::notes::{Notes, cut};

use super::build::Foreign;
pub(crate) use compile::{Sources, is_source};
use rules::Binding;

/// Whether the first bytes are those of a set of descriptors: a first file, whose name comes first.
pub(crate) fn is_descriptor_set(bytes: &[u8]) -> bool {
    const FIELD_1: u8 = 0x0A;
    let inner = |bytes: &mut &[u8]| {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        (*first == FIELD_1).then_some(())?;
        let length = prost::encoding::decode_varint(bytes).ok()?;
        usize::try_from(length).ok()
    };
    let mut rest = bytes;
    let name = inner(&mut rest).and_then(|_| inner(&mut rest)).and_then(|length| rest.get(..length));
    name.is_some_and(|name| name.ends_with(b".proto") && std::str::from_utf8(name).is_ok())
}

/// # Errors
/// [`FormatError::NotOpenApi`] where the bytes are no set, or one that lacks a file that another needs.
pub(crate) fn of_descriptor_set(bytes: &[u8]) -> Result<Foreign, FormatError> {
    // Sets leave out what every reader has.
    let with_known = || {
        let mut pool = DescriptorPool::global();
        pool.decode_file_descriptor_set(bytes).map(|()| pool)
    };
    let pool = DescriptorPool::decode(bytes).or_else(|error| with_known().map_err(|_| error));
    let pool = pool.map_err(|error| {
        FormatError::NotOpenApi(format!("the set of gRPC descriptors cannot be read: {}", cut(&error.to_string())))
    })?;
    description(&pool, Notes::default())
}

/// # Errors
/// [`FormatError::NotOpenApi`] where the files do not compile or have no service.
pub(crate) fn of_sources(sources: &Sources) -> Result<Foreign, FormatError> {
    let mut notes = Notes::default();
    let pool = compile::compile(sources, &mut notes)?;
    description(&pool, notes)
}

fn description(pool: &DescriptorPool, notes: Notes) -> Result<Foreign, FormatError> {
    let mut writer = Writer { paths: Map::new(), notes };
    let mut title = None;
    for service in pool.services() {
        let package = Some(service.package_name()).filter(|package| !package.is_empty());
        title.get_or_insert_with(|| package.unwrap_or(service.full_name()).to_owned());
        for method in service.methods() {
            writer.method(&method);
        }
    }
    let Writer { paths, notes } = writer;
    if paths.is_empty() {
        return Err(FormatError::NotOpenApi("the gRPC description has no method of a service".to_owned()));
    }
    let document = json!({
        "openapi": "3.2.0",
        "info": {"title": title, "version": ""},
        "paths": paths,
        "components": {"schemas": schema::all(pool)},
    });
    Ok(Foreign::new(&document, notes))
}

struct Writer {
    paths: Map<String, Value>,
    notes: Notes,
}

impl Writer {
    fn method(&mut self, method: &MethodDescriptor) {
        let service = method.parent_service().full_name().to_owned();
        let content = |message: MessageDescriptor| json!({"application/grpc": {"schema": schema::reference(&message)}});
        let own = json!({
            "tags": [service],
            "summary": method.full_name(),
            "deprecated": method.method_descriptor_proto().options.as_ref().is_some_and(|options| options.deprecated()),
            "requestBody": {"content": content(method.input())},
            "responses": {"200": {"description": "", "content": content(method.output())}},
        });
        self.add(&format!("/{service}/{}", method.name()), "post", own, method);
        let options = method.options().encode_to_vec();
        for binding in rules::bindings(&options) {
            let Binding { method: verb, path, .. } = &binding;
            self.add(path, &verb.to_lowercase(), binding.operation(method, &service), method);
        }
    }

    fn add(&mut self, path: &str, verb: &str, operation: Value, method: &MethodDescriptor) {
        const FIXED: [&str; 9] = ["get", "put", "post", "delete", "options", "head", "patch", "trace", "query"];
        let item = self.paths.entry(path.to_owned()).or_insert_with(|| json!({}));
        // A rule of the kind `*` is for each method that has none of its own.
        let place = match verb {
            "*" => &mut item["x-amazon-apigateway-any-method"],
            verb if FIXED.contains(&verb) => &mut item[verb],
            verb => &mut item["additionalOperations"][verb.to_uppercase()],
        };
        if place.is_null() {
            *place = operation;
        } else {
            let (verb, path, name) = (verb.to_uppercase(), cut(path), cut(method.full_name()));
            self.notes.warn(format!("{name} shares the endpoint {verb} {path} of another method"));
        }
    }
}
