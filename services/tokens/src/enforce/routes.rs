//! Which endpoint a request is for, among the endpoints of all hosts.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use super::{
    hosts::{Hosts, without_port},
    trie::{Node, Target, Trie},
};

/// The state of an endpoint, as the inventory tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub endpoint_id: i64,
    pub account_id: i64,
    pub collection_id: i32,
    /// Empty for every host of the account.
    pub host: String,
    pub method: String,
    pub path: String,
    pub active: bool,
}

/// Endpoints by host and path.
pub struct Routes {
    hosts_settings: Hosts,
    hosts: HashMap<Box<str>, Host>,
    places: HashMap<i64, Place>,
}

struct Host {
    trie: Trie,
    /// Endpoints of each collection, with its account. A host belongs to the account whose collection is the oldest.
    collections: BTreeMap<i32, (i64, usize)>,
}

struct Place {
    host: Box<str>,
    node: Node,
    collection_id: i32,
}

/// What is known of the resource that a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// The collections that hold it, of one account.
    Endpoint { account_id: i64, collection_ids: Vec<i32> },
    /// It is known and switched off.
    Inactive,
    /// It is in no inventory; the account is the one that owns the host.
    Unknown { account_id: Option<i64> },
}

impl Routes {
    pub fn new(hosts_settings: Hosts) -> Self {
        Self { hosts_settings, hosts: HashMap::new(), places: HashMap::new() }
    }

    /// Takes in the state of an endpoint, in place of an earlier one.
    pub fn put(&mut self, endpoint: &Endpoint) {
        self.remove(endpoint.endpoint_id);
        let Endpoint { endpoint_id, account_id, collection_id, active, .. } = *endpoint;
        let ignores_case = self.hosts_settings.lets_through(&endpoint.host);
        let host = self
            .hosts
            .entry(endpoint.host.as_str().into())
            .or_insert_with(|| Host { trie: Trie::new(ignores_case), collections: BTreeMap::new() });
        let target = Target { endpoint_id, account_id, collection_id, active };
        let node = host.trie.insert(&endpoint.path, &endpoint.method, target);
        host.collections.entry(collection_id).or_insert((account_id, 0)).1 += 1;
        self.places.insert(endpoint_id, Place { host: endpoint.host.as_str().into(), node, collection_id });
    }

    pub fn remove(&mut self, endpoint_id: i64) {
        let Some(place) = self.places.remove(&endpoint_id) else { return };
        let Some(host) = self.hosts.get_mut(&place.host) else { return };
        host.trie.remove(place.node, endpoint_id);
        if let Some((_, count)) = host.collections.get_mut(&place.collection_id) {
            *count -= 1;
            if *count == 0 {
                host.collections.remove(&place.collection_id);
            }
        }
        if host.collections.is_empty() {
            self.hosts.remove(&place.host);
        }
    }

