//! Calls in the manner of Katapult's core API: arguments from path, query, form and body, failures by code.

mod arguments;
mod check;
mod params;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use portolan_api::{Dialect, Error, Reason, options::BODY_BYTES_MAX};
use serde_json::{Value, json};

use super::{
    asked::Asked,
    rules::{Rules, Told},
};

/// The published schema of a failure is flat, the documented wire form stands under `error`: both are served.
pub(super) struct Katapult;

impl Rules for Katapult {
    fn id(&self) -> Dialect {
        Dialect::Katapult
    }

    fn name(&self) -> &'static str {
        "katapult"
    }

    fn prefixes(&self) -> &'static [&'static str] {
        &["/core/v1", "/api_tokens", "/organizations"]
    }

    /// Every verb may bring arguments in its body.
    fn body_limit(&self, _asked: &Asked<'_>, _is_empty: bool) -> Result<Option<usize>, Error> {
        Ok(Some(BODY_BYTES_MAX))
    }

    fn to_wire(&self, asked: &Asked<'_>, body: &Bytes, out: &mut Vec<u8>) -> Result<(), Error> {
        arguments::to_wire(asked, body, out)
    }

    fn error_body(&self, told: &Told<'_>) -> Value {
        let error = told.error;
        let flat = json!({ "code": error.katapult_code(), "description": error.text(), "detail": detail(error) });
        let mut body = flat.clone();
        body["error"] = flat;
        body
    }

    fn error_headers(&self, _error: &Error, headers: &mut HeaderMap) {
        headers.insert("x-api-schema", HeaderValue::from_static("json-error"));
    }

    /// Lets pages of every origin read the answer: what it shows was asked for with a credential that browsers never
    /// add by themselves.
    fn finish(&self, headers: &mut HeaderMap) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("*"));
        headers
            .insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, content-type, *"));
    }

    fn options_status(&self) -> StatusCode {
        StatusCode::OK
    }

    fn credential_example(&self) -> &'static str {
        "Authorization: Bearer $PORTOLAN_KEY"
    }

    fn error_schemas(&self, _reasons: &[&str]) -> Vec<(String, Value)> {
        let text = json!({ "type": "string" });
        let flat = json!({ "code": text, "description": text, "detail": { "type": "object" } });
        let mut properties = flat.clone();
        properties["error"] = json!({ "type": "object", "properties": flat });
        let schema = json!({
            "type": "object",
            "required": ["code", "description", "detail", "error"],
            "properties": properties,
        });
        vec![(self.error_schema_name(false), schema)]
    }
}

/// The documented members of each code, with their types: an object in any case.
fn detail(error: &Error) -> Value {
    let metadata = error.metadata();
    if let Some(detail) = metadata.get("detail_json").and_then(|text| serde_json::from_str(text).ok()) {
        return detail;
    }
    match error.reason() {
        Reason::InvalidApiToken | Reason::PermissionDenied => json!({ "details": metadata.get("details") }),
        Reason::BodyNotJson => json!({ "details": metadata.get("detail") }),
        _ => json!({}),
    }
}
