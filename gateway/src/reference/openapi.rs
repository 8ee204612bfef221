use portolan_api::{Error, Reason, common::v1::Carrier, options};
use portolan_authz::SESSION_COOKIE;
use serde_json::{Map, Value, json};

use super::{
    operation::{Operation, documented_errors},
    schema::{Direction, Schemas, example, example_of},
};
use crate::{
    dialect,
    routes::{BodyRule, Routes},
};

/// The statuses that every route may answer.
const SHARED_STATUSES: [(u16, &str); 3] = [
    (429, "Too many requests; `Retry-After` says how many seconds to wait."),
    (500, "A fault of the server; the request id finds it in the log."),
    (503, "A dependency does not answer; repeat after `Retry-After` seconds."),
];
/// Reasons that stand for every one of their kind: what is said of a status is the same for all of them.
const KINDS: [(Reason, &str); 4] = [
    (Reason::MemberType, "The request is wrong."),
    (Reason::JobNotFound, "There is no such thing, or not for this caller."),
    (Reason::CollectionNameTaken, "The name is taken, or the request meets another one."),
    (Reason::RoleHeld, "The state of things does not allow it."),
];

/// The OpenAPI 3.1 document.
pub(crate) fn document(operations: &[Operation], routes: &Routes) -> Value {
    let mut schemas = Schemas::new();
    let mut paths = Map::new();
    let mut tags: Vec<Value> = Vec::new();
    for operation in operations {
        let tag = json!({ "name": operation.service });
        if !tags.contains(&tag) {
            tags.push(tag);
        }
        let verb = operation.route.verb.as_str().to_lowercase();
        let path = paths.entry(&operation.path).or_insert_with(|| json!({}));
        path[verb] = describe(operation, routes, &mut schemas);
    }
    let reasons = reasons();
    schemas.named.extend(dialect::ALL.into_iter().flat_map(|dialect| dialect.error_schemas(&reasons)));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Portolan",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A self-hosted control plane for APIs. Unknown JSON members are ignored, null is the same \
                as absent, times are Unix seconds.",
            "license": { "name": "Apache 2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "apiKey": [] }, { "accessToken": [], "session": [] }, { "bearer": [] }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas.named,
            "headers": {
                "RequestId": {
                    "description": "Id of the request: the one sent in `x-request-id`, or a new one.",
                    "schema": { "type": "string" },
                },
                "ErrorReason": {
                    "description": "Name of the error in the catalog.",
                    "schema": { "type": "string", "enum": reasons },
                },
            },
            "parameters": {
                "IdempotencyKey": {
                    "name": "Idempotency-Key",
                    "in": "header",
                    "required": false,
                    "description": "Repeating a request with the same key within 24 hours gets the first answer again \
                        and does nothing; secrets are left out.",
                    "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
                },
            },
            "securitySchemes": {
                "apiKey": { "type": "apiKey", "in": "header", "name": "x-api-key" },
                "accessToken": { "type": "apiKey", "in": "header", "name": "access-token" },
                "session": { "type": "apiKey", "in": "cookie", "name": SESSION_COOKIE },
                "bearer": { "type": "http", "scheme": "bearer" },
            },
        },
    })
}

fn describe(operation: &Operation, routes: &Routes, schemas: &mut Schemas) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "tags": [operation.service],
        "summary": operation.summary,
        "description": join(&operation.description, &format!("Access: {}.", operation.access)),
        "parameters": parameters(operation, routes, schemas),
        "responses": responses(operation, schemas),
    });
    if operation.is_public() {
        described["security"] = json!([]);
    }
    if let Some(body) = request_body(operation, schemas) {
        described["requestBody"] = body;
    }
    described
}

fn parameters(operation: &Operation, routes: &Routes, schemas: &mut Schemas) -> Vec<Value> {
    let plan = routes.plans.message(operation.route.rpc.request);
    let mut parameters = Vec::new();
    let mut add = |index: &usize, place: &str| {
        let field = &plan.fields[*index];
        let Some(descriptor) = operation.request.get_field(field.number).filter(|_| !field.options.raw_body) else {
            return;
        };
        parameters.push(json!({
            "name": field.json_name,
            "in": place,
            "required": place == "path",
            "description": schemas.comment(&descriptor),
            "schema": schemas.field(&descriptor, Direction::Request),
        }));
    };
    operation.route.params.iter().for_each(|index| add(index, "path"));
    operation.query_fields().iter().for_each(|index| add(index, "query"));
    if operation.takes_idempotency_key() {
        parameters.push(json!({ "$ref": "#/components/parameters/IdempotencyKey" }));
    }
    parameters
}

