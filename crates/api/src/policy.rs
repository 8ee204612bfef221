use std::{collections::HashMap, sync::LazyLock};

use crate::{
    common::v1::{Access, Deprecation, Dialect, Feature, KeyUtility, Reason, access_rule},
    descriptors, options,
};

/// Who may call an RPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// No rule stands beside the RPC: everyone is refused.
    Nobody,
    /// Everybody, without a credential.
    Public,
    /// Whoever has a credential that counts.
    AnyUser,
    /// Other services of the installation.
    Internal,
    /// Users whose role meets one of the needs.
    AnyOf(Vec<(Feature, Access)>),
    /// ADMINs, and organization tokens with one of the policy's scopes.
    Scoped,
    /// An ADMIN of the account by session or EXTERNAL_API key.
    VendorAdmin,
}

/// What stands beside an RPC in the contract.
#[derive(Clone, Debug)]
pub struct MethodPolicy {
    /// The gRPC path, `/package.Service/Method`.
    pub path: String,
    /// Who may call it.
    pub who: Who,
    /// The JSON contract of its route.
    pub dialect: Dialect,
    /// Audit name; empty when the RPC changes nothing.
    pub audit: String,
    /// Whether the request is a stream, which cannot be sent twice.
    pub streams_request: bool,
    /// Key utilities that may call it beside EXTERNAL_API.
    pub also_for_keys: Vec<KeyUtility>,
    /// Scopes of organization tokens, one of which suffices; none: organization tokens may not call it.
    pub scopes: Vec<String>,
    /// Set where the route is deprecated, with what replaces it.
    pub deprecation: Option<Deprecation>,
    /// The feature that the plan of the caller's organization must still allow; empty for most RPCs.
    pub metered: String,
    /// Whether errors say their text in the member `error` too.
    pub error_member: bool,
    /// What callers without authority over the organization are answered; `None` where an account's role decides.
    pub organization: Option<Reason>,
    /// Whether it concerns the account as a whole, though its feature is one of collections.
    pub account: bool,
    /// What its request says about the rights of somebody.
    pub rights: RightsCarried,
}

/// Whether a request can carry rights, and whether it can bound them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RightsCarried {
    /// A call may hand rights to somebody.
    pub carries: bool,
    /// The rights that it hands out are compared with the caller's.
    pub bounds: bool,
}

/// The policy of the RPC with this gRPC path, `/package.Service/Method`.
pub fn policy(path: &str) -> Option<&'static MethodPolicy> {
    policies().get(path)
}

/// Every RPC of the contract with its policy, by gRPC path.
pub fn policies() -> &'static HashMap<String, MethodPolicy> {
    static POLICIES: LazyLock<HashMap<String, MethodPolicy>> = LazyLock::new(|| {
        let methods = descriptors().services().flat_map(|service| service.methods().collect::<Vec<_>>());
        methods
            .map(|method| {
                let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
                let policy = MethodPolicy {
                    path: path.clone(),
                    who: who(&method),
                    dialect: options::dialect(&method),
                    audit: options::audit(&method),
                    streams_request: method.is_client_streaming(),
                    also_for_keys: options::also_for_keys(&method),
                    scopes: scopes(&method),
                    deprecation: options::deprecation(&method),
                    metered: options::metered(&method),
                    error_member: options::error_member(&method),
                    organization: organization(&method),
                    account: options::access_rule(&method).is_some_and(|rule| rule.account),
                    rights: rights(&method.input()),
                };
                (path, policy)
            })
            .collect()
    });
    &POLICIES
}

/// An unknown name refuses as a plain missing id does: the rule holds either way.
fn organization(method: &prost_reflect::MethodDescriptor) -> Option<Reason> {
    let name = options::access_rule(method)?.organization;
    (!name.is_empty()).then(|| Reason::from_str_name(&name).unwrap_or(Reason::NotFound))
}

