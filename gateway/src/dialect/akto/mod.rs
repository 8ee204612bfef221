//! Calls in the manner of Akto: everything is a POST with an object, a failure is a list of texts.
//!
//! Its clients are scripts and plugins: they send numbers as texts, forms in place of objects, and bodies without a
//! content type, and all of that is read.

mod body;
mod form;

use bytes::Bytes;
use portolan_api::{Dialect, Error, Reason};
use portolan_runtime::budget::Hold;
use serde_json::{Value, json};

use super::{
    asked::Asked,
    json,
    rules::{Rules, Told},
};
use crate::{
    codec::{self, Manner},
    query::{encode_cookies, encode_params, encode_query},
    routes::BodyRule,
};
use body::Form;

pub(super) struct Akto;

impl Rules for Akto {
    fn id(&self) -> Dialect {
        Dialect::Akto
    }

    fn name(&self) -> &'static str {
        "akto"
    }

    fn takes_forms(&self) -> bool {
        true
    }

    fn prefixes(&self) -> &'static [&'static str] {
        &["/api", "/auth", "/signup-email"]
    }

    fn body_limit(&self, asked: &Asked<'_>, is_empty: bool) -> Result<Option<usize>, Error> {
        if asked.route.body == BodyRule::None {
            return Ok(None);
        }
        if !is_empty {
            body::check(asked.headers())?;
        }
        Ok(Some(json::bytes_max(asked)))
    }

    fn unpack(&self, asked: &Asked<'_>, body: Bytes, hold: &mut Hold) -> Result<Bytes, Error> {
        if asked.route.body == BodyRule::None {
            return Ok(body);
        }
        body::unpack(asked.headers(), body, json::bytes_max(asked), hold)
    }

    fn to_wire(&self, asked: &Asked<'_>, body: &Bytes, out: &mut Vec<u8>) -> Result<(), Error> {
        let (plans, route) = (asked.plans(), asked.route);
        if route.body != BodyRule::None {
            let only = if let BodyRule::Field(index) = route.body { Some(index) } else { None };
            let plan = plans.message(route.rpc.request);
            let json = match Form::of(asked.headers(), body)? {
                Form::Json => body::text(asked.headers(), body)?,
                Form::Pairs => form::of_pairs(plan, body)?.into(),
                Form::Parts { boundary } => form::of_parts(plan, body, &boundary)?.into(),
            };
            out.reserve(json.len());
            codec::json_to_wire(plans, route.rpc.request, only, &json, Manner::TextsAsValues, out)?;
        }
        encode_query(plans, route, asked.query(), out)?;
        encode_params(plans, route, asked.values, out)?;
        encode_cookies(plans, route, asked.headers(), out)
    }

    fn error_body(&self, told: &Told<'_>) -> Value {
        let text = told.error.text();
        let texts: Vec<_> = match told.error.reason() {
            // Documented with two texts, one a line.
            Reason::ImpervaWithoutData => text.lines().collect(),
            // Some documented refusals have no text.
            _ => Some(text.as_str()).filter(|text| !text.is_empty()).into_iter().collect(),
        };
        let mut body = json!({ "actionErrors": texts });
        if told.form.has_error_member {
            body["error"] = text.into();
        }
        body
    }

    fn error_schemas(&self, _reasons: &[&str]) -> Vec<(String, Value)> {
        let schema = json!({
            "type": "object",
            "required": ["actionErrors"],
            "properties": {
                "actionErrors": { "type": "array", "items": { "type": "string" } },
                "error": { "type": "string", "description": "The first text again, on the routes that document it." },
            },
        });
        vec![(self.error_schema_name(false), schema)]
    }
}
