use std::future::Future;

use http::{Request, Response};
use portolan_authz::{Guard, GuardLayer};
use tokio::net::TcpListener;
use tonic::{body::Body, service::Routes};
use tower::{Layer as _, ServiceExt as _, util::BoxCloneSyncService};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// A gRPC service of this process, with its guard.
pub type GrpcService = BoxCloneSyncService<Request<Body>, Response<Body>, Error>;

/// Puts the guard before the routes of a service.
pub fn guarded(routes: Routes, guard: Guard) -> GrpcService {
    BoxCloneSyncService::new(GuardLayer(guard).layer(routes.prepare()).map_err(Error::from))
}

/// One set of routes from several.
pub fn merge(parts: impl IntoIterator<Item = Routes>) -> Routes {
    let routers = parts.into_iter().map(|routes| routes.into_axum_router().reset_fallback());
    let router = routers.fold(axum::Router::new(), axum::Router::merge);
    router.fallback(async || tonic::Status::unimplemented("no such method").into_http::<Body>()).into()
}

/// Health and reflection (v1 and v1alpha) for the services of these proto packages.
///
/// # Errors
/// When the descriptor set cannot be read.
pub async fn grpc_routes(packages: &[&str]) -> Result<Routes, Error> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("", tonic_health::ServingStatus::Serving).await;
    for service in portolan_api::descriptors().services() {
        if packages.contains(&service.package_name()) {
            reporter.set_service_status(service.full_name(), tonic_health::ServingStatus::Serving).await;
        }
    }
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(portolan_api::DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let mut routes = Routes::builder();
    routes.add_service(health).add_service(reflection().build_v1()?).add_service(reflection().build_v1alpha()?);
    Ok(routes.routes())
}

/// Serves gRPC until `stop`, then lets calls under way end.
///
/// # Errors
/// When the listener fails.
pub async fn serve_grpc(
    listener: TcpListener,
    routes: Routes,
    guard: Guard,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
    tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(std::time::Duration::from_secs(30)))
        .layer(GuardLayer(guard))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, stop)
        .await
}
