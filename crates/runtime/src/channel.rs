use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use portolan_authz::{PEER_FAULT_HEADER, PeerFault};
use tonic::body::Body;
use tower::Service;

use crate::{
    GrpcService,
    balance::{Balancer, Instance},
    telemetry,
    tls::{Tls, certificate_fault},
};

/// Longest answer time of a call between services. Uploads and reads of one page stay far below.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Attempts of one call, on different instances where there are several.
const ATTEMPTS_MAX: usize = 4;
/// Pause before an instance is tried again; each that follows is twice as long.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(25);
/// Longest request that is kept to be sent again. A larger one is an upload, and is sent once.
const REPEATABLE_BYTES_MAX: usize = 4 << 20;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// The road to a service: a call in this process, or TCP. Generated clients run over both alike.
///
/// Over TCP a call goes to one of the instances of the service in turn. When the road to it fails, the call is repeated
/// if it was never sent or changes nothing. An instance that failed several times in a row is left alone for a moment.
#[derive(Clone)]
pub struct Channel {
    road: Road,
    timeout: Option<Duration>,
}

#[derive(Clone)]
enum Road {
    /// Filled once the services of the process are built: they refer to each other.
    Local(Arc<OnceLock<GrpcService>>),
    Remote(Arc<Balancer>),
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
        let road = Road::Remote(Balancer::start(addresses, tls)?);
        Ok(Self { road, timeout: Some(CALL_TIMEOUT) })
    }

    /// The same road for a caller that keeps its own deadlines, such as the gateway, whose uploads last for hours.
    #[must_use]
    pub fn without_deadline(&self) -> Self {
        Self { timeout: None, ..self.clone() }
    }

    /// Whether the service runs in another process.
    pub fn is_remote(&self) -> bool {
        matches!(self.road, Road::Remote(_))
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
                    Road::Remote(balancer) => remote(&balancer, request).await,
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

async fn remote(balancer: &Balancer, request: Request<Body>) -> Result<Response<Body>, Error> {
    let policy = portolan_api::policy(request.uri().path());
    let changes_nothing = policy.is_some_and(|policy| policy.audit.is_empty());
    if policy.is_none_or(|policy| policy.streams_request)
        || request.body().size_hint().lower() > REPEATABLE_BYTES_MAX as u64
    {
        let candidates = balancer.candidates().await;
        let instance = candidates.first().ok_or(NO_INSTANCE)?;
        return attempt(instance, request).await;
    }
    let (parts, body) = request.into_parts();
    let body: Bytes = body.collect().await?.to_bytes();
    let mut pause = ATTEMPT_PAUSE;
    let mut last: Option<Error> = None;
    let mut attempts = 0;
    loop {
        for instance in balancer.candidates().await {
            let request = Request::from_parts(parts.clone(), Body::new(Full::new(body.clone())));
            attempts += 1;
            match attempt(&instance, request).await {
                Ok(response) => return Ok(response),
                Err(error) if attempts < ATTEMPTS_MAX && (changes_nothing || was_never_sent(&*error)) => {
                    tracing::debug!(%error, path = parts.uri.path(), "the call is repeated");
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        attempts += 1;
        if attempts >= ATTEMPTS_MAX {
            return Err(last.unwrap_or_else(|| NO_INSTANCE.into()));
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

const NO_INSTANCE: &str = "no instance of the service takes calls";

async fn attempt(instance: &Instance, request: Request<Body>) -> Result<Response<Body>, Error> {
    use tower::ServiceExt as _;
    match instance.channel.clone().oneshot(request).await {
        Ok(response) => {
            instance.breaker.note_success();
            let fault = response.headers().get(PEER_FAULT_HEADER).and_then(|fault| fault.to_str().ok());
            if let Some(fault) = fault.and_then(PeerFault::named) {
                fault.note(&instance.name, "it refuses this process, whose secret key or clock differs from its own");
            }
            Ok(response)
        }
        Err(error) => {
            instance.breaker.note_failure(Instant::now());
            if let Some(cause) = certificate_fault(&error) {
                PeerFault::Certificate.note(&instance.name, cause);
            }
            Err(Box::new(Failed { peer: instance.name.clone(), source: error }))
        }
    }
}

/// A call that an instance did not answer.
#[derive(Debug)]
struct Failed {
    peer: String,
    source: tonic::transport::Error,
}

impl std::fmt::Display for Failed {
    /// With the innermost cause: the layers between say no more than "transport error".
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut cause: &dyn std::error::Error = &self.source;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        write!(f, "{}: {cause}", self.peer)
    }
}

impl std::error::Error for Failed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Whether the service cannot have seen the call: there was no connection, or it was closing.
fn was_never_sent(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let refused = error.downcast_ref::<std::io::Error>().is_some_and(|error| {
            matches!(error.kind(), std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::HostUnreachable)
        });
        let canceled = error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled);
        let refused_stream =
            error.downcast_ref::<h2::Error>().is_some_and(|error| error.reason() == Some(h2::Reason::REFUSED_STREAM));
        if refused || canceled || refused_stream {
            return true;
        }
        cause = error.source();
    }
    false
}