fn request_body(operation: &Operation, schemas: &mut Schemas) -> Option<Value> {
    Some(match operation.route.body {
        BodyRule::None => return None,
        BodyRule::Message => json!({
            "content": { "application/json": {
                "schema": schemas.reference(&operation.request, Direction::Request),
                "example": example(&operation.request, Direction::Request, 0),
            } },
        }),
        BodyRule::Field(index) => {
            let field = operation.request.fields().nth(index)?;
            json!({
                "content": { "application/json": {
                    "schema": schemas.field(&field, Direction::Request),
                    "example": example_of(&field, Direction::Request, 0),
                } },
            })
        }
        BodyRule::Stream(_) => json!({
            "required": true,
            "description": "The file itself, of any size and media type.",
            "content": { "application/octet-stream": {} },
        }),
    })
}

fn responses(operation: &Operation, schemas: &mut Schemas) -> Value {
    let (schema, shown) = match operation.route.response_body.and_then(|index| operation.response.fields().nth(index)) {
        Some(field) => (schemas.field(&field, Direction::Answer), example_of(&field, Direction::Answer, 0)),
        None => (
            schemas.reference(&operation.response, Direction::Answer),
            example(&operation.response, Direction::Answer, 0),
        ),
    };
    let request_id = json!({ "$ref": "#/components/headers/RequestId" });
    let mut responses = Map::new();
    let location = operation.response.fields().any(|field| options::field(&field).carrier == Carrier::Location);
    if location {
        let headers = json!({ "x-request-id": request_id, "location": { "schema": { "type": "string" } } });
        responses.insert("302".into(), json!({ "description": "Success: go on at `location`.", "headers": headers }));
    } else {
        responses.insert(
            "200".into(),
            json!({
                "description": "Success",
                "headers": { "x-request-id": request_id },
                "content": { "application/json": { "schema": schema, "example": shown } },
            }),
        );
    }
    let media_type = operation.dialect().error_media_type();
    let name = operation.dialect().error_schema_name(operation.route.rpc.is_oauth);
    for (status, description) in error_statuses(operation) {
        responses.entry(status.to_string()).or_insert(json!({
            "description": description,
            "headers": {
                "x-request-id": request_id,
                "x-portolan-error": { "$ref": "#/components/headers/ErrorReason" },
            },
            "content": { media_type: { "schema": { "$ref": format!("#/components/schemas/{name}") } } },
        }));
    }
    Value::Object(responses)
}

/// Which statuses an error of this route may have, with what they mean.
fn error_statuses(operation: &Operation) -> Vec<(u16, &'static str)> {
    let dialect = operation.dialect().id();
    let status_of = |reason: Reason| Error::new(reason).http_status(dialect);
    let mut statuses = SHARED_STATUSES.to_vec();
    statuses.extend(KINDS.map(|(reason, description)| (status_of(reason), description)));
    if !matches!(operation.route.body, BodyRule::None) {
        statuses.push((status_of(Reason::BodyTooLarge), "The body is too large."));
        statuses.push((status_of(Reason::ContentTypeUnsupported), "The body has another content type."));
    }
    if operation.takes_idempotency_key() {
        let description = "The `Idempotency-Key` was used with another request, or its request is under way.";
        statuses.push((status_of(Reason::IdempotencyKeyReused), description));
    }
    // Public routes take credentials of their own in the body.
    statuses.push((status_of(Reason::Unauthenticated), "No credential, or one that is not good."));
    statuses.push((403, "A good credential that may not call this."));
    statuses
}

fn reasons() -> Vec<&'static str> {
    documented_errors().iter().map(|error| error.reason.as_str_name()).collect()
}

fn join(first: &str, second: &str) -> String {
    if first.is_empty() { second.to_owned() } else { format!("{first}\n\n{second}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `$ref` in a document, wherever it stands.
    fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn the_document_is_whole() {
        let document = super::super::openapi().unwrap();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 100);
        for reference in found {
            assert!(document.pointer(&reference[1..]).is_some_and(|target| !target.is_null()), "{reference}");
        }
        for (path, verbs) in document["paths"].as_object().unwrap() {
            for (verb, operation) in verbs.as_object().unwrap() {
                assert!(!operation["summary"].as_str().unwrap().is_empty(), "{verb} {path} has no comment");
            }
        }
        let me = &document["paths"]["/api/me"]["post"];
        assert_eq!(me["operationId"], "Identity_GetMe");
        assert!(me["responses"]["401"].is_object() && me["responses"]["422"].is_object());
        let list = &document["paths"]["/v1/jobs"]["get"]["parameters"][0];
        assert_eq!((&list["name"], &list["in"]), (&json!("pageSize"), &json!("query")));
        let collection = &document["components"]["schemas"]["ApiCollection"]["properties"];
        assert_eq!(collection["hostName"]["type"], json!(["string", "null"]));
    }
}
