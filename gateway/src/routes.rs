//! The routes of the contract: from a verb and a path to an RPC.

use std::{collections::HashMap, sync::Arc};

use http::{Method, uri::PathAndQuery};
use percent_encoding::percent_decode_str;
use portolan_api::{MethodPolicy, Reason, descriptors, google::api::http_rule::Pattern, options, policy};
use prost_reflect::{MethodDescriptor, ServiceDescriptor};

use crate::codec::{MessageId, PlanError, Plans};

/// Longest path that is looked at, in bytes.
const PATH_BYTES_MAX: usize = 8 * 1024;

/// The contract cannot be served.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the text of each variant says what is wrong with the contract")]
pub enum ContractError {
    #[error("{rpc}: {problem}")]
    Route { rpc: String, problem: String },
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// An RPC as the gateway calls it.
#[derive(Debug)]
pub(crate) struct Rpc {
    pub service: String,
    /// `/package.Service/Method`
    pub path: PathAndQuery,
    /// `Service/Method`, the label of metrics and traces.
    pub label: Arc<str>,
    pub policy: &'static MethodPolicy,
    /// It speaks RFC 6749: forms beside JSON, and its error codes.
    pub is_oauth: bool,
    pub request: MessageId,
    pub response: MessageId,
    pub descriptor: MethodDescriptor,
}

/// One verb on one path.
#[derive(Debug)]
pub(crate) struct Route {
    pub verb: Method,
    /// As in the contract, `/v1/jobs/{job_id}`.
    pub pattern: String,
    /// The request field of each parameter of the path, by index.
    pub params: Vec<usize>,
    pub body: BodyRule,
    /// The response field that is the whole answer, by index.
    pub response_body: Option<usize>,
    pub rpc: Arc<Rpc>,
}

/// What the HTTP body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyRule {
    /// Nothing; fields come from the query.
    None,
    /// The request message.
    Message,
    /// The field with this index; others come from the query.
    Field(usize),
    /// Raw bytes, streamed in the field with this number; others come from the query.
    Stream(u32),
}

/// Every route, in one tree of path segments.
#[derive(Debug)]
pub(crate) struct Routes {
    pub list: Vec<Route>,
    pub plans: Plans,
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<String, usize>,
    /// Parameters with what follows them in their segment, such as `:rotate`; the longest first.
    params: Vec<(String, usize)>,
    /// The routes that end here, one a verb.
    routes: Vec<usize>,
}

/// A path that exists.
#[derive(Debug)]
pub(crate) struct RouteMatch<'r> {
    routes: &'r Routes,
    node: usize,
    /// The decoded parameters of the path.
    pub values: Vec<String>,
}

impl Routes {
    /// Reads every HTTP rule of the contract.
    pub fn from_contract() -> Result<Self, ContractError> {
        let mut routes = Self { list: Vec::new(), plans: Plans::default(), nodes: vec![Node::default()] };
        for service in descriptors().services() {
            for method in service.methods() {
                routes.add(&service, &method)?;
            }
        }
        Ok(routes)
    }

