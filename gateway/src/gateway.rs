//! The way of one request: route, verb, credential, content type, body, call, answer.

use std::{
    net::{IpAddr, SocketAddr},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Instant,
};

use axum::{
    body::Body,
    extract::{ConnectInfo, Request, State},
    response::Response,
};
use bytes::Bytes;
use futures::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use portolan_api::{Error, Reason, Who, access};
use portolan_runtime::{
    budget::{Hold, Owner},
    record_seconds, telemetry,
};
use tracing::Instrument;

use crate::{
    body::RequestBody,
    call::{self, FRAME_HEADER_BYTES},
    codec::{self, Secrets},
    deprecation,
    dialect::{self, Asked, Form},
    error::render,
    idempotency::{self, Answered},
    pages::Pages,
    ports::{Arrival, Backend, GatewayDeps, IdempotencyId, Identified},
    reply::{self, REQUEST_ID, Reply},
    routes::{BodyRule, ContractError, RouteMatch, Routes},
};

/// Tells services under which id to make a write happen once.
const WRITE_ID: HeaderName = HeaderName::from_static("x-portolan-write-id");
/// Trace headers that pass through to the services.
const TRACE: [HeaderName; 2] = [HeaderName::from_static("traceparent"), HeaderName::from_static("tracestate")];
const REQUEST_ID_CHARACTERS_MAX: usize = 128;

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
    /// What the call holds until the answer is there.
    hold: Hold,
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
    let work = dispatch(&gateway, request, &request_id, &mut seen).instrument(span.clone());
    let mut reply = match AssertUnwindSafe(work).catch_unwind().await {
        Ok(reply) => reply,
        Err(_) => render(&Error::internal("a request panicked"), Form::of_path(uri.path()), request_id.text()),
    };
    dialect::of_path(uri.path()).finish(reply.headers_mut());
    reply::finish(reply.headers_mut(), &request_id.value);
    seen.tell(&reply, started.elapsed().as_secs_f64(), &request_id, &span);
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
    fn tell(self, reply: &Reply, seconds: f64, request_id: &RequestId, span: &tracing::Span) {
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
        record_seconds("portolan_gateway_request_seconds", &self.label, seconds, span, request_id.text());
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
        Err(reason) => return render(&reason.into(), Form::of_path(path), request_id.text()),
    };
    let Some(route) = found.route(&parts.method) else { return no_such_verb(&found, &parts, request_id) };
    seen.label = route.rpc.label.clone();
    seen.route = format!("{} {}", route.verb, route.pattern);
    let asked = Asked { routes: &gateway.routes, route, values: &found.values, parts: &parts };
    let answered = answer(gateway, &asked, body, request_id, seen).await;
    let mut reply = answered.unwrap_or_else(|error| render(&error, Form::of(&route.rpc), request_id.text()));
    deprecation::announce(reply.headers_mut(), route, &found.values, gateway.deps.sunset.as_ref());
    reply
}

