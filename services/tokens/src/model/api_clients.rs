use serde_json::json;

use super::auth_settings::{AuthPatch, AuthSettings};

/// Who calls protected APIs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Client {
    pub id: i64,
    pub account_id: i64,
    pub is_legacy: bool,
    pub name: String,
    pub description: Option<String>,
    pub project_id: Option<i64>,
    pub api_portal_id: Option<i64>,
    pub email: Option<String>,
    pub api_policy_id: Option<i64>,
    pub auth: AuthSettings,
    pub mtls_enabled: Option<bool>,
    pub validation_formula: Option<String>,
    pub cert_bundle_ids: Vec<i64>,
    /// Unix milliseconds.
    pub created_at: i64,
    pub updated_at: i64,
}

/// A client with what is counted of its keys.
#[derive(Debug)]
pub struct Listed {
    pub client: Client,
    pub active_keys: i64,
    pub keys: i64,
}

/// What a request says of a client; `None` stays, an inner `None` clears.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    pub name: Option<Option<String>>,
    pub description: Option<Option<String>>,
    pub project_id: Option<Option<i64>>,
    pub api_portal_id: Option<Option<i64>>,
    pub email: Option<Option<String>>,
    pub api_policy_id: Option<Option<i64>>,
    pub auth: AuthPatch,
    pub mtls_enabled: Option<Option<bool>>,
    pub validation_formula: Option<Option<String>>,
    pub cert_bundle_ids: Option<Vec<i64>>,
}

/// Which clients are asked for.
#[derive(Clone, Debug)]
pub struct Filter {
    pub legacy_only: bool,
    pub project_id: Option<i64>,
    /// Any of these; none means every client.
    pub cert_bundle_ids: Vec<i64>,
}

impl Client {
    /// What the audit keeps: no secret.
    pub(crate) fn described(&self) -> serde_json::Value {
        json!({
            "name": self.name, "auth_type": self.auth.auth_type.map(|kind| kind.name()), "is_legacy": self.is_legacy,
            "api_collection_ids": self.auth.collection_ids, "required_claims": self.auth.required_claims,
            "allowed_issuers": self.auth.allowed_issuers, "api_policy_id": self.api_policy_id,
        })
    }
}
