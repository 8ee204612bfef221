//! The columns that hold settings, and what each of them must be.

use portolan_store::setting::{Setting, is, parsed};

use super::{auth_settings::AuthType, networks, organization_tokens::Annotation, scopes};

/// Every stored setting of the service.
pub const STORED: [Setting; 14] = [
    of_account("api_profiles", "profile_id", "auth_type", auth_type),
    of_account("api_profiles", "profile_id", "ip_allow_list", ranges),
    of_account("api_profiles", "profile_id", "ip_deny_list", ranges),
    of_account("api_profiles", "profile_id", "collection_ids", is::<Vec<i64>>),
    of_account("api_profiles", "profile_id", "required_claims", is::<Vec<String>>),
    of_account("api_profiles", "profile_id", "allowed_issuers", is::<Vec<String>>),
    of_account("api_clients", "client_id", "auth_type", client_auth_type),
    of_account("api_clients", "client_id", "collection_ids", is::<Vec<i64>>),
    of_account("api_clients", "client_id", "required_claims", is::<Vec<String>>),
    of_account("api_clients", "client_id", "allowed_issuers", is::<Vec<String>>),
    of_account("api_clients", "client_id", "cert_bundle_ids", is::<Vec<i64>>),
    of_account("organization_tokens", "token_id", "scopes", known_scopes),
    of_account("organization_tokens", "token_id", "networks", ranges),
    of_account("organization_tokens", "token_id", "annotations", is::<Vec<Annotation>>),
];

const fn of_account(
    table: &'static str,
    key: &'static str,
    column: &'static str,
    check: fn(&str) -> Result<(), String>,
) -> Setting {
    Setting { table, owner: "account_id", key, column, check }
}

/// Clients of the first generation have none.
fn client_auth_type(name: &str) -> Result<(), String> {
    if name.is_empty() { Ok(()) } else { auth_type(name) }
}

fn known_scopes(text: &str) -> Result<(), String> {
    unknown(parsed(text)?, scopes::is_known)
}

fn ranges(text: &str) -> Result<(), String> {
    unknown(parsed(text)?, |range| networks::parse(range).is_some())
}

fn unknown(list: Vec<String>, is_known: impl Fn(&str) -> bool) -> Result<(), String> {
    match list.into_iter().find(|entry| !is_known(entry)) {
        Some(entry) => Err(format!("{} is unknown", entry.chars().take(100).collect::<String>())),
        None => Ok(()),
    }
}

fn auth_type(name: &str) -> Result<(), String> {
    AuthType::parse(name).map(drop).ok_or_else(|| "no type of the program".to_owned())
}
