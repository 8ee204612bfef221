use std::{
    task::{Context, Poll},
    time::Instant,
};

use http::{Request, Response};
use portolan_authz::REQUEST_ID_HEADER;
use tonic::{Code, body::Body};
use tower::{Layer, Service};
use tracing::Instrument as _;

use crate::{exemplars, telemetry};

type BoxFuture<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;

/// Puts a span and the counters of rate, errors and duration around every RPC.
#[derive(Clone, Copy)]
pub struct ObserveLayer;

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Observe { inner }
    }
}

/// A service whose calls are counted and traced; made by [`ObserveLayer`].
#[derive(Clone)]
pub struct Observe<S> {
    inner: S,
}

impl<S> Service<Request<Body>> for Observe<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let started = Instant::now();
        // Only paths of the contract become labels, so that a caller cannot make new ones.
        let method = portolan_api::policy(request.uri().path()).map_or("other", |policy| policy.path.as_str());
        let span = tracing::info_span!(
            "rpc",
            otel.name = method,
            otel.kind = "server",
            account_id = tracing::field::Empty,
            credential_id = tracing::field::Empty
        );
        telemetry::adopt(&span, request.headers());
        let request_id = request.headers().get(REQUEST_ID_HEADER).and_then(|id| id.to_str().ok());
        let request_id = request_id.unwrap_or_default().to_owned();
        let answer = self.inner.call(request).instrument(span.clone());
        Box::pin(async move {
            let answer = answer.await;
            let code = match &answer {
                // The status of a success follows in the trailers.
                Ok(response) => {
                    response.headers().get("grpc-status").map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
                }
                Err(_) => Code::Unavailable,
            };
            let seconds = started.elapsed().as_secs_f64();
            metrics::counter!("portolan_rpc_requests_total", "method" => method, "code" => name(code)).increment(1);
            exemplars::record_seconds("portolan_rpc_seconds", method, seconds, &span, &request_id);
            answer
        })
    }
}

fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
