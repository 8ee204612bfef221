use std::{future::Future, sync::Arc, time::Duration};

use http::{Request, Response};
use portolan_api::options::PUBLIC_BYTES_MAX;
use portolan_authz::{Guard, GuardLayer, PeerFault};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::{body::Body, service::Routes};
use tonic_health::{ServingStatus, server::HealthReporter};
use tower::{Layer as _, ServiceExt as _, util::BoxCloneSyncService};

use crate::{
    Readiness,
    accept::{self, Admitted, Connections},
    behalf::BehalfLayer,
    budget::CallBudget,
    calls::CallsLayer,
    observe::ObserveLayer,
    tls::{Tls, certificate_fault},
};

/// A peer that does not end its handshake in this time is cut off.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(5);

/// An idle peer is asked this often whether it is there…
const KEEPALIVE_EVERY: Duration = Duration::from_secs(30);
/// … and is cut off when it does not answer in this time.
const KEEPALIVE_TIME_MAX: Duration = Duration::from_secs(20);

/// Calls of one connection at the same time; what is beyond waits at the peer.
const CALLS_MAX: u32 = 1_000;

/// How often health is brought to what readiness is.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The name under which the process alone is asked for.
const LIVE: &str = "live";

type Error = Box<dyn std::error::Error + Send + Sync>;

/// A gRPC service of this process, with its guard.
pub type GrpcService = BoxCloneSyncService<Request<Body>, Response<Body>, Error>;

/// Puts the guard before the routes of a service.
pub fn guarded(routes: Routes, guard: Guard) -> GrpcService {
    let behind_guard = BehalfLayer.layer(routes.prepare());
    BoxCloneSyncService::new(ObserveLayer.layer(GuardLayer(guard).layer(behind_guard)).map_err(Error::from))
}

/// One set of routes from several.
pub fn merge(parts: impl IntoIterator<Item = Routes>) -> Routes {
    let routers = parts.into_iter().map(|routes| routes.into_axum_router().reset_fallback());
    let router = routers.fold(axum::Router::new(), axum::Router::merge);
    router.fallback(async || tonic::Status::unimplemented("no such method").into_http::<Body>()).into()
}

/// Health and reflection (v1 and v1alpha) for the services of these proto packages. Health follows readiness, for the
/// process (the empty name) and for each service; the name `live` serves as long as the process does.
///
/// # Errors
/// When the descriptor set cannot be read.
pub async fn grpc_routes(packages: &[&str], readiness: Arc<Readiness>) -> Result<Routes, Error> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status(LIVE, ServingStatus::Serving).await;
    let services = portolan_api::descriptors().services();
    let services = services.filter(|service| packages.contains(&service.package_name()));
    let names: Vec<_> = std::iter::once(String::new()).chain(services.map(|s| s.full_name().to_owned())).collect();
    let mut said = report(&reporter, &names, &readiness, None).await;
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            said = report(&reporter, &names, &readiness, said).await;
        }
    });
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(portolan_api::DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    // Anybody may ask.
    let health = health.max_decoding_message_size(PUBLIC_BYTES_MAX);
    let reflection_v1 = reflection().build_v1()?.max_decoding_message_size(PUBLIC_BYTES_MAX);
    let reflection_v1alpha = reflection().build_v1alpha()?.max_decoding_message_size(PUBLIC_BYTES_MAX);
    let mut routes = Routes::builder();
    routes.add_service(health).add_service(reflection_v1).add_service(reflection_v1alpha);
    Ok(routes.routes())
}

/// Sets the health of each name, logs a change, and returns what is missing.
async fn report(
    reporter: &HealthReporter,
    names: &[String],
    ready: &Readiness,
    said: Option<String>,
) -> Option<String> {
    let missing = ready.missing().await;
    match (&said, &missing) {
        (before, Some(missing)) if before.as_ref() != Some(missing) => tracing::warn!(%missing, "not ready"),
        (Some(_), None) => tracing::info!("ready again"),
        _ => {}
    }
    let status = if missing.is_none() { ServingStatus::Serving } else { ServingStatus::NotServing };
    for name in names {
        reporter.set_service_status(name, status).await;
    }
    missing
}

/// Serves gRPC until `stop`, then lets calls under way end. What calls take counts in `budget`. With `tls` only peers that show a certificate of the
/// installation's authority are served.
///
/// # Errors
/// When the listener fails.
pub async fn serve_grpc(
    listener: TcpListener,
    routes: Routes,
    guard: Guard,
    budget: CallBudget,
    tls: Option<Arc<Tls>>,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let server = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIME_MAX))
        .max_concurrent_streams(CALLS_MAX)
        .layer(ObserveLayer)
        .layer(GuardLayer(guard))
        .layer(CallsLayer(budget))
        .layer(BehalfLayer)
        .add_routes(routes);
    let (stopping, stopped) = watch::channel(false);
    let stop = async move {
        stop.await;
        stopping.send_replace(true);
    };
    match tls {
        None => {
            let plain = |stream: TcpStream| async move { accept::speaks(&stream).await.then_some(stream) };
            server.serve_with_incoming_shutdown(accepted(listener, stopped, plain), stop).await
        }
        Some(tls) => {
            let secured = move |stream: TcpStream| {
                let tls = tls.clone();
                async move { secured(&tls, stream).await }
            };
            server.serve_with_incoming_shutdown(accepted(listener, stopped, secured), stop).await
        }
    }
}

/// A connection of a peer that shows a certificate of the installation's authority; `None` for every other one.
pub async fn secured(tls: &Tls, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
    let peer = stream.peer_addr().map(|peer| peer.ip().to_string()).unwrap_or_default();
    match tokio::time::timeout(HANDSHAKE_TIME_MAX, TlsAcceptor::from(tls.server()).accept(stream)).await {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(error)) => match certificate_fault(&error) {
            Some(cause) => PeerFault::Certificate.note(peer, cause),
            None => tracing::debug!(%error, "a handshake failed"),
        },
        Err(_) => tracing::debug!("a handshake took too long"),
    }
    None
}

/// Accepted connections after their handshake. Handshakes go on beside each other, and one that fails is dropped. The
/// listener closes with the signal: a connection that nobody accepts any more must be refused, not left waiting.
fn accepted<S, F>(
    listener: TcpListener,
    mut stopped: watch::Receiver<bool>,
    handshake: impl Fn(TcpStream) -> F + Send + 'static,
) -> impl tokio_stream::Stream<Item = Result<Admitted<S>, std::io::Error>>
where
    S: Send + 'static,
    F: Future<Output = Option<S>> + Send + 'static,
{
    let (ready, connections) = tokio::sync::mpsc::channel(64);
    let places = Connections::bounded();
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = ready.closed() => return,
                _ = stopped.wait_for(|stop| *stop) => break,
            };
            let Ok((stream, peer)) = accepted else {
                // Out of descriptors: accepting again at once would only spin.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let Some(admission) = places.enter(peer.ip()) else { continue };
            // Small answers must not wait for a full segment.
            let _ = stream.set_nodelay(true);
            let (handshake, ready) = (handshake(stream), ready.clone());
            tokio::spawn(async move {
                if let Some(stream) = handshake.await {
                    // The server has ended otherwise.
                    let _ = ready.send(Ok(Admitted::new(stream, admission))).await;
                }
            });
        }
        drop(listener);
        // Connections of before are served to their end.
        ready.closed().await;
    });
    tokio_stream::wrappers::ReceiverStream::new(connections)
}