async fn answer(
    gateway: &Arc<Gateway>,
    asked: &Asked<'_>,
    body: RequestBody,
    request_id: &RequestId,
    seen: &mut Seen,
) -> Result<Reply, Error> {
    let (route, parts) = (asked.route, asked.parts);
    let policy = route.rpc.policy;
    if matches!(policy.who, Who::Nobody | Who::Internal) {
        return Err(Reason::NotCallable.into());
    }
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let peer = peer.unwrap_or(IpAddr::from([0, 0, 0, 0]));
    let site = &gateway.deps.site;
    site.check(parts, peer, policy)?;
    let client = site.client(peer, &parts.headers);
    let arrival = Arrival { headers: &parts.headers, client, policy, request_id: request_id.text() };
    let identified = gateway.deps.authenticator.authenticate(arrival).await?;
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

    let owner = match identified.account_id {
        0 => Owner::Address(client),
        account_id => Owner::Account(account_id.into()),
    };
    let mut hold = gateway.deps.budget.hold(owner);
    let (message, digest) = message(asked, body, &mut hold, id.is_some()).await?;
    let call = Call {
        backend: gateway.deps.backends.get(&route.rpc.service)?,
        gateway: gateway.clone(),
        route: gateway.routes.index_of(route),
        metadata: metadata(identified, id.as_ref(), &parts.headers, request_id)?,
        message,
        needs_replay: id.is_some(),
        hold,
    };
    let Some(id) = id else { return call.run().await.map(|answered| answered.reply) };

    // Seen to its end even when the client goes away, so that the key is never left held.
    let (gateway, form, request_id) = (gateway.clone(), Form::of(&route.rpc), request_id.text().to_owned());
    let is_streamed = matches!(call.message, Message::Stream(_));
    let work = async move {
        let store = &*gateway.deps.idempotency;
        idempotency::once(store, &id, digest, form, &request_id, is_streamed, call.run()).await
    };
    match tokio::spawn(work.in_current_span()).await {
        Ok(reply) => reply,
        Err(error) => Err(Error::internal(error)),
    }
}

/// Makes the request message, and the digest of the request when it has an `Idempotency-Key`. What is in memory whole has
/// a place at work from then on; what is passed on in pieces lasts as long as its client likes, and has none.
pub(crate) async fn message(
    asked: &Asked<'_>,
    body: RequestBody,
    hold: &mut Hold,
    is_keyed: bool,
) -> Result<(Message, [u8; 32]), Error> {
    let rules = dialect::of(asked.route.rpc.policy.dialect);
    let parts = asked.parts;
    let digest = |body: &[u8]| if is_keyed { idempotency::digest(&parts.method, &parts.uri, body) } else { [0; 32] };

    if let BodyRule::Stream(number) = asked.route.body {
        let mut first = Vec::new();
        rules.head_to_wire(asked, &mut first)?;
        let digest = digest(asked.header(header::CONTENT_ENCODING).as_bytes());
        return Ok((Message::Stream(body.into_messages(first, number)), digest));
    }
    let body = match rules.body_limit(asked, body.is_empty())? {
        Some(limit) => body.read(limit, hold).await?,
        None => Bytes::new(),
    };
    hold.enter().await;
    let body = rules.unpack(asked, body, hold)?;
    let mut message = vec![0; FRAME_HEADER_BYTES];
    rules.to_wire(asked, &body, &mut message)?;
    Ok((Message::Unary(message), digest(&body)))
}

impl Call {
    async fn run(self) -> Result<Answered, Error> {
        let route = &self.gateway.routes.list[self.route];
        let path = &route.rpc.path;
        let _hold = self.hold;
        let wire = match self.message {
            Message::Unary(frame) => call::unary(self.backend, path, self.metadata, frame).await?,
            Message::Stream(body) => call::call(self.backend, path, self.metadata, body).await?,
        };
        let decode = |secrets| {
            let plans = &self.gateway.routes.plans;
            codec::wire_to_json(plans, route.rpc.response, route.response_body, &wire, secrets)
                .map_err(|error| Error::internal(format!("{path}: {error}")))
                .and_then(reply::from_answer)
        };
        let reply = decode(Secrets::Shown)?;
        let replay = if self.needs_replay { decode(Secrets::LeftOut)? } else { Reply::default() };
        Ok(Answered { reply, replay })
    }
}

fn no_such_verb(found: &RouteMatch, parts: &Parts, request_id: &RequestId) -> Reply {
    let rules = dialect::of_path(parts.uri.path());
    let mut reply = if parts.method == Method::OPTIONS {
        let mut reply = Reply::default();
        *reply.status_mut() = rules.options_status();
        reply
    } else {
        let error = Error::new(Reason::VerbNotAllowed).with("method", &parts.method);
        render(&error, Form::plain(rules), request_id.text())
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
}
