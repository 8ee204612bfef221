use std::collections::{BTreeMap, BTreeSet};

use portolan_record::Source;
use serde::{Deserialize, Serialize};

use crate::auth::AuthSet;
use crate::{AccessType, ApiType, EndpointKind};

/// Hosts and addresses kept of one raw URL, the smallest: callers choose the header, so there is no end to them.
const HOSTS_MAX: usize = 50;

/// What records show of one raw URL and method, its parameters apart: in a batch, and as it is stored. A member that
/// JSON lacks has its default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// A specification names the endpoint.
    pub declared: bool,
    /// Number of calls by status.
    pub status_counts: BTreeMap<i32, u64>,
    /// Further URLs of a declared operation, at its other servers; the smallest 50.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub addresses: BTreeSet<String>,
    /// Status codes that a specification names.
    pub declared_codes: BTreeSet<i32>,
    /// Unix seconds of the oldest record that proves the endpoint.
    pub discovered: Option<i64>,
    /// Hosts on which it was called; the smallest 50.
    pub hosts: BTreeSet<String>,
    /// Each combination of authentication types that one call had.
    pub auth_sets: BTreeSet<AuthSet>,
    /// What its calls speak.
    pub api_types: BTreeSet<ApiType>,
    /// What its calls are for those who look for APIs.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub kinds: BTreeSet<EndpointKind>,
    /// What the addresses of its calls say; noted by the caller, who knows the account's ranges.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub access_types: BTreeSet<AccessType>,
    /// The oldest record of each source, in Unix seconds.
    pub sources: BTreeMap<Source, i64>,
    /// What a specification says of it.
    pub declaration: Option<DeclaredFacts>,
    /// The raw URL joins no template; noted by the caller, who knows which templates were taken apart by hand.
    pub never_merge: bool,
}

/// What the newest declaration says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeclaredFacts {
    /// Unix seconds.
    pub time: i64,
    /// In the words of the specification.
    pub description: Option<String>,
    /// The specification marks it as deprecated.
    pub deprecated: bool,
    /// Sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The names of the variables of the path, in their order; empty where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<String>,
}

impl Facts {
    /// Adds what other records show of the same raw URL and method.
    pub fn merge(&mut self, other: Self) {
        self.declared |= other.declared;
        for (code, count) in other.status_counts {
            *self.status_counts.entry(code).or_default() += count;
        }
        self.add_addresses(other.addresses);
        self.declared_codes.extend(other.declared_codes);
        self.discovered = least(self.discovered, other.discovered);
        self.add_hosts(other.hosts);
        self.auth_sets.extend(other.auth_sets);
        self.api_types.extend(other.api_types);
        self.kinds.extend(other.kinds);
        self.access_types.extend(other.access_types);
        for (source, time) in other.sources {
            self.note_source(source, time);
        }
        self.declaration = self.declaration.take().max(other.declaration);
        self.never_merge |= other.never_merge;
    }

    /// Records that prove the endpoint, each of which showed its URL.
    pub fn proofs(&self) -> u64 {
        let proving = |(code, _): &(&i32, &u64)| matches!(code, 0 | 101 | 200..300 | 302);
        self.status_counts.iter().filter(proving).map(|(_, count)| count).sum()
    }

    pub(crate) fn add_addresses(&mut self, addresses: impl IntoIterator<Item = String>) {
        self.addresses.extend(addresses);
        limit(&mut self.addresses);
    }

    pub(crate) fn add_hosts(&mut self, hosts: impl IntoIterator<Item = String>) {
        self.hosts.extend(hosts);
        limit(&mut self.hosts);
    }

    pub(crate) fn note_source(&mut self, source: Source, time: i64) {
        self.sources.entry(source).and_modify(|oldest| *oldest = (*oldest).min(time)).or_insert(time);
    }
}

fn limit(texts: &mut BTreeSet<String>) {
    while texts.len() > HOSTS_MAX {
        texts.pop_last();
    }
}

/// The smaller of two, where one may be missing.
pub(crate) fn least(left: Option<i64>, right: Option<i64>) -> Option<i64> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.min(right)),
        (one, other) => one.or(other),
    }
}
