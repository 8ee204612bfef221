//! Envoy's external authorization, version 3.

use std::{collections::HashMap, net::IpAddr};

use envoy_types::{
    ext_authz::v3::pb::{
        Address, Authorization, AuthorizationServer, CheckRequest, CheckResponse, DeniedHttpResponse,
        HeaderAppendAction, HeaderValue, HeaderValueOption, HttpResponse, HttpStatus, OkHttpResponse,
    },
    pb::google::rpc,
};
use tonic::{
    Code, Request, Response, Status,
    service::{Interceptor, interceptor::InterceptedService},
};

use crate::enforce::{Call, Caller, Edge, Refusal, Verdict, credential::Removed};

/// Metadata with the secret that the proxy shares with the edge.
const PROXY_TOKEN: &str = "x-portolan-edge-token";
/// The key of Envoy's context extensions that names the account of a route.
const ACCOUNT_EXTENSION: &str = "portolan-account";

const PROFILE_HEADER: &str = "x-portolan-profile-id";
const CLIENT_HEADER: &str = "x-portolan-client-id";
const CLAIMS_HEADER: &str = "x-portolan-claims";
/// Why a request was refused, where that tells nothing of credentials.
const REASON_HEADER: &str = "x-portolan-error";
const COOKIE: &str = "cookie";
/// What begins so, also with `_` for `-`, comes from us or from nobody.
const OWN_PREFIX: &str = "x-portolan-";
/// By these some servers answer another method or path than the one that was decided on.
const OVERRIDES: [&str; 6] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
    "x-original-uri",
];

/// What a proxy may send about one request. Envoy itself takes 60 KiB of headers, and 100 of them, unless it is told
/// otherwise.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Beyond this a request is refused before anything of it is kept: a header in memory is many times what it is in a message.
const HEADERS_MAX: usize = 1_000;

/// The handler.
pub struct Check {
    edge: Edge,
}

impl Check {
    /// The service, which reads no message of a proxy that is not known.
    pub fn server(edge: Edge) -> InterceptedService<AuthorizationServer<Self>, KnownProxies> {
        let check = Self { edge: edge.clone() };
        let server = AuthorizationServer::new(check).max_decoding_message_size(MESSAGE_BYTES_MAX);
        InterceptedService::new(server, KnownProxies { edge })
    }
}

/// Refuses callers that do not show the secret of the proxies.
#[derive(Clone)]
pub struct KnownProxies {
    edge: Edge,
}

impl Interceptor for KnownProxies {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let token = request.metadata().get(PROXY_TOKEN).and_then(|token| token.to_str().ok()).unwrap_or_default();
        if self.edge.knows_proxy(token) {
            return Ok(request);
        }
        let address = request.remote_addr().map(|address| address.ip().to_string());
        self.edge.refuse_proxy(token, &address.unwrap_or_default());
        Err(Status::unauthenticated("the proxy is not known"))
    }
}

#[tonic::async_trait]
impl Authorization for Check {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let attributes = request.into_inner().attributes.unwrap_or_default();
        let http = attributes.request.and_then(|request| request.http).unwrap_or_default();
        if http.headers.len() > HEADERS_MAX {
            return Ok(Response::new(answer(Verdict::Refuse(Refusal::Headers), &HashMap::new())));
        }
        let source = attributes.source.unwrap_or_default();
        let account = attributes.context_extensions.get(ACCOUNT_EXTENSION);
        let bound_account = account
            .map(|id| id.parse())
            .transpose()
            .map_err(|_| Status::invalid_argument("portolan-account is no account id"))?;
        let call = Call {
            method: &http.method,
            host: &http.host,
            target: &http.path,
            headers: &http.headers,
            peer: source.address.and_then(|address| peer(address.address)),
            certificate: &source.certificate,
            bound_account,
        };
        let verdict = self.edge.decide(&call).await;
        tracing::debug!(outcome = outcome(&verdict), method = http.method, host = http.host, "decided at the edge");
        Ok(Response::new(answer(verdict, &http.headers)))
    }
}