    /// Finds a path, byte for byte but for its parameters. Errors: `PATH_INVALID`, `PATH_UNKNOWN`.
    pub fn find(&self, path: &str) -> Result<RouteMatch<'_>, Reason> {
        if path.len() > PATH_BYTES_MAX {
            return Err(Reason::PathInvalid);
        }
        let segments: Vec<_> = path.strip_prefix('/').ok_or(Reason::PathInvalid)?.split('/').collect();
        let mut raw = Vec::new();
        let node = self.descend(0, &segments, &mut raw).ok_or(Reason::PathUnknown)?;
        let values = raw.into_iter().map(decode_param).collect::<Result<_, _>>()?;
        Ok(RouteMatch { routes: self, node, values })
    }

    /// The position in `list`, for work that outlives the borrow.
    pub fn index_of(&self, route: &Route) -> usize {
        self.list.iter().position(|other| std::ptr::eq(other, route)).unwrap_or_default()
    }

    fn descend<'a>(&self, node: usize, segments: &[&'a str], raw: &mut Vec<&'a str>) -> Option<usize> {
        let here = &self.nodes[node];
        let Some((segment, rest)) = segments.split_first() else {
            return (!here.routes.is_empty()).then_some(node);
        };
        if let Some(found) = here.literals.get(*segment).and_then(|next| self.descend(*next, rest, raw)) {
            return Some(found);
        }
        for (suffix, next) in &here.params {
            let Some(value) = segment.strip_suffix(suffix.as_str()).filter(|value| !value.is_empty()) else { continue };
            raw.push(value);
            if let Some(found) = self.descend(*next, rest, raw) {
                return Some(found);
            }
            raw.pop();
        }
        None
    }

    fn add(&mut self, service: &ServiceDescriptor, method: &MethodDescriptor) -> Result<(), ContractError> {
        let Some(rule) = options::http_rule(method) else { return Ok(()) };
        let refuse = |problem: String| ContractError::Route { rpc: method.full_name().to_owned(), problem };
        let grpc_path = format!("/{}/{}", service.full_name(), method.name());
        let rpc = Arc::new(Rpc {
            service: service.full_name().to_owned(),
            label: format!("{}/{}", service.name(), method.name()).into(),
            policy: policy(&grpc_path).ok_or_else(|| refuse("no policy".into()))?,
            path: PathAndQuery::try_from(grpc_path).map_err(|error| refuse(error.to_string()))?,
            is_oauth: options::oauth(method),
            request: self.plans.add(&method.input())?,
            response: self.plans.add(&method.output())?,
            descriptor: method.clone(),
        });
        if method.is_server_streaming() {
            return Err(refuse("an RPC with a streamed answer has no JSON form".into()));
        }
        for rule in std::iter::once(&rule).chain(&rule.additional_bindings) {
            let (verb, pattern) = match &rule.pattern {
                Some(Pattern::Get(path)) => (Method::GET, path),
                Some(Pattern::Put(path)) => (Method::PUT, path),
                Some(Pattern::Post(path)) => (Method::POST, path),
                Some(Pattern::Delete(path)) => (Method::DELETE, path),
                Some(Pattern::Patch(path)) => (Method::PATCH, path),
                None => return Err(refuse("no path".into())),
            };
            let field_of = |message, name: &str| {
                let unknown = || refuse(format!("no field is named `{name}`"));
                self.plans.message(message).by_any_name(name).ok_or_else(unknown)
            };
            let body = match rule.body.as_str() {
                "" => BodyRule::None,
                "*" => BodyRule::Message,
                name => {
                    let index = field_of(rpc.request, name)?;
                    let field = &self.plans.message(rpc.request).fields[index];
                    if field.options.raw_body { BodyRule::Stream(field.number) } else { BodyRule::Field(index) }
                }
            };
            if method.is_client_streaming() != matches!(body, BodyRule::Stream(_)) {
                return Err(refuse("a streamed request and a raw_body field need each other".into()));
            }
            let response_body = match rule.response_body.as_str() {
                "" => None,
                name => Some(field_of(rpc.response, name)?),
            };
            let mut params = Vec::new();
            for (name, _) in pattern.split('/').filter_map(param_of) {
                params.push(field_of(rpc.request, name)?);
            }
            let route = Route { verb, pattern: pattern.clone(), params, body, response_body, rpc: rpc.clone() };
            self.insert(route).map_err(refuse)?;
        }
        Ok(())
    }

    fn insert(&mut self, route: Route) -> Result<(), String> {
        let path = route.pattern.strip_prefix('/').ok_or("a path starts with a slash")?;
        let mut node = 0;
        for segment in path.split('/') {
            let next = self.nodes.len();
            let here = &mut self.nodes[node];
            node = match param_of(segment) {
                None => *here.literals.entry(segment.to_owned()).or_insert(next),
                Some((_, suffix)) => match here.params.iter().find(|(other, _)| other == suffix) {
                    Some((_, found)) => *found,
                    None => {
                        here.params.push((suffix.to_owned(), next));
                        here.params.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
                        next
                    }
                },
            };
            if node == next {
                self.nodes.push(Node::default());
            }
        }
        if self.nodes[node].routes.iter().any(|other| self.list[*other].verb == route.verb) {
            return Err(format!("{} {} is there twice", route.verb, route.pattern));
        }
        self.nodes[node].routes.push(self.list.len());
        self.list.push(route);
        Ok(())
    }
}

