use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tonic::body::Body;
use tower::Service;

use crate::{GrpcService, balance, breaker::Breaker, telemetry, tls::Tls};

/// Longest answer time of a call between services. Uploads and reads of one page stay far below.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Attempts of a call that changes nothing, when the road and not the service failed.
const ATTEMPTS_MAX: u32 = 3;
/// Pause before the second attempt; before the third it is twice as long.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(50);
/// Longest wait for an instance that takes calls.
const READY_TIMEOUT: Duration = Duration::from_secs(5);

type Error = Box<dyn std::error::Error + Send + Sync>;

/// The road to a service: a call in this process, or TCP. Generated clients run over both alike.
///
/// Over TCP a call goes to one of the instances of the service. A call that changes nothing is repeated when its road
/// fails; after several failures in a row calls are refused for a moment without being tried.
#[derive(Clone)]
pub struct Channel {
    road: Road,
    timeout: Option<Duration>,
}

#[derive(Clone)]
enum Road {
    /// Filled once the services of the process are built: they refer to each other.
    Local(Arc<OnceLock<GrpcService>>),
    Remote(tonic::transport::Channel, Arc<Breaker>),
}

impl Channel {
    /// A road into this process, closed until [`Channel::connect_local`].
    pub fn local() -> Self {
        Self { road: Road::Local(Arc::default()), timeout: Some(CALL_TIMEOUT) }
    }

    /// A road over TCP to the instances behind one or several addresses, `http(s)://host:port`, connected at first use.
    ///
    /// # Errors
    /// The address that cannot be read, or needs certificates that are not there.
    pub fn remote(addresses: &str, tls: Option<Arc<Tls>>) -> Result<Self, String> {
        let road = Road::Remote(balance::channel(addresses, tls)?, Arc::default());
        Ok(Self { road, timeout: Some(CALL_TIMEOUT) })
    }

    /// The same road for a caller that keeps its own deadlines, such as the gateway, whose uploads last for hours.
    #[must_use]
    pub fn without_deadline(&self) -> Self {
        Self { timeout: None, ..self.clone() }
    }

    /// Opens a local road. A second call and a call on a remote road change nothing.
    pub fn connect_local(&self, service: GrpcService) {
        if let Road::Local(slot) = &self.road {
            // The first service stays: roads are opened once, at start.
            let _ = slot.set(service);
        }
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        // Readiness is awaited inside the call, where the deadline covers it.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        telemetry::inject(request.headers_mut());
        let Self { road, timeout } = self.clone();
        Box::pin(async move {
            let answer = async {
                match road {
                    Road::Local(slot) => {
                        let service = slot.get().cloned().ok_or("the service is not started")?;
                        tower::ServiceExt::oneshot(service, request).await
                    }
                    Road::Remote(channel, breaker) => remote(channel, &breaker, request).await,
                }
            };
            match timeout {
                Some(timeout) => {
                    tokio::time::timeout(timeout, answer).await.map_err(|_| "the service did not answer in time")?
                }
                None => answer.await,
            }
        })
    }
}

async fn remote(
    channel: tonic::transport::Channel,
    breaker: &Breaker,
    request: Request<Body>,
) -> Result<Response<Body>, Error> {
    let is_repeatable = portolan_api::policy(request.uri().path())
        .is_some_and(|policy| policy.audit.is_empty() && !policy.streams_request);
    if !is_repeatable {
        return attempt(channel, breaker, request).await;
    }
    let (parts, body) = request.into_parts();
    let body: Bytes = body.collect().await?.to_bytes();
    let mut pause = ATTEMPT_PAUSE;
    for _ in 1..ATTEMPTS_MAX {
        let request = Request::from_parts(parts.clone(), Body::new(Full::new(body.clone())));
        match attempt(channel.clone(), breaker, request).await {
            Ok(response) => return Ok(response),
            Err(error) => tracing::debug!(%error, path = parts.uri.path(), "the call is repeated"),
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    attempt(channel, breaker, Request::from_parts(parts, Body::new(Full::new(body)))).await
}

async fn attempt(
    channel: tonic::transport::Channel,
    breaker: &Breaker,
    request: Request<Body>,
) -> Result<Response<Body>, Error> {
    use tower::ServiceExt as _;
    if !breaker.admits(Instant::now()) {
        return Err("the service did not answer of late and is left alone for a moment".into());
    }
    let answer = async {
        let mut channel = channel;
        let ready = tokio::time::timeout(READY_TIMEOUT, channel.ready());
        let ready = ready.await.map_err(|_| Error::from("no instance of the service takes calls"))??;
        ready.call(request).await.map_err(Error::from)
    };
    let answer = answer.await;
    match &answer {
        Ok(_) => breaker.note_success(),
        Err(_) => breaker.note_failure(Instant::now()),
    }
    answer
}
