use portolan_api::{Dialect, Reason};
use serde_json::{Value, json};

use super::rules::{Rules, Told};

/// Calls in the manner of Akto: everything is a POST with an object, a failure is a list of texts.
pub(super) struct Akto;

impl Rules for Akto {
    fn id(&self) -> Dialect {
        Dialect::Akto
    }

    fn name(&self) -> &'static str {
        "akto"
    }

    fn prefixes(&self) -> &'static [&'static str] {
        &["/api", "/auth", "/signup-email"]
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
            "properties": { "actionErrors": { "type": "array", "items": { "type": "string" } } },
        });
        vec![(self.error_schema_name(false), schema)]
    }
}
