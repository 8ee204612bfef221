use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use tonic::body::Body;
use tower::Service;

use crate::GrpcService;

/// Longest answer time of a call between services. Uploads and reads of one page stay far below.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

type Error = Box<dyn std::error::Error + Send + Sync>;

/// The road to a service: a call in this process, or TCP. Generated clients run over both alike.
#[derive(Clone)]
pub struct Channel {
    road: Road,
    timeout: Option<Duration>,
}

#[derive(Clone)]
enum Road {
    /// Filled once the services of the process are built: they refer to each other.
    Local(Arc<OnceLock<GrpcService>>),
    Remote(tonic::transport::Channel),
}

impl Channel {
    /// A road into this process, closed until [`Channel::connect_local`].
    pub fn local() -> Self {
        Self { road: Road::Local(Arc::default()), timeout: Some(CALL_TIMEOUT) }
    }

    /// A road over TCP to one of several addresses, `http://host:port`, connected at first use.
    ///
    /// # Errors
    /// The address that cannot be read.
    pub fn remote(addresses: &str) -> Result<Self, String> {
        let endpoints = addresses.split(',').map(|address| {
            let endpoint = tonic::transport::Endpoint::from_shared(address.trim().to_owned());
            endpoint.map(|endpoint| endpoint.connect_timeout(Duration::from_secs(2)).tcp_nodelay(true))
        });
        let endpoints: Vec<_> =
            endpoints.collect::<Result<_, _>>().map_err(|_| format!("`{addresses}` is no address"))?;
        let road = Road::Remote(match endpoints.as_slice() {
            [only] => only.connect_lazy(),
            _ => tonic::transport::Channel::balance_list(endpoints.into_iter()),
        });
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

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Self { road, timeout } = self.clone();
        Box::pin(async move {
            let answer = async {
                match road {
                    Road::Local(slot) => {
                        let service = slot.get().cloned().ok_or("the service is not started")?;
                        tower::ServiceExt::oneshot(service, request).await
                    }
                    Road::Remote(channel) => tower::ServiceExt::oneshot(channel, request).await.map_err(Error::from),
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
