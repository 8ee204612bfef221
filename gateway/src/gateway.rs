//! The way of one request: route, verb, credential, content type, body, call, answer.

use std::{net::SocketAddr, panic::AssertUnwindSafe, sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::{ConnectInfo, Request, State},
    response::Response,
};
use futures::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use portolan_api::{Dialect, Error, Reason, Who, access, options::BODY_BYTES_MAX};
use portolan_runtime::telemetry;
use tracing::Instrument;

use crate::{
    arguments,
    body::RequestBody,
    call::{self, FRAME_HEADER_BYTES},
    codec::{self, Secrets},
    deprecation,
    edge::{Backend, EdgeRequest, GatewayDeps, IdempotencyId, Identified},
    error::{WORKATO_CONTENT_TYPE, dialect_of_path, is_oauth, render, with_error_member},
    form,
    idempotency::{self, Answered},
    origin,
    pages::Pages,
    query::{encode_cookies, encode_headers, encode_params, encode_query},
    reply::{self, REQUEST_ID, Reply},
    routes::{BodyRule, ContractError, Found, Route, Routes},
};

/// Tells services under which id to make a write happen once.
const WRITE_ID: HeaderName = HeaderName::from_static("x-portolan-write-id");
/// Trace headers that pass through to the services.
const TRACE: [HeaderName; 2] = [HeaderName::from_static("traceparent"), HeaderName::from_static("tracestate")];
/// Largest body of a route that takes forms.
const FORM_BYTES_MAX: usize = 64 * 1024;
/// Largest body of a route that anybody may call, beside the routes that take forms.
const PUBLIC_BYTES_MAX: usize = 16 * 1024;
const REQUEST_ID_CHARACTERS_MAX: usize = 128;
/// A request field of this name takes the header `content-encoding` of a streamed body.
const CONTENT_ENCODING_FIELD: &str = "content_encoding";

/// Everything a request needs, made once.
pub(crate) struct Gateway {
    routes: Routes,
    pages: Pages,
    deps: GatewayDeps,
}

/// An RPC call that is ready to be made, apart from the connection it came on.
struct Call {
    gateway: Arc<Gateway>,
    backend: Backend,
    /// Index of the route.
    route: usize,
    metadata: HeaderMap,
    message: Message,
    needs_replay: bool,
}

pub(crate) enum Message {
    /// A message with room for the frame's header before it.
    Unary(Vec<u8>),
    Stream(tonic::body::Body),
}

impl Gateway {
    pub fn new(deps: GatewayDeps) -> Result<Self, ContractError> {
        Ok(Self { routes: Routes::from_contract()?, pages: Pages::default(), deps })
    }
}

/// Answers one request. Whatever happens inside, the caller gets a documented answer with a request id.
pub(crate) async fn handle(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let started = Instant::now();
    let request_id = RequestId::of(request.headers());
    let (verb, uri) = (request.method().clone(), request.uri().clone());
    let mut seen = Seen::default();

    let span = tracing::info_span!(
        "request", verb = %verb, path = uri.path(), request_id = request_id.text(),
        account_id = tracing::field::Empty, credential_id = tracing::field::Empty
    );
    telemetry::adopt(&span, request.headers());
    let work = dispatch(&gateway, request, &request_id, &mut seen).instrument(span);
    let mut reply = match AssertUnwindSafe(work).catch_unwind().await {
        Ok(reply) => reply,
        Err(_) => render(&Error::internal("a request panicked"), dialect_of_path(uri.path()), request_id.text()),
    };
    if dialect_of_path(uri.path()) == Dialect::Katapult {
        reply::allow_every_origin(reply.headers_mut());
    }
    reply::finish(reply.headers_mut(), &request_id.value);
    seen.tell(&reply, started.elapsed().as_secs_f64(), &request_id);
    reply.map(Body::from)
}

/// What is known of a request when it is answered, for whoever watches.
struct Seen {
    /// The RPC, as metrics name it.
    label: Arc<str>,
    /// The pattern of its path; empty for pages.
    route: String,
    account_id: i64,
    credential_id: String,
}

impl Default for Seen {
    fn default() -> Self {
        Self { label: Arc::from("none"), route: String::new(), account_id: 0, credential_id: String::new() }
    }
}