fn outcome(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pass { caller: Some(_), .. } => "pass",
        Verdict::Pass { caller: None, .. } => "pass_unknown",
        Verdict::Refuse(refusal) => refusal.name(),
    }
}

/// `headers` are those of the request.
fn answer(verdict: Verdict, headers: &HashMap<String, String>) -> CheckResponse {
    metrics::counter!("portolan_edge_decisions_total", "outcome" => outcome(&verdict)).increment(1);
    match verdict {
        Verdict::Pass { caller, removed } => pass(caller, removed, headers),
        Verdict::Refuse(refusal) => refuse(refusal),
    }
}

fn peer(address: Option<Address>) -> Option<IpAddr> {
    match address? {
        Address::SocketAddress(socket) => socket.address.parse().ok(),
        _ => None,
    }
}

fn pass(caller: Option<Caller>, credentials: Removed, headers: &HashMap<String, String>) -> CheckResponse {
    let mut ok = OkHttpResponse::default();
    let is_ours = |name: &str| {
        let same = |(own, byte): (u8, u8)| own == byte.to_ascii_lowercase() || (own == b'-' && byte == b'_');
        name.len() >= OWN_PREFIX.len() && OWN_PREFIX.bytes().zip(name.bytes()).all(same)
    };
    let mut removed: Vec<String> = headers.keys().filter(|name| is_ours(name)).cloned().collect();
    if let Some(caller) = caller {
        ok.headers.push(header(PROFILE_HEADER, caller.profile_id.to_string()));
        ok.headers.push(header(CLIENT_HEADER, caller.client_id.to_string()));
        ok.headers.extend(caller.claims.map(|claims| header(CLAIMS_HEADER, claims)));
        // Envoy removes after it sets, so a header that was set must not be removed as well.
        removed.retain(|name| !ok.headers.iter().any(|set| set.header.as_ref().is_some_and(|h| h.key == *name)));
    }
    removed.extend(OVERRIDES.iter().filter(|name| headers.contains_key(**name)).map(|name| (*name).to_owned()));
    removed.extend(credentials.headers);
    match credentials.cookie {
        Some(left) if left.is_empty() => removed.push(COOKIE.to_owned()),
        Some(left) => ok.headers.push(header(COOKIE, left)),
        None => {}
    }
    ok.headers_to_remove = removed;
    ok.query_parameters_to_remove = credentials.parameters;
    response(Code::Ok, HttpResponse::OkResponse(ok))
}

fn refuse(refusal: Refusal) -> CheckResponse {
    let (code, message) = match refusal.status() {
        400 => (Code::InvalidArgument, "Bad request"),
        401 => (Code::Unauthenticated, "Unauthorized"),
        403 => (Code::PermissionDenied, "Forbidden"),
        404 => (Code::NotFound, "Not found"),
        429 => (Code::ResourceExhausted, "Too many requests"),
        431 => (Code::InvalidArgument, "Too many headers"),
        _ => (Code::Unavailable, "Service unavailable"),
    };
    let mut headers = vec![header("content-type", "application/json; charset=utf-8".to_owned())];
    if let Some(reason) = refusal.reason() {
        headers.push(header(REASON_HEADER, reason.to_owned()));
    }
    match refusal {
        Refusal::Limit(seconds) => headers.push(header("retry-after", seconds.to_string())),
        _ if refusal.status() == 401 => headers.push(header("www-authenticate", "Bearer".to_owned())),
        _ if refusal.status() == 503 => headers.push(header("retry-after", "1".to_owned())),
        _ => {}
    }
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: i32::from(refusal.status()) }),
        headers,
        body: format!("{{\"message\":\"{message}\"}}"),
    };
    response(code, HttpResponse::DeniedResponse(denied))
}

fn response(code: Code, answer: HttpResponse) -> CheckResponse {
    let status = rpc::Status { code: code as i32, ..rpc::Status::default() };
    CheckResponse { status: Some(status), http_response: Some(answer), ..CheckResponse::default() }
}

fn header(name: &str, value: String) -> HeaderValueOption {
    let header = HeaderValue { key: name.to_owned(), value, ..HeaderValue::default() };
    HeaderValueOption {
        header: Some(header),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        ..HeaderValueOption::default()
    }
}
