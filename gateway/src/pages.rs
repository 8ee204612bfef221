//! The paths that belong to no service: health, readiness, the OpenAPI document, the reference page, and the pages
//! that links lead to.

use std::sync::OnceLock;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use portolan_api::{Error, Reason};
use portolan_runtime::readiness::{self, Asked};

use crate::{
    dialect::{Form, OWN},
    door,
    error::render,
    ports::GatewayDeps,
    reference,
    reply::{self, Reply},
    routes::Routes,
};

/// The documents, each made when it is first asked for: making them takes tens of milliseconds and more memory than all
/// else that the gateway keeps.
#[derive(Default)]
pub(crate) struct Pages {
    openapi: OnceLock<Bytes>,
    docs: OnceLock<Docs>,
}

struct Docs {
    html: Bytes,
    policy: HeaderValue,
}

impl Docs {
    fn new(routes: &Routes) -> Self {
        let page = reference::html(&reference::operations(routes), routes);
        let policy = HeaderValue::try_from(page.content_security_policy);
        Self { html: page.html.into(), policy: policy.unwrap_or(HeaderValue::from_static("default-src 'none'")) }
    }
}

impl Pages {
    /// The answer, if the path is one of these.
    pub async fn answer(&self, parts: &Parts, routes: &Routes, deps: &GatewayDeps, request_id: &str) -> Option<Reply> {
        let path = parts.uri.path();
        let door = door::page(path);
        let is_own = matches!(path, "/healthz" | "/livez" | "/readyz" | "/openapi.json" | "/docs");
        if !is_own && door.is_none() {
            return None;
        }
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            let error = Error::new(Reason::VerbNotAllowed).with("method", &parts.method);
            let mut reply = render(&error, Form::plain(OWN), request_id);
            if parts.method == Method::OPTIONS {
                reply = Reply::default();
                *reply.status_mut() = StatusCode::NO_CONTENT;
            }
            reply.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
            return Some(reply);
        }
        if let Some(page) = door {
            return Some(html(page.html.into(), HeaderValue::from_static(page.content_security_policy)));
        }
        Some(match path {
            "/healthz" | "/livez" => reply::json(Bytes::from_static(br#"{"status":"ok"}"#)),
            "/readyz" => ready(parts, deps, request_id).await,
            "/openapi.json" => {
                let made = || reference::document(&reference::operations(routes), routes).to_string().into();
                reply::json(self.openapi.get_or_init(made).clone())
            }
            _ => {
                let docs = self.docs.get_or_init(|| Docs::new(routes));
                html(docs.html.clone(), docs.policy.clone())
            }
        })
    }
}

/// 200 only when everything answers; with `?own`, when what the process itself stands on does, whatever the other
/// processes say. With `?verbose` each part is listed, whatever the status.
async fn ready(parts: &Parts, deps: &GatewayDeps, request_id: &str) -> Reply {
    let asked = Asked::of(parts.uri.query().unwrap_or_default());
    let found = asked.of_parts(deps.readiness.look().await);
    let missing = readiness::missing(&found);
    if asked.is_verbose {
        let mut reply = reply::json(readiness::listed(&found).to_string().into());
        if missing.is_some() {
            *reply.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        return reply;
    }
    match missing {
        None => reply::json(Bytes::from_static(br#"{"status":"ready"}"#)),
        Some(missing) => render(&Error::unavailable(missing), Form::plain(OWN), request_id),
    }
}

fn html(body: Bytes, policy: HeaderValue) -> Reply {
    let mut reply = typed("text/html; charset=utf-8", body);
    reply.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    reply
}

fn typed(content_type: &'static str, body: Bytes) -> Reply {
    let mut reply = Response::new(body);
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}
