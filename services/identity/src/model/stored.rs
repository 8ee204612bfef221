//! The columns that hold settings, and what each of them must be.

use std::collections::BTreeMap;

use portolan_authz::{Role, Scope, features_named};
use portolan_store::setting::{Setting, are_known, is, is_list_of, parsed};

/// Every stored setting of the service.
pub const STORED: [Setting; 8] = [
    Setting::of_account("custom_roles", "name_key", "base_role", role),
    Setting::of_account("custom_roles", "name_key", "collection_ids", is::<Vec<i32>>),
    Setting::of_account("custom_roles", "name_key", "features", features),
    Setting::of_account("memberships", "user_id", "scope_roles", scope_roles),
    Setting::of_account("memberships", "user_id", "collection_ids", is::<Vec<i32>>),
    Setting::of_account("invitations", "issuer_id", "scope_roles", scope_roles),
    Setting::of_account("account_settings", "account_id", "private_cidrs", is_list_of::<ipnet::Ipv4Net>),
    Setting::of_account("account_settings", "account_id", "partner_ips", is_list_of::<std::net::Ipv4Addr>),
];

fn role(name: &str) -> Result<(), String> {
    Role::parse(name).map(drop).ok_or_else(|| "no role of the program".to_owned())
}

fn features(text: &str) -> Result<(), String> {
    are_known(parsed::<Vec<String>>(text)?, |name| features_named(name).is_some())
}

/// Custom roles have any name, scopes have not.
fn scope_roles(text: &str) -> Result<(), String> {
    are_known(parsed::<BTreeMap<String, String>>(text)?.into_keys(), |name| Scope::parse(name).name() == name)
}
