use portolan_ids::{AccountId, ApiClientId, CertBundleId, PolicyId, PortalId, ProjectId};
use serde_json::json;

use super::auth_settings::{AuthPatch, AuthSettings};

/// Who calls protected APIs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Client {
    /// Unique in the installation.
    pub id: ApiClientId,
    /// The account that it belongs to.
    pub account_id: AccountId,
    /// It is of the first generation: it groups profiles, which have the settings.
    pub is_legacy: bool,
    /// As its vendor calls it.
    pub name: String,
    /// As its vendor describes it.
    pub description: Option<String>,
    /// Lists can be of one project; nothing else follows from it.
    pub project_id: Option<ProjectId>,
    /// Kept and shown, without effect.
    pub api_portal_id: Option<PortalId>,
    /// Kept and shown, without effect.
    pub email: Option<String>,
    /// How many calls its keys may make.
    pub api_policy_id: Option<PolicyId>,
    /// How callers prove who they are.
    pub auth: AuthSettings,
    /// Callers must show a certificate.
    pub mtls_enabled: Option<bool>,
    /// What the certificate must fulfill.
    pub validation_formula: Option<String>,
    /// Lists can be of some of them; nothing else follows from them.
    pub cert_bundle_ids: Vec<CertBundleId>,
    /// Unix milliseconds.
    pub created_at: i64,
    /// Unix milliseconds.
    pub updated_at: i64,
}

/// A client with what is counted of its keys.
#[derive(Debug)]
pub struct Listed {
    /// The client.
    pub client: Client,
    /// How many of its keys are active.
    pub active_keys: i64,
    /// How many it has.
    pub keys: i64,
}

/// What a request says of a client; `None` stays, an inner `None` clears.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// Of each member: `None` leaves it as it is, `Some(None)` is a null in the request.
    pub name: Option<Option<String>>,
    /// As of [`Client`], here and below.
    pub description: Option<Option<String>>,
    /// As of [`Client`].
    pub project_id: Option<Option<ProjectId>>,
    /// As of [`Client`].
    pub api_portal_id: Option<Option<PortalId>>,
    /// As of [`Client`].
    pub email: Option<Option<String>>,
    /// As of [`Client`].
    pub api_policy_id: Option<Option<PolicyId>>,
    /// How callers prove who they are.
    pub auth: AuthPatch,
    /// As of [`Client`].
    pub mtls_enabled: Option<Option<bool>>,
    /// As of [`Client`].
    pub validation_formula: Option<Option<String>>,
    /// As of [`Client`].
    pub cert_bundle_ids: Option<Vec<CertBundleId>>,
}

/// Which clients are asked for.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Clients of the first generation alone.
    pub legacy_only: bool,
    /// Clients of this project alone.
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
