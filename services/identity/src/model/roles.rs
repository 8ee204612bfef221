//! Custom roles, and what names of roles mean in an account.

use std::collections::BTreeMap;

use portolan_authz::{Grant, Role, Scope, features_named};
use portolan_ids::CollectionId;
use serde::Serialize;

/// A custom role of an account.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CustomRole {
    /// As it was created.
    pub name: String,
    /// The built-in role that bounds it.
    #[serde(serialize_with = "role_name")]
    pub base_role: Role,
    /// Empty: no restriction by the role.
    pub collection_ids: Vec<CollectionId>,
    /// Access groups and features; empty: everything of the base role.
    pub features: Vec<String>,
    /// Its holders see threat protection.
    pub opens_threat_protection: bool,
    /// Those who are invited without a role get it.
    pub is_default: bool,
    /// Every collection of its list was deleted: the empty list restricts to none.
    pub is_emptied: bool,
}

fn role_name<S: serde::Serializer>(role: &Role, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(role.name())
}

impl CustomRole {
    /// What names are compared by.
    pub fn key(&self) -> String {
        key(&self.name)
    }

    /// What the role gives to a holder without a list of their own.
    pub fn grant(&self) -> Grant {
        let is_restricted = !self.collection_ids.is_empty() || self.is_emptied;
        let grant = Grant::new(&self.name, self.base_role, is_restricted.then(|| self.collection_ids.clone()));
        grant.with_custom_role(self.opens_threat_protection, self.allowed())
    }

    /// The features that stay open, if the role names any. A stored name that is unknown opens nothing.
    pub fn allowed(&self) -> Option<u64> {
        let bits = || self.features.iter().filter_map(|name| features_named(name)).fold(0, |all, bits| all | bits);
        (!self.features.is_empty()).then(bits)
    }
}

/// Tells names apart that differ in more than case.
pub fn key(name: &str) -> String {
    name.trim().to_ascii_uppercase()
}

/// What a name means in an account: the built-in role behind it, and the custom one if it is one.
pub fn resolve<'r>(roles: &'r [CustomRole], name: &str) -> Option<(Role, Option<&'r CustomRole>)> {
    let name = key(name);
    if let Some(role) = Role::parse(&name) {
        return Some((role, None));
    }
    roles.iter().find(|role| role.key() == name).map(|role| (role.base_role, Some(role)))
}

/// The name as it is stored and shown: built-in ones upper case, custom ones as created.
pub fn canonical(roles: &[CustomRole], name: &str) -> Option<String> {
    let (base, custom) = resolve(roles, name)?;
    Some(custom.map_or_else(|| base.name().to_owned(), |role| role.name.clone()))
}

/// What a member gets when nothing is said: the default role of the account, in the API scope.
pub fn default_mapping(roles: &[CustomRole]) -> BTreeMap<String, String> {
    let name = roles.iter().find(|role| role.is_default).map_or(Role::Member.name(), |role| role.name.as_str());
    BTreeMap::from([(Scope::Api.name().to_owned(), name.to_owned())])
}
