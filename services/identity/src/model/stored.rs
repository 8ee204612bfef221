//! The columns that hold settings, and what each of them must be.

use std::collections::BTreeMap;

use portolan_authz::{Role, Scope, features_named};
use portolan_store::setting::{Setting, is, is_list_of, parsed};

/// Every stored setting of the service.
pub const STORED: [Setting; 8] = [
    of("custom_roles", "name_key", "base_role", role),
    of("custom_roles", "name_key", "collection_ids", is::<Vec<i32>>),
    of("custom_roles", "name_key", "features", features),
    of("memberships", "user_id", "scope_roles", scope_roles),
    of("memberships", "user_id", "collection_ids", is::<Vec<i32>>),
    of("invitations", "issuer_id", "scope_roles", scope_roles),
    of("account_settings", "account_id", "private_cidrs", is_list_of::<ipnet::Ipv4Net>),
    of("account_settings", "account_id", "partner_ips", is_list_of::<std::net::Ipv4Addr>),
];

const fn of(
    table: &'static str,
    key: &'static str,
    column: &'static str,
    check: fn(&str) -> Result<(), String>,
) -> Setting {
    Setting { table, owner: "account_id", key, column, check }
}

fn role(name: &str) -> Result<(), String> {
    Role::parse(name).map(drop).ok_or_else(|| "no role of the program".to_owned())
}

fn features(text: &str) -> Result<(), String> {
    let unknown = parsed::<Vec<String>>(text)?.into_iter().find(|name| features_named(name).is_none());
    unknown.map_or(Ok(()), |name| Err(format!("{} is unknown", name.chars().take(100).collect::<String>())))
}

/// Custom roles have any name, scopes have not.
fn scope_roles(text: &str) -> Result<(), String> {
    let unknown = parsed::<BTreeMap<String, String>>(text)?.into_keys();
    let unknown = unknown.into_iter().find(|name| Scope::parse(name).name() != name);
    unknown.map_or(Ok(()), |name| Err(format!("{} is unknown", name.chars().take(100).collect::<String>())))
}
