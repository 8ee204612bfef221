use http::header;
use portolan_api::{Dialect, Error};
use serde_json::{Value, json};

use super::{
    asked::Asked,
    rules::{Rules, Told},
};
use crate::{
    codec,
    query::{encode_params, encode_query},
};

/// A request field of this name takes the header `content-encoding` of a streamed body.
const CONTENT_ENCODING_FIELD: &str = "content_encoding";

/// Paths of our own, named as Google's AIPs say, with the problem details of RFC 9457.
pub(super) struct Portolan;

impl Rules for Portolan {
    fn id(&self) -> Dialect {
        Dialect::Portolan
    }

    fn name(&self) -> &'static str {
        "portolan"
    }

    /// Whatever belongs to no other dialect.
    fn prefixes(&self) -> &'static [&'static str] {
        &[""]
    }

    fn head_to_wire(&self, asked: &Asked<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        let (plans, route) = (asked.plans(), asked.route);
        encode_query(plans, route, asked.query(), out)?;
        let encoding = asked.header(header::CONTENT_ENCODING);
        let plan = plans.message(route.rpc.request);
        if let Some(index) = plan.by_any_name(CONTENT_ENCODING_FIELD).filter(|_| !encoding.is_empty()) {
            codec::text_to_wire(plans, &plan.fields[index], encoding, out)?;
        }
        encode_params(plans, route, asked.values, out)
    }

    fn error_body(&self, told: &Told<'_>) -> Value {
        let reason = told.error.reason().as_str_name();
        json!({
            "type": format!("/docs#{reason}"),
            "title": title(reason),
            "status": told.status.as_u16(),
            "detail": told.error.text(),
            "reason": reason,
            "requestId": told.request_id,
        })
    }

    fn error_media_type(&self) -> &'static str {
        "application/problem+json"
    }

    fn error_schemas(&self, reasons: &[&str]) -> Vec<(String, Value)> {
        let text = json!({ "type": "string" });
        let schema = json!({
            "type": "object",
            "description": "Problem details of RFC 9457.",
            "required": ["type", "title", "status", "detail", "reason", "requestId"],
            "properties": {
                "type": text, "title": text, "status": { "type": "integer" }, "detail": text,
                "reason": { "type": "string", "enum": reasons }, "requestId": text,
            },
        });
        vec![(self.error_schema_name(false), schema)]
    }
}

/// `JOB_NOT_FOUND` as `Job not found`.
fn title(reason: &str) -> String {
    let words = reason.to_lowercase().replace('_', " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
