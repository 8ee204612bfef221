//! What a process runs: every service and the gateway, or those that are named.

use std::collections::BTreeSet;

use clap::ValueEnum;
use portolan_store::Tables;

/// One of the parts of an installation that may be a process of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Role {
    Identity,
    Tokens,
    Inventory,
    Imports,
    Billing,
    Gateway,
}

impl Role {
    /// In the configuration and in the store.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Tokens => "tokens",
            Self::Inventory => "inventory",
            Self::Imports => "imports",
            Self::Billing => "billing",
            Self::Gateway => "gateway",
        }
    }
}

/// What the parts of an installation own in the store, and the log, which stands apart.
pub(crate) const TABLES: [Tables; 7] = [
    portolan_identity::TABLES,
    portolan_tokens::TABLES,
    portolan_inventory::TABLES,
    portolan_imports::TABLES,
    portolan_billing::TABLES,
    portolan_gateway::TABLES,
    portolan_log::TABLES,
];

/// The parts of one process.
pub(crate) struct Roles(BTreeSet<Role>);

impl Roles {
    /// Those that are named, every one where none is.
    pub(crate) fn named(named: &[Role]) -> Self {
        let all = Role::value_variants();
        Self(if named.is_empty() { all } else { named }.iter().copied().collect())
    }

    /// Whether the process is the whole installation.
    pub(crate) fn are_all(&self) -> bool {
        self.0.len() == Role::value_variants().len()
    }

    pub(crate) fn have(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// Whether it serves gRPC: the gateway alone serves none.
    pub(crate) fn serve_grpc(&self) -> bool {
        self.0.iter().any(|role| *role != Role::Gateway)
    }

    /// Whether it reads the log or appends to it.
    pub(crate) fn use_log(&self) -> bool {
        self.have(Role::Inventory) || self.have(Role::Imports)
    }

    /// Their names, in the order in which they are opened.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|role| role.name()).collect()
    }

    /// What they own in the store.
    pub(crate) fn tables(&self) -> Vec<Tables> {
        let names = self.names();
        let own = |tables: &Tables| names.contains(&tables.service) || (tables.service == "log" && self.use_log());
        TABLES.into_iter().filter(own).collect()
    }
}
