//! Which connections a listener keeps: a bounded number in all and from one address, each of which says something soon.
//! Whoever opens many or stays silent costs descriptors of their own share, and those that health checks need stay free.

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Sleep,
};
use tonic::transport::server::Connected;

/// A peer that has not sent the first bytes of a request or of an HTTP/2 preface in this time is cut off.
const FIRST_BYTES_TIME_MAX: Duration = Duration::from_secs(10);
/// A peer that takes nothing of its answers for so long is cut off, with what waits for it in memory.
const STALL_TIME_MAX: Duration = Duration::from_secs(60);
/// How often a preface that came in part is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What an HTTP/2 connection begins with (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Descriptors that connections leave to files, the store, peers, and health checks.
const DESCRIPTORS_KEPT: u64 = 128;
/// Connections of one listener, however many descriptors the process may open.
const CONNECTIONS_MAX: u64 = 20_000;

/// The connections of one listener.
#[derive(Clone)]
pub struct Connections(Arc<Shared>);

struct Shared {
    open: Mutex<HashMap<IpAddr, usize>>,
    max: usize,
    address_max: usize,
}

/// Metric of connections that found no place.
const REFUSED: &str = "portolan_connections_refused_total";

/// A place among the connections, given back when it is dropped.
pub struct Admission {
    connections: Connections,
    address: IpAddr,
}

impl Connections {
    /// As many as the process has descriptors for, half of them from one address.
    pub fn bounded() -> Self {
        let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let max = descriptors.unwrap_or(u64::MAX).saturating_sub(DESCRIPTORS_KEPT).clamp(64, CONNECTIONS_MAX);
        Self::with_max(usize::try_from(max).unwrap_or(64))
    }

    fn with_max(max: usize) -> Self {
        // From zero on, so that the first refusal is an increase.
        metrics::counter!(REFUSED).increment(0);
        Self(Arc::new(Shared { open: Mutex::default(), max, address_max: max / 2 }))
    }

    /// A place for a connection from this address; `None` when there is none left.
    pub fn enter(&self, address: IpAddr) -> Option<Admission> {
        let mut open = self.lock();
        let (all, own) = (open.values().sum::<usize>(), open.get(&address).copied().unwrap_or_default());
        if all >= self.0.max || own >= self.0.address_max {
            metrics::counter!(REFUSED).increment(1);
            return None;
        }
        open.insert(address, own + 1);
        Some(Admission { connections: self.clone(), address })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

/// A connection with its place. It ends when its peer does not read.
pub struct Admitted<S> {
    stream: S,
    _admission: Admission,
    stall_time_max: Duration,
    /// Since the peer takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Admitted<S> {
    /// A stream that keeps its place for as long as it is open.
    pub fn new(stream: S, admission: Admission) -> Self {
        Self { stream, _admission: admission, stall_time_max: STALL_TIME_MAX, stalled: None }
    }

    /// Fails a write that waits for too long.
    fn in_time<T>(&mut self, context: &mut Context, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let time_max = self.stall_time_max;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(time_max)));
        stalled.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: Connected> Connected for Admitted<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Admitted<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context, buffer: &mut ReadBuf) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Admitted<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.in_time(context, outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.in_time(context, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context,
        slices: &[io::IoSlice],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.in_time(context, outcome)
    }
}

/// Whether the peer begins to speak in time. Nothing is taken from the stream.
pub async fn speaks(stream: &TcpStream) -> bool {
    let look = async {
        let mut head = [0; PREFACE.len()];
        loop {
            match stream.peek(&mut head).await {
                Ok(0) | Err(_) => return false,
                Ok(length) if length < head.len() && PREFACE.starts_with(&head[..length]) => {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                Ok(_) => return true,
            }
        }
    };
    tokio::time::timeout(FIRST_BYTES_TIME_MAX, look).await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer that reads nothing is cut off; one that reads slowly is not.
    #[tokio::test]
    async fn a_peer_that_does_not_read_is_cut_off() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let connections = Connections::with_max(4);
        let (own, mut peer) = tokio::io::duplex(8);
        let admission = connections.enter(IpAddr::from([192, 0, 2, 1])).unwrap();
        let stall_time_max = Duration::from_millis(400);
        let mut slow = Admitted { stall_time_max, ..Admitted::new(own, admission) };
        let reader = tokio::spawn(async move {
            let mut piece = [0; 8];
            for _ in 0..3 {
                tokio::time::sleep(stall_time_max / 10).await;
                peer.read_exact(&mut piece).await.unwrap();
            }
            peer
        });
        slow.write_all(&[7; 24]).await.unwrap();
        let _peer = reader.await.unwrap();
        let error = slow.write_all(&[7; 24]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn places_are_bounded_and_given_back() {
        let connections = Connections::with_max(4);
        let address = |last| IpAddr::from([192, 0, 2, last]);
        let first = connections.enter(address(1)).unwrap();
        let _second = connections.enter(address(1)).unwrap();
        assert!(connections.enter(address(1)).is_none(), "one address has half of the places");
        let _others = [connections.enter(address(2)).unwrap(), connections.enter(address(3)).unwrap()];
        assert!(connections.enter(address(4)).is_none(), "there are no more in all");
        drop(first);
        assert!(connections.enter(address(1)).is_some());
    }
}
