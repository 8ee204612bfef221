use std::collections::{BTreeMap, HashSet};

use portolan_path::{CanonicalUrl, Segment, Template, Trie};

use super::assign::RawEndpoint;
use super::segment::SplitUrl;
use crate::Method;

/// What specifications declare in a collection: where the calls of each operation go, at every server.
#[derive(Debug, Default)]
pub(super) struct Declared {
    by_method: BTreeMap<Method, Trie<Operation>>,
    known: HashSet<(Method, String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Operation {
    /// Empty for every host.
    host: String,
    /// The URL under which the operation is declared.
    url: String,
}

/// A URL as it is compared with declared ones.
pub(super) struct Address {
    /// With a port that is not usual; empty when the URL names none.
    pub host: String,
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
    pub fn add(&mut self, raw: &RawEndpoint) -> Vec<Address> {
        let mut fresh = Vec::new();
        for url in std::iter::once(&raw.url).chain(&raw.addresses) {
            if !self.known.insert((raw.method, url.clone(), raw.url.clone())) {
                continue;
            }
            let address = Address::new(url);
            let operation = Operation { host: address.host.clone(), url: raw.url.clone() };
            let trie = self.by_method.entry(raw.method).or_insert_with(|| Trie::new(false));
            trie.insert(&address.template, operation);
            fresh.push(address);
        }
        fresh
    }

    /// The declared URL of the operation that a call is for: of its own method, else of any method.
    pub fn find(&self, method: Method, url: &str) -> Option<&str> {
        if self.by_method.is_empty() {
            return None;
        }
        let address = Address::new(url);
        let path = address.samples();
        [method, Method::Any].into_iter().find_map(|method| {
            let trie = self.by_method.get(&method)?;
            let fits = |operation: &Operation| {
                operation.host.is_empty() || address.host.is_empty() || operation.host == address.host
            };
            let found = trie.find(&path, address.template.ends_with_slash, &|values| values.iter().any(fits));
            // An operation of the host itself comes before one of every host, then the order is that of the URLs.
            let best = found.iter().filter(|operation| fits(operation));
            best.min_by_key(|operation| (operation.host.is_empty(), *operation)).map(|operation| &*operation.url)
        })
    }
}

/// The declared URL of a call, found without an index.
pub(super) fn find_plain<'a>(
    method: Method,
    url: &str,
    pinned: impl Iterator<Item = &'a RawEndpoint> + Clone,
) -> Option<&'a str> {
    let address = Address::new(url);
    [method, Method::Any].into_iter().find_map(|method| {
        let declared = pinned.clone().filter(|raw| raw.method == method).flat_map(|raw| {
            std::iter::once(&raw.url).chain(&raw.addresses).map(move |url| (Address::new(url), &*raw.url))
        });
        declared
            .filter(|(own, _)| own.covers(&address))
            .min_by_key(|(own, url)| {
                let order = own.template.precedence(address.template.ends_with_slash);
                (order, own.host.is_empty(), own.host.clone(), *url)
            })
            .map(|(_, url)| url)
    })
}
