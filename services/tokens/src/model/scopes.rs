//! The scopes that organization tokens may have.

/// Scopes of Katapult's API, then those of Portolan's own.
const ALL: &[&str] = &[
    "address_lists",
    "address_lists:read",
    "api_tokens",
    "api_tokens:read",
    "certificates",
    "certificates:read",
    "disk_backup_policies",
    "disk_backup_policies:read",
    "disk_templates",
    "disk_templates:read",
    "disks",
    "disks:read",
    "dns",
    "dns:read",
    "file_storage_volumes",
    "file_storage_volumes:read",
    "ip_addresses",
    "ip_addresses:read",
    "load_balancers",
    "load_balancers:read",
    "managed_organizations",
    "managed_organizations:delete",
    "object_storage",
    "object_storage:read",
    "organizations:read",
    "organizations:delete",
    "security_group",
    "security_groups",
    "security_groups:read",
    "tags",
    "tags:read",
    "tasks",
    "tasks:read",
    "trash_objects:read",
    "trash_objects:purge",
    "trash_objects:restore",
    "virtual_machine_groups",
    "virtual_machine_groups:read",
    "virtual_machine_packages:read",
    "virtual_machines",
    "virtual_machines:read",
    "virtual_machines:power_actions",
    "virtual_machines:console",
    "virtual_machines:authorized_keys",
    "virtual_machines:network_interfaces",
    "virtual_networks",
    "virtual_networks:read",
    "inventory",
    "inventory:read",
    "imports",
    "identity",
    "identity:read",
    "billing",
    "billing:read",
    "access_profiles",
    "access_profiles:read",
];

/// Whether a token can have this scope.
pub fn is_known(scope: &str) -> bool {
    ALL.contains(&scope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_that_a_route_takes_can_be_granted() {
        for (path, policy) in portolan_api::policies() {
            for scope in &policy.scopes {
                assert!(is_known(scope), "{path}: {scope}");
            }
        }
    }
}