impl Seen {
    fn tell(self, reply: &Reply, seconds: f64, request_id: &RequestId) {
        let status = reply.status();
        let reason = reply.headers().get("x-portolan-error").and_then(|reason| reason.to_str().ok());
        if status == StatusCode::UNAUTHORIZED {
            let reason = reason.unwrap_or_default().to_owned();
            metrics::counter!("portolan_authentication_failures_total", "reason" => reason).increment(1);
        }
        let code = status.as_u16().to_string();
        if !self.route.is_empty() || reason.is_some() {
            access::tell(&access::Request {
                account_id: self.account_id,
                credential_id: &self.credential_id,
                route: if self.route.is_empty() { "none" } else { &self.route },
                status: &code,
                reason: reason.and_then(Reason::from_str_name),
                failed: status.is_server_error(),
                seconds,
                request_id: request_id.text(),
            });
        }
        metrics::counter!("portolan_gateway_requests_total", "method" => self.label.clone(), "status" => code)
            .increment(1);
        metrics::histogram!("portolan_gateway_request_seconds", "method" => self.label).record(seconds);
    }
}

async fn dispatch(gateway: &Arc<Gateway>, request: Request, request_id: &RequestId, seen: &mut Seen) -> Reply {
    let (parts, body) = request.into_parts();
    let body = RequestBody::new(body, &parts.headers);
    if let Some(page) = gateway.pages.answer(&parts, &gateway.routes, &gateway.deps, request_id.text()).await {
        return page;
    }
    let path = parts.uri.path();
    let found = match gateway.routes.find(path) {
        Ok(found) => found,
        Err(reason) => return render(&reason.into(), dialect_of_path(path), request_id.text()),
    };
    let Some(route) = found.route(&parts.method) else { return no_such_verb(&found, &parts, request_id) };
    seen.label = route.rpc.label.clone();
    seen.route = format!("{} {}", route.verb, route.pattern);
    let dialect = route.rpc.policy.dialect;
    let answered = answer(gateway, route, found.values.clone(), &parts, body, request_id, seen).await;
    let mut reply = answered.unwrap_or_else(|error| {
        let error = if route.rpc.is_oauth { in_oauth(error) } else { error };
        let reply = render(&error, dialect, request_id.text());
        if route.rpc.policy.error_member { with_error_member(reply, &error) } else { reply }
    });
    if dialect == Dialect::Workato {
        let content_type = HeaderValue::from_static(WORKATO_CONTENT_TYPE);
        reply.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    deprecation::announce(reply.headers_mut(), route, &found.values, gateway.deps.sunset.as_ref());
    reply
}

/// RFC 6749 knows one code for everything that is wrong with the request itself.
fn in_oauth(error: Error) -> Error {
    let is_request = (400..=415).contains(&error.http_status(Dialect::Workato)) && !is_oauth(error.reason());
    if is_request { Error::new(Reason::OauthInvalidRequest).with("detail", error.text()) } else { error }
}

async fn answer(
    gateway: &Arc<Gateway>,
    route: &Route,
    values: Vec<String>,
    parts: &Parts,
    body: RequestBody,
    request_id: &RequestId,
    seen: &mut Seen,
) -> Result<Reply, Error> {
    let policy = route.rpc.policy;
    if matches!(policy.who, Who::Nobody | Who::Internal) {
        return Err(Reason::NotCallable.into());
    }
    origin::check(&parts.headers, &parts.uri, policy)?;
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let peer = peer.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
    let edge = EdgeRequest { headers: &parts.headers, peer, policy, request_id: request_id.text() };
    let identified = gateway.deps.edge.authenticate(edge).await?;
    if identified.account_id != 0 {
        (seen.account_id, seen.credential_id) = (identified.account_id, identified.credential_id.clone());
        tracing::Span::current().record("account_id", seen.account_id).record("credential_id", &seen.credential_id);
    }
    let id = match idempotency::key_of(&parts.method, &parts.headers)? {
        // A read changes nothing, so it is made again: what was stored of it would outlive what it read.
        Some(key) if policy.who != Who::Public && !policy.audit.is_empty() && !identified.caller_key.is_empty() => {
            Some(IdempotencyId { scope: identified.caller_key.clone(), key })
        }
        _ => None,
    };

    let (message, digest) = message(&gateway.routes, route, &values, parts, body, id.is_some()).await?;
    let call = Call {
        backend: gateway.deps.backends.get(&route.rpc.service)?,
        gateway: gateway.clone(),
        route: gateway.routes.index_of(route),
        metadata: metadata(identified, id.as_ref(), &parts.headers, request_id)?,
        message,
        needs_replay: id.is_some(),
    };
    let Some(id) = id else { return call.run().await.map(|answered| answered.reply) };

    // Seen to its end even when the client goes away, so that the key is never left held.
    let (gateway, dialect, request_id) = (gateway.clone(), policy.dialect, request_id.text().to_owned());
    let is_streamed = matches!(call.message, Message::Stream(_));
    let work = async move {
        let store = &*gateway.deps.idempotency;
        idempotency::once(store, &id, digest, dialect, &request_id, is_streamed, call.run()).await
    };
    match tokio::spawn(work.in_current_span()).await {
        Ok(reply) => reply,
        Err(error) => Err(Error::internal(error)),
    }
}

/// Makes the request message, and the digest of the request when it has an `Idempotency-Key`.
pub(crate) async fn message(
    routes: &Routes,
    route: &Route,
    values: &[String],
    parts: &Parts,
    body: RequestBody,
    is_keyed: bool,
) -> Result<(Message, [u8; 32]), Error> {
    let plans = &routes.plans;
    let query = parts.uri.query().unwrap_or_default();
    let digest = |body: &[u8]| if is_keyed { idempotency::digest(&parts.method, &parts.uri, body) } else { [0; 32] };

    if let BodyRule::Stream(number) = route.body {
        let mut first = Vec::new();
        encode_query(plans, route, query, &mut first)?;
        let encoding = text_of(&parts.headers, header::CONTENT_ENCODING);
        let plan = plans.message(route.rpc.request);
        if let Some(index) = plan.by_any_name(CONTENT_ENCODING_FIELD).filter(|_| !encoding.is_empty()) {
            codec::encode_text(plans, &plan.fields[index], encoding, &mut first)?;
        }
        encode_params(plans, route, values, &mut first)?;
        let digest = digest(encoding.as_bytes());
        return Ok((Message::Stream(body.into_messages(first, number)), digest));
    }

    let mut message = vec![0; FRAME_HEADER_BYTES];
    let mut json = bytes::Bytes::new();
    if route.rpc.policy.dialect == Dialect::Katapult {
        let body = body.read(BODY_BYTES_MAX).await?;
        arguments::encode(routes, route, values, query, &parts.headers, &body, &mut message)?;
        return Ok((Message::Unary(message), digest(&body)));
    }
    if route.rpc.is_oauth {
        let body = body.read(FORM_BYTES_MAX).await?;
        let json = form::to_json(&parts.headers, &body)?;
        codec::encode(plans, route.rpc.request, None, &json, &mut message)?;
        encode_headers(plans, route, &parts.headers, &mut message)?;
        return Ok((Message::Unary(message), digest(&body)));
    }
    if route.body != BodyRule::None {
        let is_json = takes_json(&parts.headers);
        if !is_json && (parts.headers.contains_key(header::CONTENT_TYPE) && !body.is_empty()) {
            return Err(Reason::ContentTypeUnsupported.into());
        }
        let is_public = route.rpc.policy.who == Who::Public;
        json = body.read(if is_public { PUBLIC_BYTES_MAX } else { BODY_BYTES_MAX }).await?;
        if !is_json && !json.is_empty() {
            return Err(Reason::ContentTypeUnsupported.into());
        }
        message.reserve(json.len());
        let only = if let BodyRule::Field(index) = route.body { Some(index) } else { None };
        codec::encode(plans, route.rpc.request, only, &json, &mut message)?;
    }
    encode_query(plans, route, query, &mut message)?;
    encode_params(plans, route, values, &mut message)?;
    encode_cookies(plans, route, &parts.headers, &mut message)?;
    Ok((Message::Unary(message), digest(&json)))
}

impl Call {
    async fn run(self) -> Result<Answered, Error> {
        let route = &self.gateway.routes.list[self.route];
        let path = &route.rpc.path;
        let wire = match self.message {
            Message::Unary(frame) => call::unary(self.backend, path, self.metadata, frame).await?,
            Message::Stream(body) => call::call(self.backend, path, self.metadata, body).await?,
        };
        let decode = |secrets| {
            let plans = &self.gateway.routes.plans;
            codec::decode(plans, route.rpc.response, route.response_body, &wire, secrets)
                .map_err(|error| Error::internal(format!("{path}: {error}")))
                .and_then(reply::from_answer)
        };
        let reply = decode(Secrets::Shown)?;
        let replay = if self.needs_replay { decode(Secrets::LeftOut)? } else { Reply::default() };
        Ok(Answered { reply, replay })
    }
}

fn no_such_verb(found: &Found, parts: &Parts, request_id: &RequestId) -> Reply {
    let dialect = found.each().next().map_or(Dialect::Portolan, |route| route.rpc.policy.dialect);
    let mut reply = if parts.method == Method::OPTIONS {
        let mut reply = Reply::default();
        if dialect != Dialect::Katapult {
            *reply.status_mut() = StatusCode::NO_CONTENT;
        }
        reply
    } else {
        let error = Error::new(Reason::VerbNotAllowed).with("method", &parts.method);
        render(&error, dialect, request_id.text())
    };
    if let Ok(allowed) = HeaderValue::try_from(found.allowed()) {
        reply.headers_mut().insert(header::ALLOW, allowed);
    }
    reply
}

/// The metadata of the gRPC request. Nothing of the caller's headers passes but the trace context.
fn metadata(
    identified: Identified,
    id: Option<&IdempotencyId>,
    headers: &HeaderMap,
    request_id: &RequestId,
) -> Result<HeaderMap, Error> {
    let mut metadata = HeaderMap::with_capacity(identified.metadata.len() + 8);
    for name in TRACE {
        if let Some(value) = headers.get(&name) {
            metadata.insert(name, value.clone());
        }
    }
    let write_id = match id {
        Some(id) => HeaderValue::try_from(idempotency::write_id(id)).map_err(Error::internal)?,
        None => request_id.made.clone(),
    };
    metadata.insert(WRITE_ID, write_id);
    metadata.insert(REQUEST_ID, request_id.value.clone());
    metadata.extend(identified.metadata);
    telemetry::inject(&mut metadata);
    Ok(metadata)
}

/// Whether the body is plain JSON: the media type, whatever its parameters, and no compression.
fn takes_json(headers: &HeaderMap) -> bool {
    let media_type = text_of(headers, header::CONTENT_TYPE).split(';').next().unwrap_or_default();
    let encoding = text_of(headers, header::CONTENT_ENCODING);
    media_type.trim().eq_ignore_ascii_case("application/json")
        && (encoding.is_empty() || encoding.eq_ignore_ascii_case("identity"))
}

fn text_of(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The id of a request: the caller's if it is 1 to 128 visible characters, else a new one.
pub(crate) struct RequestId {
    value: HeaderValue,
    /// Always made here, so that it is unique even when a caller sends one id with every request.
    made: HeaderValue,
}

impl RequestId {
    fn of(headers: &HeaderMap) -> Self {
        let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
        let made = uuid::Uuid::now_v7().hyphenated().encode_lower(&mut buffer);
        let made = HeaderValue::from_str(made).unwrap_or(HeaderValue::from_static("0"));
        let is_valid = |value: &&HeaderValue| {
            let bytes = value.as_bytes();
            (1..=REQUEST_ID_CHARACTERS_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
        };
        let value = headers.get(REQUEST_ID).filter(is_valid).unwrap_or(&made).clone();
        Self { value, made }
    }

    pub fn text(&self) -> &str {
        self.value.to_str().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_of_callers_are_bounded() {
        let id = |text: &[u8]| {
            let value = HeaderValue::from_bytes(text).unwrap();
            RequestId::of(&HeaderMap::from_iter([(REQUEST_ID, value)]))
        };
        assert_eq!(id(b"abc-1").text(), "abc-1");
        for text in ["", "a b", &"a".repeat(129)] {
            assert_eq!(id(text.as_bytes()).text().len(), 36, "{text}");
        }
        assert_eq!(id(&[0xff]).text().len(), 36);
        assert_ne!(id(b"abc").made, id(b"abc").made);
    }

    #[test]
    fn json_may_name_a_charset() {
        let takes = |value: &'static str| {
            takes_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]))
        };
        assert!(takes("application/json") && takes("Application/JSON ; charset=latin1"));
        assert!(!takes("application/jsonp") && !takes("text/plain") && !takes(""));
    }
}
