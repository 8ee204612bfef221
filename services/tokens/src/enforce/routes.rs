//! Which endpoint a request is for, among the endpoints of all hosts.
//!
//! # Invariants
//! - A host has one account: the one that it is bound to, or else the only open one that names it.
//! - What is known of a host stays known while its account is shut: nothing of it passes as unknown.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use portolan_ids::{AccountId, CollectionId, EndpointId};

use super::{
    host::{host_name, without_port},
    hosts::Hosts,
    method::Method,
    trie::{Node, Target, Trie},
};
use crate::model::edge::Endpoint;

/// Endpoints by host and path.
pub struct Routes {
    hosts_settings: Hosts,
    hosts: HashMap<Box<str>, Host>,
    entries: HashMap<EndpointId, Entry>,
    /// Accounts in whose name nothing passes: closed ones, and those of organizations that are not active.
    shut: HashSet<AccountId>,
}

struct Host {
    trie: Trie,
    /// The accounts that name the host, each with how many endpoints. Hardly ever more than one.
    accounts: Vec<(AccountId, usize)>,
}

struct Entry {
    host: Box<str>,
    node: Node,
    account_id: AccountId,
}

/// What is known of the resource that a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum RouteMatch {
    /// The collections that hold it, of one account.
    Endpoint { account_id: AccountId, collection_ids: Vec<CollectionId> },
    /// It is known and switched off.
    Inactive,
    /// Its account is shut.
    Shut,
    /// Several accounts name the host, and it is bound to none of them.
    Contested,
    /// Its path is known, and a server may take the method for one of those that are known.
    OtherMethod,
    /// It is in no inventory; the account is the one that owns the host.
    Unknown { account_id: Option<AccountId> },
}

impl Routes {
    /// Without endpoints.
    pub fn new(hosts_settings: Hosts) -> Self {
        Self { hosts_settings, hosts: HashMap::new(), entries: HashMap::new(), shut: HashSet::new() }
    }

    /// Takes in the state of an endpoint, in place of an earlier one.
    pub fn put(&mut self, endpoint: &Endpoint) {
        self.remove(endpoint.endpoint_id);
        let Endpoint { endpoint_id, account_id, collection_id, active, .. } = *endpoint;
        let name = inventory_host(&endpoint.host);
        let ignores_case = self.hosts_settings.lets_through(&name);
        let host = self
            .hosts
            .entry(name.as_ref().into())
            .or_insert_with(|| Host { trie: Trie::new(ignores_case), accounts: Vec::new() });
        let target = Target { endpoint_id, account_id, collection_id, active };
        let node = host.trie.insert(&endpoint.path, &endpoint.method.to_ascii_uppercase(), target);
        match host.accounts.iter_mut().find(|(known, _)| *known == account_id) {
            Some((_, count)) => *count += 1,
            None => host.accounts.push((account_id, 1)),
        }
        self.entries.insert(endpoint_id, Entry { host: name.as_ref().into(), node, account_id });
    }

    /// Forgets an endpoint.
    pub fn remove(&mut self, endpoint_id: EndpointId) {
        let Some(entry) = self.entries.remove(&endpoint_id) else { return };
        let Some(host) = self.hosts.get_mut(&entry.host) else { return };
        host.trie.remove(entry.node, endpoint_id);
        if let Some((_, count)) = host.accounts.iter_mut().find(|(known, _)| *known == entry.account_id) {
            *count -= 1;
        }
        host.accounts.retain(|(_, count)| *count > 0);
        if host.accounts.is_empty() {
            self.hosts.remove(&entry.host);
        }
    }

    /// Opens or shuts an account.
    pub fn set_open(&mut self, account_id: AccountId, is_open: bool) {
        if is_open {
            self.shut.remove(&account_id);
        } else {
            self.shut.insert(account_id);
        }
    }

