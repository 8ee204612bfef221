//! The paths that belong to no service: health, readiness, metrics, the OpenAPI document and the reference page.

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use portolan_api::{Dialect, Error, Reason};

use crate::{edge::GatewayDeps, error::render, reference, reply, reply::Reply, routes::Routes};

/// The documents, made once.
pub(crate) struct Pages {
    openapi: Bytes,
    docs: Bytes,
    docs_policy: HeaderValue,
}

impl Pages {
    pub fn new(routes: &Routes) -> Self {
        let operations = reference::operations(routes);
        let page = reference::html(&operations, routes);
        Self {
            openapi: reference::document(&operations, routes).to_string().into(),
            docs_policy: HeaderValue::try_from(page.content_security_policy)
                .unwrap_or(HeaderValue::from_static("default-src 'none'")),
            docs: page.html.into(),
        }
    }

    /// The answer, if the path is one of these.
    pub async fn answer(&self, parts: &Parts, deps: &GatewayDeps, request_id: &str) -> Option<Reply> {
        let path = parts.uri.path();
        if !matches!(path, "/healthz" | "/readyz" | "/metrics" | "/openapi.json" | "/docs") {
            return None;
        }
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            let error = Error::new(Reason::VerbNotAllowed).with("method", &parts.method);
            let mut reply = render(&error, Dialect::Portolan, request_id);
            if parts.method == Method::OPTIONS {
                reply = Reply::default();
                *reply.status_mut() = StatusCode::NO_CONTENT;
            }
            reply.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
            return Some(reply);
        }
        Some(match path {
            "/healthz" => reply::json(Bytes::from_static(br#"{"status":"ok"}"#)),
            "/readyz" => readiness(deps, request_id).await,
            "/metrics" => typed("text/plain; version=0.0.4", (deps.metrics)().into()),
            "/openapi.json" => reply::json(self.openapi.clone()),
            _ => {
                let mut reply = typed("text/html; charset=utf-8", self.docs.clone());
                reply.headers_mut().insert(header::CONTENT_SECURITY_POLICY, self.docs_policy.clone());
                reply
            }
        })
    }
}

async fn readiness(deps: &GatewayDeps, request_id: &str) -> Reply {
    match deps.readiness.check().await {
        Ok(()) => reply::json(Bytes::from_static(br#"{"status":"ready"}"#)),
        Err(missing) => render(&Error::unavailable(missing), Dialect::Portolan, request_id),
    }
}

fn typed(content_type: &'static str, body: Bytes) -> Reply {
    let mut reply = Response::new(body);
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}
