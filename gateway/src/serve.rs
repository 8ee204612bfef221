//! The HTTP server of a process, and what it tells of itself.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use portolan_runtime::{
    Tls,
    accept::{self, Admitted, Connections},
    secured,
};
use tokio::net::TcpListener;
use tower::Service as _;

/// A client that does not send its request's head in this time is cut off.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// Largest head of a request.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// An idle HTTP/2 client is asked this often whether it is there…
const KEEPALIVE_EVERY: Duration = Duration::from_secs(30);
/// … and is cut off when it does not answer in this time.
const KEEPALIVE_TIME_MAX: Duration = Duration::from_secs(20);

/// Serves until `stop`, then lets requests under way end. HTTP/1.1, and HTTP/2 with prior knowledge; with `tls` HTTP/2 for
/// clients that show a certificate of the installation's authority.
pub async fn serve(listener: TcpListener, router: axum::Router, tls: Option<Arc<Tls>>, stop: impl Future<Output = ()>) {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX).max_buf_size(HEAD_BYTES_MAX);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .keep_alive_interval(KEEPALIVE_EVERY)
        .keep_alive_timeout(KEEPALIVE_TIME_MAX);
    let places = Connections::bounded();
    let connections = GracefulShutdown::new();
    let mut make = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of descriptors: accepting again at once would only spin.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Some(admission) = places.enter(peer.ip()) else { continue };
        // Small answers must not wait for a full segment.
        let _ = stream.set_nodelay(true);
        let Ok(service) = make.call(peer).await;
        let service = hyper_util::service::TowerToHyperService::new(service);
        let (server, watcher, tls) = (server.clone(), connections.watcher(), tls.clone());
        tokio::spawn(async move {
            // A connection that breaks off is the client's business.
            match tls {
                None if accept::speaks(&stream).await => {
                    let stream = TokioIo::new(Admitted::new(stream, admission));
                    let connection = server.serve_connection(stream, service).into_owned();
                    let _ = watcher.watch(connection).await;
                }
                None => {}
                Some(tls) => {
                    if let Some(stream) = secured(&tls, stream).await {
                        let stream = TokioIo::new(Admitted::new(stream, admission));
                        let connection = server.serve_connection(stream, service).into_owned();
                        let _ = watcher.watch(connection).await;
                    }
                }
            }
        });
    }
    // A connection that nobody accepts any more must be refused, not left waiting.
    drop(listener);
    connections.shutdown().await;
}