/// What the fields of a request, and of the messages in it, say.
fn rights(message: &prost_reflect::MessageDescriptor) -> RightsCarried {
    message.fields().fold(RightsCarried::default(), |found, field| {
        let inner = match field.kind() {
            prost_reflect::Kind::Message(inner) if !field.is_map() && inner.package_name().starts_with("portolan") => {
                rights(&inner)
            }
            _ => RightsCarried::default(),
        };
        RightsCarried {
            carries: found.carries || inner.carries || options::carries_rights(&field),
            bounds: found.bounds || inner.bounds || options::bounds_rights(&field),
        }
    })
}

fn who(method: &prost_reflect::MethodDescriptor) -> Who {
    let Some(rule) = options::access_rule(method) else { return Who::Nobody };
    match rule.who {
        Some(access_rule::Who::Public(true)) => Who::Public,
        Some(access_rule::Who::AnyUser(true)) => Who::AnyUser,
        Some(access_rule::Who::Internal(true)) => Who::Internal,
        Some(access_rule::Who::VendorAdmin(true)) => Who::VendorAdmin,
        Some(_) => Who::Nobody,
        None if rule.any_of.is_empty() && !rule.scopes.is_empty() => Who::Scoped,
        None if rule.any_of.is_empty() => Who::Nobody,
        None => Who::AnyOf(rule.any_of.iter().map(|need| (need.feature(), need.access())).collect()),
    }
}

/// The scopes named by the rule. Routes of our own API that name none take those of their service: `inventory`, and for
/// reading `inventory:read` as well.
fn scopes(method: &prost_reflect::MethodDescriptor) -> Vec<String> {
    let Some(rule) = options::access_rule(method) else { return Vec::new() };
    if !rule.scopes.is_empty() {
        return rule.scopes;
    }
    let (Some(route), Dialect::Portolan) = (options::http_rule(method), options::dialect(method)) else {
        return Vec::new();
    };
    let is_read = matches!(route.pattern, Some(crate::google::api::http_rule::Pattern::Get(_)));
    let (name, has_read) = match method.parent_file().package_name() {
        "portolan.inventory.v1" => ("inventory", true),
        "portolan.identity.v1" => ("identity", true),
        "portolan.billing.v1" => ("billing", true),
        "portolan.imports.v1" => ("imports", false),
        _ => return Vec::new(),
    };
    let for_users = !rule.any_of.is_empty() || rule.who == Some(access_rule::Who::AnyUser(true));
    match (for_users, is_read && has_read) {
        (false, _) => Vec::new(),
        (true, true) => vec![name.to_owned(), format!("{name}:read")],
        (true, false) => vec![name.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rpc_has_an_access_rule() {
        let without: Vec<_> = policies().iter().filter(|(_, p)| p.who == Who::Nobody).map(|(path, _)| path).collect();
        assert!(without.is_empty(), "RPCs without an access rule: {without:?}");
    }

    #[test]
    fn every_route_names_its_dialect() {
        for service in descriptors().services() {
            for method in service.methods().filter(|m| options::http_rule(m).is_some()) {
                assert_ne!(options::dialect(&method), Dialect::Unspecified, "{}", method.full_name());
            }
        }
    }

    #[test]
    fn needs_are_read_from_the_options() {
        let policy = policy("/portolan.inventory.v1.CollectionService/CreateCollection").unwrap();
        assert_eq!(policy.who, Who::AnyOf(vec![(Feature::ApiCollections, Access::ReadWrite)]));
        assert_eq!(policy.audit, "collection.create");
    }

    #[test]
    fn our_own_routes_take_the_scopes_of_their_service() {
        let policy = policy("/portolan.imports.v1.ImportsService/ListJobs").unwrap();
        assert_eq!(policy.scopes, ["imports"]);
        let documented = super::policy("/portolan.inventory.v1.CollectionService/CreateCollection").unwrap();
        assert!(documented.scopes.is_empty(), "an organization token acts in our own API only");
    }
}
