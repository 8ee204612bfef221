use portolan_ids::{AccountId, ApiClientId, CertBundleId, PolicyId, PortalId, ProjectId};
use serde_json::json;

use super::auth_settings::{AuthPatch, AuthSettings};

/// Who calls protected APIs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Client {
    pub id: ApiClientId,
    pub account_id: AccountId,
    pub is_legacy: bool,
    pub name: String,
    pub description: Option<String>,
    pub project_id: Option<ProjectId>,
    pub api_portal_id: Option<PortalId>,
    pub email: Option<String>,
    pub api_policy_id: Option<PolicyId>,
    pub auth: AuthSettings,
    pub mtls_enabled: Option<bool>,
    pub validation_formula: Option<String>,
    pub cert_bundle_ids: Vec<CertBundleId>,
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
    pub project_id: Option<Option<ProjectId>>,
    pub api_portal_id: Option<Option<PortalId>>,
    pub email: Option<Option<String>>,
    pub api_policy_id: Option<Option<PolicyId>>,
    pub auth: AuthPatch,
    pub mtls_enabled: Option<Option<bool>>,
    pub validation_formula: Option<Option<String>>,
    pub cert_bundle_ids: Option<Vec<CertBundleId>>,
}

/// Which clients are asked for.
#[derive(Clone, Debug)]
pub struct Filter {
    pub legacy_only: bool,
    pub project_id: Option<ProjectId>,
    /// Any of these; none means every client.
    pub cert_bundle_ids: Vec<CertBundleId>,
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