impl<'r> RouteMatch<'r> {
    /// The route of a verb. HEAD asks what GET would answer.
    pub fn route(&self, verb: &Method) -> Option<&'r Route> {
        let verb = if verb == Method::HEAD { &Method::GET } else { verb };
        self.each().find(|route| route.verb == *verb)
    }

    /// The value of `Allow`.
    pub fn allowed(&self) -> String {
        let mut verbs: Vec<_> = self.each().map(|route| route.verb.as_str()).collect();
        if verbs.contains(&"GET") {
            verbs.push("HEAD");
        }
        verbs.push("OPTIONS");
        verbs.join(", ")
    }

    /// The routes of this path; never none.
    pub fn each(&self) -> impl Iterator<Item = &'r Route> + use<'r> {
        let routes = self.routes;
        routes.nodes[self.node].routes.iter().map(|index| &routes.list[*index])
    }
}

/// The name in `{name}` and what follows it in its segment.
pub(crate) fn param_of(segment: &str) -> Option<(&str, &str)> {
    segment.strip_prefix('{')?.split_once('}')
}

/// A parameter is decoded after routing, so that an escaped slash is part of the value. Segments that a proxy may take
/// for a step in the path are refused.
fn decode_param(raw: &str) -> Result<String, Reason> {
    let escapes_are_whole = raw.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().get(..2).unwrap_or_default();
        digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit)
    });
    let value = percent_decode_str(raw).decode_utf8().map_err(|_| Reason::PathInvalid)?;
    let is_step = value == "." || value == "..";
    if !escapes_are_whole || is_step || value.contains('\0') {
        Err(Reason::PathInvalid)
    } else {
        Ok(value.into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Routes {
        Routes::from_contract().unwrap()
    }

    #[test]
    fn paths_match_byte_for_byte() {
        let routes = routes();
        assert!(routes.find("/api/me").is_ok());
        for path in ["/api//me", "/api/me/", "/API/me", "/api/%6de", "/api/../api/me", "/api/me;x=1", "//api/me", "/"] {
            assert_eq!(routes.find(path).unwrap_err(), Reason::PathUnknown, "{path}");
        }
        assert_eq!(routes.find("*").unwrap_err(), Reason::PathInvalid);
        assert_eq!(routes.find(&format!("/{}", "a".repeat(PATH_BYTES_MAX))).unwrap_err(), Reason::PathInvalid);
    }

    #[test]
    fn parameters_are_decoded_once() {
        let routes = routes();
        let value = |path: &str| routes.find(path).map(|found| found.values[0].clone());
        assert_eq!(value("/v1/jobs/a%2Fb%20c%2525").unwrap(), "a/b c%25");
        for path in ["/v1/jobs/..", "/v1/jobs/%2e%2e", "/v1/jobs/%c0%af", "/v1/jobs/%zz", "/v1/jobs/%0", "/v1/jobs/%00"]
        {
            assert_eq!(value(path).unwrap_err(), Reason::PathInvalid, "{path}");
        }
        assert_eq!(value("/v1/jobs/").unwrap_err(), Reason::PathUnknown);
    }

    #[test]
    fn verbs_of_a_path() {
        let routes = routes();
        let found = routes.find("/v1/jobs").unwrap();
        assert_eq!(found.allowed(), "GET, HEAD, OPTIONS");
        assert!(found.route(&Method::HEAD).is_some() && found.route(&Method::POST).is_none());
    }

    #[test]
    fn a_suffix_wins_over_the_bare_parameter() {
        let mut routes = routes();
        for pattern in ["/v9/keys/{job_id}:rotate", "/v9/keys/{job_id}", "/v9/keys/all"] {
            let from = routes.list.iter().find(|route| route.pattern == "/v1/jobs/{job_id}").unwrap();
            let (rpc, params) = (from.rpc.clone(), if pattern.contains('{') { vec![0] } else { vec![] });
            let pattern = pattern.to_owned();
            let (verb, body) = (Method::GET, BodyRule::None);
            routes.insert(Route { verb, pattern, params, body, response_body: None, rpc }).unwrap();
        }
        let found = |path: &str| {
            let found = routes.find(path).unwrap();
            (found.each().next().unwrap().pattern.clone(), found.values)
        };
        assert_eq!(found("/v9/keys/7:rotate"), ("/v9/keys/{job_id}:rotate".into(), vec!["7".to_owned()]));
        assert_eq!(found("/v9/keys/7"), ("/v9/keys/{job_id}".into(), vec!["7".to_owned()]));
        assert_eq!(found("/v9/keys/all"), ("/v9/keys/all".into(), vec![]));
    }
}