    /// Finds what a request is for. `bound_account` is the account that the proxy itself named for this route.
    pub fn find(
        &self,
        host: &str,
        path: &[Cow<'_, str>],
        method: Method<'_>,
        bound_account: Option<AccountId>,
    ) -> RouteMatch {
        let settings = self.hosts_settings.of(host);
        let name = settings.alias.as_deref().unwrap_or(host);
        let known = [Some(name), Some(without_port(name)).filter(|without| *without != name)];
        let known = known.map(|name| name.and_then(|name| self.hosts.get(name)));
        let account_id = match bound_account.or(settings.account_id) {
            Some(account_id) => account_id,
            None => match self.owner(known) {
                Ok(account_id) => account_id,
                Err(found) => return found,
            },
        };
        if self.is_shut(account_id) {
            return RouteMatch::Shut;
        }
        let of_account = |target: &Target| target.account_id == account_id;
        // A server answers HEAD by what it has for GET.
        let methods = if method.name == "HEAD" { &["HEAD", "GET"][..] } else { &[method.name][..] };
        // The name with its port is the nearer one.
        let tries = || [known[0].or(known[1]), self.hosts.get("")].into_iter().flatten().map(|host| &host.trie);
        for trie in tries() {
            for method in methods {
                let targets = trie.find(path, method, of_account);
                if targets.iter().any(of_account) {
                    return found(account_id, targets.iter().filter(|target| of_account(target)));
                }
            }
        }
        if settings.allows_unknown && (method.name == "OPTIONS" || !method.is_common) {
            let mut known = tries().map(|trie| trie.find_any(path, of_account));
            if let Some(targets) = known.find(|targets| !targets.is_empty()) {
                return if method.name == "OPTIONS" {
                    found(account_id, targets.iter())
                } else {
                    RouteMatch::OtherMethod
                };
            }
        }
        RouteMatch::Unknown { account_id: Some(account_id) }
    }

    /// The account of a host that is not bound.
    fn owner(&self, known: [Option<&Host>; 2]) -> Result<AccountId, RouteMatch> {
        let names = || known.into_iter().flatten().flat_map(|host| &host.accounts).map(|(account_id, _)| *account_id);
        let mut open = names().filter(|account_id| !self.is_shut(*account_id));
        match open.next() {
            Some(owner) if open.all(|other| other == owner) => Ok(owner),
            Some(_) => Err(RouteMatch::Contested),
            None if names().next().is_some() => Err(RouteMatch::Shut),
            None => Err(RouteMatch::Unknown { account_id: None }),
        }
    }

    fn is_shut(&self, account_id: AccountId) -> bool {
        !self.shut.is_empty() && self.shut.contains(&account_id)
    }

    /// The hosts that several open accounts name and that are bound to none, with those accounts.
    pub fn contested(&self) -> Vec<(String, Vec<AccountId>)> {
        let names = self.hosts.iter().filter(|(name, _)| !name.is_empty());
        let names = names.map(|(name, host)| (&**name, host));
        let unbound = names.filter(|(name, _)| self.hosts_settings.of(name).account_id.is_none());
        let of = |(name, host): (&str, &Host)| {
            let without = self.hosts.get(without_port(name));
            let all = host.accounts.iter().chain(without.into_iter().flat_map(|host| &host.accounts));
            let mut open: Vec<_> = all.map(|(account_id, _)| *account_id).filter(|id| !self.is_shut(*id)).collect();
            open.sort_unstable();
            open.dedup();
            (open.len() > 1).then(|| (name.to_string(), open))
        };
        let mut contested: Vec<_> = unbound.filter_map(of).collect();
        contested.sort_unstable();
        contested
    }

    /// Whether calls of unknown endpoints pass on this host.
    pub fn allows_unknown(&self, host: &str) -> bool {
        self.hosts_settings.of(host).allows_unknown
    }

    /// How many endpoints there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Endpoints of one account at one entry.
fn found<'t>(account_id: AccountId, targets: impl Iterator<Item = &'t Target>) -> RouteMatch {
    let mut collection_ids: Vec<_> =
        targets.filter(|target| target.active).map(|target| target.collection_id).collect();
    if collection_ids.is_empty() {
        return RouteMatch::Inactive;
    }
    collection_ids.sort_unstable();
    RouteMatch::Endpoint { account_id, collection_ids }
}

/// A host of the inventory in the spelling that requests have. What cannot be a host of a request is kept as it is, and
/// no request finds it.
fn inventory_host(host: &str) -> Cow<'_, str> {
    if let Some(name) = host_name(host) {
        return name;
    }
    // An international name, which requests have in its ASCII form.
    let url = reqwest::Url::parse(&format!("http://{host}")).ok();
    let ascii = url.as_ref().and_then(|url| Some((url.host_str()?, url.port())));
    let ascii = ascii.map(|(name, port)| port.map_or_else(|| name.to_owned(), |port| format!("{name}:{port}")));
    ascii.and_then(|name| host_name(&name).map(|name| Cow::Owned(name.into_owned()))).unwrap_or(Cow::Borrowed(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(number: i32, account: i64, host: &str, path: &str) -> Endpoint {
        let (endpoint_id, account_id) = (EndpointId(number.into()), AccountId(account));
        let (collection_id, host, path) = (CollectionId(number * 10), host.to_owned(), path.to_owned());
        Endpoint { endpoint_id, account_id, collection_id, host, method: "GET".into(), path, active: true }
    }

    fn routes(settings: &str, endpoints: &[Endpoint]) -> Routes {
        let mut routes = Routes::new(Hosts::parse(settings, false).unwrap());
        endpoints.iter().for_each(|endpoint| routes.put(endpoint));
        routes
    }

    fn find(routes: &Routes, host: &str, path: &str, method: &str) -> RouteMatch {
        let path: Vec<_> = path.split('/').skip(1).map(Cow::Borrowed).collect();
        routes.find(host, &path, Method::parse(method).unwrap(), None)
    }

    fn collections(routes: &Routes, host: &str, path: &str, method: &str) -> Option<Vec<i32>> {
        match find(routes, host, path, method) {
            RouteMatch::Endpoint { collection_ids, .. } => Some(collection_ids.into_iter().map(Into::into).collect()),
            RouteMatch::Inactive => Some(vec![]),
            _ => None,
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
    fn spellings_of_a_host_in_the_inventory_are_one() {
        for spelled in ["A.Example", "a.example.", "a.example:443", "A.EXAMPLE.:80"] {
            let routes = routes("", &[endpoint(1, 1, spelled, "/x")]);
            assert_eq!(collections(&routes, "a.example", "/x", "GET"), Some(vec![10]), "{spelled}");
        }
        let routes = routes("", &[endpoint(1, 1, "b\u{fc}cher.example", "/x")]);
        assert_eq!(collections(&routes, "xn--bcher-kva.example", "/x", "GET"), Some(vec![10]));
    }

    /// Whoever came first, and whatever is deleted and comes back: a host of two accounts belongs to none until it is bound.
    #[test]
    fn a_host_of_two_accounts_is_refused_until_it_is_bound() {
        let (one, two) = (endpoint(1, 1, "a.example", "/x"), endpoint(2, 2, "a.example", "/admin"));
        for order in [[one.clone(), two.clone()], [two.clone(), one.clone()]] {
            let mut routes = routes("", &order);
            for path in ["/x", "/admin", "/other"] {
                assert_eq!(find(&routes, "a.example", path, "GET"), RouteMatch::Contested);
            }
            assert_eq!(routes.contested(), [("a.example".to_owned(), vec![AccountId(1), AccountId(2)])]);
            routes.remove(EndpointId(1));
            assert_eq!(collections(&routes, "a.example", "/admin", "GET"), Some(vec![20]));
            routes.put(&endpoint(3, 1, "a.example", "/x"));
            assert_eq!(find(&routes, "a.example", "/x", "GET"), RouteMatch::Contested);
            routes.set_open(AccountId(2), false);
            assert_eq!(collections(&routes, "a.example", "/x", "GET"), Some(vec![30]), "a shut account names nothing");
        }
        let mut bound = routes("a.example account=2", &[one, two]);
        assert_eq!(collections(&bound, "a.example", "/admin", "GET"), Some(vec![20]));
        assert_eq!(collections(&bound, "a.example", "/x", "GET"), None);
        assert!(bound.contested().is_empty());
        bound.remove(EndpointId(2));
        assert_eq!(collections(&bound, "a.example", "/x", "GET"), None, "the binding stays");
        bound.put(&endpoint(4, 2, "a.example", "/admin"));
        assert_eq!(collections(&bound, "a.example", "/admin", "GET"), Some(vec![40]));
    }

    #[test]
    fn a_host_with_its_port_is_the_same_host() {
        for (mine, theirs) in [("a.example", "a.example:8080"), ("a.example:8080", "a.example")] {
            let routes = routes("", &[endpoint(1, 1, mine, "/x"), endpoint(2, 2, theirs, "/x")]);
            assert_eq!(find(&routes, "a.example:8080", "/x", "GET"), RouteMatch::Contested);
            assert_eq!(routes.contested().last().unwrap().1, [AccountId(1), AccountId(2)]);
        }
    }

    #[test]
    fn nothing_of_a_shut_account_passes() {
        let mut routes = routes("a.example unknown=allow", &[endpoint(1, 1, "a.example", "/x")]);
        routes.set_open(AccountId(1), false);
        for (path, method) in [("/x", "GET"), ("/x", "POST"), ("/other", "GET"), ("/x", "OPTIONS")] {
            assert_eq!(find(&routes, "a.example", path, method), RouteMatch::Shut, "{method} {path}");
        }
        routes.set_open(AccountId(1), true);
        assert_eq!(collections(&routes, "a.example", "/x", "GET"), Some(vec![10]));
    }

    #[test]
    fn an_endpoint_that_is_switched_off_is_not_unknown() {
        let mut routes = routes("a.example unknown=allow", &[endpoint(1, 1, "a.example", "/x")]);
        routes.put(&Endpoint { active: false, ..endpoint(1, 1, "a.example", "/x") });
        assert_eq!(collections(&routes, "a.example", "/x", "GET"), Some(vec![]));
        assert_eq!(collections(&routes, "a.example", "/X", "GET"), Some(vec![]), "what is let through folds case");
        routes.remove(EndpointId(1));
        assert_eq!(collections(&routes, "a.example", "/x", "GET"), None);
        assert!(routes.is_empty());
    }

    #[test]
    fn a_known_path_is_not_passed_by_a_method_that_servers_read_as_another() {
        let all = [
            endpoint(1, 1, "a.example", "/x"),
            Endpoint { method: "post".into(), ..endpoint(2, 1, "a.example", "/x") },
        ];
        let open = routes("a.example unknown=allow", &all);
        assert_eq!(collections(&open, "a.example", "/x", "OPTIONS"), Some(vec![10, 20]));
        assert_eq!(collections(&open, "a.example", "/x", "POST"), Some(vec![20]));
        assert_eq!(find(&open, "a.example", "/x", "TRACE"), RouteMatch::OtherMethod);
        assert_eq!(find(&open, "a.example", "/y", "TRACE"), RouteMatch::Unknown { account_id: Some(AccountId(1)) });
        assert_eq!(find(&open, "a.example", "/y", "OPTIONS"), RouteMatch::Unknown { account_id: Some(AccountId(1)) });
        let closed = routes("", &all);
        assert_eq!(find(&closed, "a.example", "/x", "OPTIONS"), RouteMatch::Unknown { account_id: Some(AccountId(1)) });
    }

    #[test]
    fn an_alias_names_the_host_of_the_inventory() {
        let routes = routes("edge.example as=a.example", &[endpoint(1, 1, "a.example", "/x")]);
        assert_eq!(collections(&routes, "edge.example", "/x", "GET"), Some(vec![10]));
    }
}
