//! Calls in the manner of Workato's developer API, and RFC 6749 for its clients' tokens.

mod form;

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use portolan_api::{Dialect, Error, Reason};
use serde_json::{Value, json};

use super::{
    asked::Asked,
    json,
    rules::{Form, Rules, Told},
};
use crate::{
    codec::{self, Manner},
    query::encode_headers,
};

const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const OAUTH_ERROR: &str = "OauthError";
/// Largest body of a route that takes forms.
const FORM_BYTES_MAX: usize = 64 * 1024;

/// What is wrong with single fields stands under `errors`, and the texts of statuses are documented.
pub(super) struct Workato;

impl Rules for Workato {
    fn id(&self) -> Dialect {
        Dialect::Workato
    }

    fn name(&self) -> &'static str {
        "workato"
    }

    fn prefixes(&self) -> &'static [&'static str] {
        &[
            "/api/managed_users",
            "/api/v2/managed_users",
            "/api/api_clients",
            "/api/api_access_profiles",
            "/api/v2/api_clients",
            "/api/api_collections",
            "/api/api_endpoints",
            "/oauth2/token",
        ]
    }

    fn body_limit(&self, asked: &Asked<'_>, is_empty: bool) -> Result<Option<usize>, Error> {
        if asked.route.rpc.is_oauth { Ok(Some(FORM_BYTES_MAX)) } else { json::body_limit(asked, is_empty) }
    }

    fn to_wire(&self, asked: &Asked<'_>, body: &Bytes, out: &mut Vec<u8>) -> Result<(), Error> {
        if !asked.route.rpc.is_oauth {
            return json::to_wire(asked, body, out);
        }
        let body = form::to_json(asked.headers(), body)?;
        codec::json_to_wire(asked.plans(), asked.route.rpc.request, None, &body, Manner::Strict, out)?;
        encode_headers(asked.plans(), asked.route, asked.headers(), out)
    }

    /// RFC 6749 knows one code for everything that is wrong with the request itself.
    fn restate<'e>(&self, error: &'e Error, form: Form) -> Cow<'e, Error> {
        let is_request = (400..=415).contains(&error.http_status(self.id())) && !is_oauth(error.reason());
        if form.is_oauth && is_request {
            Cow::Owned(Error::new(Reason::OauthInvalidRequest).with("detail", error.text()))
        } else {
            Cow::Borrowed(error)
        }
    }

    fn error_body(&self, told: &Told<'_>) -> Value {
        let Told { error, status, request_id, .. } = *told;
        let metadata = error.metadata();
        if is_oauth(error.reason()) {
            let description = metadata.get("detail").map_or("The request cannot be answered", String::as_str);
            return json!({ "error": error.text(), "error_description": description });
        }
        if error.reason() == Reason::BodyNotJson {
            return json!({ "message": "Bad request" });
        }
        match status {
            StatusCode::UNAUTHORIZED => return json!({ "message": "Unauthorized" }),
            StatusCode::NOT_FOUND => return json!({ "message": "Not found" }),
            StatusCode::INTERNAL_SERVER_ERROR => return json!({ "message": "Server error", "id": request_id }),
            _ => {}
        }
        let mut body = json!({ "message": error.text() });
        if let Some(fields) = metadata.get("errors_json").and_then(|text| serde_json::from_str::<Value>(text).ok()) {
            body["errors"] = fields;
        } else if let Some(member) = metadata.get("member") {
            let detail = metadata.get("detail").cloned().unwrap_or_else(|| error.text());
            body = json!({ "message": Error::from(Reason::ValidationFailed).text(), "errors": { member: [detail] } });
        }
        body
    }

    fn challenge(&self, error: &Error) -> &'static str {
        match error.reason() {
            Reason::OauthInvalidClient => "Basic realm=\"oauth2\", charset=\"UTF-8\"",
            _ => "Bearer",
        }
    }

    /// Every body names its charset.
    fn finish(&self, headers: &mut HeaderMap) {
        if let Some(content_type) = headers.get_mut(header::CONTENT_TYPE) {
            *content_type = CONTENT_TYPE;
        }
    }

    fn omitted_param(&self) -> Option<&'static str> {
        Some("managed_user_id")
    }

    fn credential_example(&self) -> &'static str {
        "Authorization: Bearer $PORTOLAN_KEY"
    }

    fn error_schema_name(&self, is_oauth: bool) -> String {
        if is_oauth { OAUTH_ERROR } else { "WorkatoError" }.to_owned()
    }

    fn error_schemas(&self, _reasons: &[&str]) -> Vec<(String, Value)> {
        let text = json!({ "type": "string" });
        let own = self.error_schema_name(false);
        let schema = json!({
            "type": "object",
            "required": ["message"],
            "properties": {
                "message": text,
                "errors": { "type": "object", "additionalProperties": { "type": "array", "items": text } },
            },
        });
        // Of RFC 6749, or of the dialect where the fault is not in what OAuth defines.
        let oauth = json!({
            "anyOf": [
                {
                    "type": "object",
                    "required": ["error", "error_description"],
                    "properties": { "error": text, "error_description": text },
                },
                { "$ref": format!("#/components/schemas/{own}") },
            ],
        });
        vec![(own, schema), (OAUTH_ERROR.to_owned(), oauth)]
    }
}

fn is_oauth(reason: Reason) -> bool {
    matches!(reason, Reason::OauthInvalidClient | Reason::OauthInvalidRequest | Reason::OauthUnsupportedGrantType)
}
