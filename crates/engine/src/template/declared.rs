use std::collections::{BTreeSet, HashSet};

use portolan_path::{CanonicalUrl, Segment, Template, Trie};

use super::segment::SplitUrl;
use crate::Method;

/// What specifications declare in a collection: where the calls of each operation go, at every server.
#[derive(Debug)]
pub(super) struct Declared {
    operations: Trie<Operation>,
    known: HashSet<(Method, String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Operation {
    method: Method,
    /// Empty for every host.
    host: String,
    /// The URL under which the operation is declared.
    url: String,
}

impl Default for Declared {
    fn default() -> Self {
        Self { operations: Trie::new(false), known: HashSet::new() }
    }
}

/// A URL as it is compared with declared ones.
pub(super) struct Address {
    /// With a port that is not usual; empty when the URL names none.
    pub host: String,
    /// Its path.
    pub template: Template,
}

impl Address {
    /// Scheme, usual ports, empty segments, and the spelling do not count.
    pub fn new(url: &str) -> Self {
        let canonical = CanonicalUrl::parse(url);
        let host = canonical.origin.split_once("://").map_or("", |(_, host)| host).to_owned();
        // Escapes of a template are in their one form; its words and braces have to stay.
        let mut template = Template::of_words(&url[SplitUrl::new(url).origin.len()..]);
        template.segments.retain(|segment| !matches!(segment, Segment::Literal(text) if text.is_empty()));
        Self { host, template }
    }

    /// The path with a text in place of each variable, in decoded segments.
    pub fn samples(&self) -> Vec<String> {
        self.template.segments.iter().map(Segment::sample).collect()
    }

    /// Whether a call to `other` may be one to this address.
    pub fn covers(&self, other: &Address) -> bool {
        (self.host.is_empty() || other.host.is_empty() || self.host == other.host)
            && self.template.matches(&other.samples())
    }
}

impl Declared {
    /// Notes where a declared operation is served; answers the addresses that are new.
    pub fn add(&mut self, method: Method, declared: &str, addresses: &BTreeSet<String>) -> Vec<Address> {
        let mut fresh = Vec::new();
        for url in std::iter::once(declared).chain(addresses.iter().map(String::as_str)) {
            if !self.known.insert((method, url.to_owned(), declared.to_owned())) {
                continue;
            }
            let address = Address::new(url);
            let operation = Operation { method, host: address.host.clone(), url: declared.to_owned() };
            self.operations.insert(&address.template, operation);
            fresh.push(address);
        }
        fresh
    }

    /// The declared URL of the operation that a call is for. One of any method stands for the methods that are not
    /// declared beside it.
    pub fn find(&self, method: Method, url: &str) -> Option<&str> {
        if self.known.is_empty() {
            return None;
        }
        let address = Address::new(url);
        let fits = |operation: &Operation| {
            is_of_method(operation.method, method)
                && (operation.host.is_empty() || address.host.is_empty() || operation.host == address.host)
        };
        let ends_with_slash = address.template.ends_with_slash;
        let found = self.operations.find(&address.samples(), ends_with_slash, &|all| all.iter().any(fits));
        let best = found.iter().filter(|operation| fits(operation));
        best.min_by_key(|operation| {
            (operation.method == Method::Any, operation.host.is_empty(), &operation.host, &operation.url)
        })
        .map(|operation| &*operation.url)
    }
}

pub(super) fn is_of_method(declared: Method, method: Method) -> bool {
    declared == method || declared == Method::Any
}
