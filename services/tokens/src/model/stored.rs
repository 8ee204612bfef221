//! The columns that hold settings, and what each of them must be.

use portolan_store::setting::{Setting, are_known, is, parsed};

use super::{auth_settings::AuthType, networks, organization_tokens::Annotation, scopes};

/// Every stored setting of the service.
pub const STORED: [Setting; 14] = [
    Setting::of_account("api_profiles", "profile_id", "auth_type", auth_type),
    Setting::of_account("api_profiles", "profile_id", "ip_allow_list", ranges),
    Setting::of_account("api_profiles", "profile_id", "ip_deny_list", ranges),
    Setting::of_account("api_profiles", "profile_id", "collection_ids", is::<Vec<i64>>),
    Setting::of_account("api_profiles", "profile_id", "required_claims", is::<Vec<String>>),
    Setting::of_account("api_profiles", "profile_id", "allowed_issuers", is::<Vec<String>>),
    Setting::of_account("api_clients", "client_id", "auth_type", client_auth_type),
    Setting::of_account("api_clients", "client_id", "collection_ids", is::<Vec<i64>>),
    Setting::of_account("api_clients", "client_id", "required_claims", is::<Vec<String>>),
    Setting::of_account("api_clients", "client_id", "allowed_issuers", is::<Vec<String>>),
    Setting::of_account("api_clients", "client_id", "cert_bundle_ids", is::<Vec<i64>>),
    Setting::of_account("organization_tokens", "token_id", "scopes", known_scopes),
    Setting::of_account("organization_tokens", "token_id", "networks", ranges),
    Setting::of_account("organization_tokens", "token_id", "annotations", is::<Vec<Annotation>>),
];

/// Clients of the first generation have none.
fn client_auth_type(name: &str) -> Result<(), String> {
    if name.is_empty() { Ok(()) } else { auth_type(name) }
}

fn known_scopes(text: &str) -> Result<(), String> {
    are_known(parsed::<Vec<String>>(text)?, scopes::is_known)
}

fn ranges(text: &str) -> Result<(), String> {
    are_known(parsed::<Vec<String>>(text)?, |range| networks::parse(range).is_some())
}

fn auth_type(name: &str) -> Result<(), String> {
    AuthType::parse(name).map(drop).ok_or_else(|| "no type of the program".to_owned())
}
