use std::collections::{BTreeMap, BTreeSet};

use portolan_engine::{Aggregate, AuthSet, ParameterKey};

/// One endpoint with what the document says of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Operation {
    pub(super) url: String,
    pub(super) method: String,
    /// The names of the variables of the path, where a specification gives them.
    pub(super) variables: Vec<String>,
    /// Also of statuses without a body.
    pub(super) response_codes: BTreeSet<i32>,
    /// What a specification says in a line.
    pub(super) summary: Option<String>,
    pub(super) description: Option<String>,
    pub(super) deprecated: bool,
    /// Every distinct set of authentication types seen together.
    pub(super) auth_sets: BTreeSet<AuthSet>,
    pub(super) parameters: BTreeMap<ParameterKey, Aggregate>,
}

/// What the document says of itself.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) title: String,
    pub(super) version: String,
    pub(super) description: Option<String>,
    /// The host of the collection, where it is of one.
    pub(super) host_name: Option<String>,
}
