use std::{collections::HashMap, sync::LazyLock};

use crate::{
    common::v1::{Access, Dialect, Feature, KeyUtility, access_rule},
    descriptors, options,
};

/// Who may call an RPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// No rule stands beside the RPC: everyone is refused.
    Nobody,
    Public,
    AnyUser,
    /// Other services of the installation.
    Internal,
    /// Users whose role meets one of the needs.
    AnyOf(Vec<(Feature, Access)>),
}

/// What stands beside an RPC in the contract.
#[derive(Clone, Debug)]
pub struct MethodPolicy {
    /// The gRPC path, `/package.Service/Method`.
    pub path: String,
    pub who: Who,
    pub dialect: Dialect,
    /// Audit name; empty when the RPC changes nothing.
    pub audit: String,
    /// Key utilities that may call it beside EXTERNAL_API.
    pub also_for_keys: Vec<KeyUtility>,
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
                    also_for_keys: options::also_for_keys(&method),
                };
                (path, policy)
            })
            .collect()
    });
    &POLICIES
}

fn who(method: &prost_reflect::MethodDescriptor) -> Who {
    let Some(rule) = options::access_rule(method) else { return Who::Nobody };
    match rule.who {
        Some(access_rule::Who::Public(true)) => Who::Public,
        Some(access_rule::Who::AnyUser(true)) => Who::AnyUser,
        Some(access_rule::Who::Internal(true)) => Who::Internal,
        Some(_) => Who::Nobody,
        None if rule.any_of.is_empty() => Who::Nobody,
        None => Who::AnyOf(rule.any_of.iter().map(|need| (need.feature(), need.access())).collect()),
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
        let policy = policy("/portolan.inventory.v1.InventoryService/CreateCollection").unwrap();
        assert_eq!(policy.who, Who::AnyOf(vec![(Feature::ApiCollections, Access::ReadWrite)]));
        assert_eq!(policy.audit, "collection.create");
    }
}