    /// Finds what a request is for. `bound_account` is the account that the proxy itself named for this route.
    pub fn find(&self, host: &str, path: &[Cow<'_, str>], method: &str, bound_account: Option<i64>) -> Found {
        let settings = self.hosts_settings.of(host);
        let name = settings.alias.as_deref().unwrap_or(host);
        let known = self.hosts.get(name).or_else(|| self.hosts.get(without_port(name)));
        let owner = || known.and_then(|host| host.collections.values().next()).map(|(account_id, _)| *account_id);
        let Some(account_id) = bound_account.or(settings.account_id).or_else(owner) else {
            return Found::Unknown { account_id: None };
        };
        let of_account = |target: &Target| target.account_id == account_id;
        // A server answers HEAD by what it has for GET.
        let methods = if method == "HEAD" { &["HEAD", "GET"][..] } else { &[method][..] };
        for host in [known, self.hosts.get("")].into_iter().flatten() {
            for method in methods {
                let targets = host.trie.find(path, method, &of_account);
                let mut collection_ids: Vec<_> = targets
                    .iter()
                    .filter(|target| of_account(target) && target.active)
                    .map(|target| target.collection_id)
                    .collect();
                if !collection_ids.is_empty() {
                    collection_ids.sort_unstable();
                    return Found::Endpoint { account_id, collection_ids };
                }
                if targets.iter().any(of_account) {
                    return Found::Inactive;
                }
            }
        }
        Found::Unknown { account_id: Some(account_id) }
    }

    pub fn allows_unknown(&self, host: &str) -> bool {
        self.hosts_settings.of(host).allows_unknown
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The name of a host in one spelling, when it can be one.
pub fn host_name(authority: &str) -> Option<String> {
    let name = authority.to_ascii_lowercase();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    if name.is_empty() || name.len() > 260 || !name.bytes().all(plain) {
        return None;
    }
    Some(match name.strip_suffix('.') {
        Some(name) => name.to_owned(),
        None => name.replace(".:", ":"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(endpoint_id: i64, account_id: i64, host: &str, path: &str) -> Endpoint {
        let collection_id = endpoint_id as i32 * 10;
        let (host, path) = (host.to_owned(), path.to_owned());
        Endpoint { endpoint_id, account_id, collection_id, host, method: "GET".into(), path, active: true }
    }

    fn routes(settings: &str, endpoints: &[Endpoint]) -> Routes {
        let mut routes = Routes::new(Hosts::parse(settings, false).unwrap());
        endpoints.iter().for_each(|endpoint| routes.put(endpoint));
        routes
    }

    fn collections(routes: &Routes, host: &str, path: &str, method: &str) -> Option<Vec<i32>> {
        let path: Vec<_> = path.split('/').skip(1).map(Cow::Borrowed).collect();
        match routes.find(host, &path, method, None) {
            Found::Endpoint { collection_ids, .. } => Some(collection_ids),
            Found::Inactive => Some(vec![]),
            Found::Unknown { .. } => None,
        }
    }

    #[test]
    fn hosts_are_kept_apart_and_ports_may_be_left_out() {
        let all = [endpoint(1, 1, "a.example", "/x"), endpoint(2, 1, "b.example:8080", "/x"), endpoint(3, 1, "", "/y")];
        let routes = routes("", &all);
        assert_eq!(collections(&routes, "a.example", "/x", "GET"), Some(vec![10]));
        assert_eq!(collections(&routes, "a.example:10000", "/x", "GET"), Some(vec![10]));
        assert_eq!(collections(&routes, "b.example:8080", "/x", "HEAD"), Some(vec![20]));
        assert_eq!(collections(&routes, "b.example", "/x", "GET"), None);
        assert_eq!(collections(&routes, "a.example", "/x", "POST"), None);
        assert_eq!(collections(&routes, "a.example", "/y", "GET"), Some(vec![30]), "no host means every host");
        assert_eq!(collections(&routes, "c.example", "/y", "GET"), None, "of the account, and that owns no c.example");
    }

    #[test]
    fn a_later_account_cannot_take_over_a_host() {
        let all = [endpoint(1, 1, "a.example", "/x"), endpoint(2, 2, "a.example", "/admin")];
        assert_eq!(collections(&routes("", &all), "a.example", "/admin", "GET"), None);
        let bound = routes("a.example account=2", &all);
        assert_eq!(collections(&bound, "a.example", "/admin", "GET"), Some(vec![20]));
        assert_eq!(collections(&bound, "a.example", "/x", "GET"), None);
    }

    #[test]
    fn an_endpoint_that_is_switched_off_is_not_unknown() {
        let mut routes = routes("a.example unknown=allow", &[endpoint(1, 1, "a.example", "/x")]);
        routes.put(&Endpoint { active: false, ..endpoint(1, 1, "a.example", "/x") });
        assert_eq!(collections(&routes, "a.example", "/x", "GET"), Some(vec![]));
        assert_eq!(collections(&routes, "a.example", "/X", "GET"), Some(vec![]), "what is let through folds case");
        routes.remove(1);
        assert_eq!(collections(&routes, "a.example", "/x", "GET"), None);
        assert!(routes.is_empty());
    }

    #[test]
    fn an_alias_names_the_host_of_the_inventory() {
        let routes = routes("edge.example as=a.example", &[endpoint(1, 1, "a.example", "/x")]);
        assert_eq!(collections(&routes, "edge.example", "/x", "GET"), Some(vec![10]));
    }

    #[test]
    fn host_names_have_one_spelling() {
        assert_eq!(host_name("API.Example.com.").as_deref(), Some("api.example.com"));
        assert_eq!(host_name("API.Example.com.:80").as_deref(), Some("api.example.com:80"));
        for bad in ["", "a b", "user@host", "a/b", "a,b", "a%2eb"] {
            assert_eq!(host_name(bad), None, "{bad}");
        }
    }
}
