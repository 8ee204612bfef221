use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What the road does with what goes over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Road {
    Open,
    /// Nothing goes through, and connections stay: a partition, or a process that stands still.
    Silent,
    /// Connections are cut and new ones end at once.
    Cut,
    /// Each piece waits this long.
    Slow(Duration),
}

/// A TCP road to a server that can be disturbed.
pub struct Proxy {
    pub port: u16,
    road: watch::Sender<Road>,
}

impl Proxy {
    /// `target`: `host:port`.
    pub async fn start(target: &str) -> Self {
        Self::listen(target, None).await
    }

    /// To a Kafka broker, which tells its clients where it listens: they are told of the road instead.
    pub async fn to_broker(target: &str) -> Self {
        let (host, port) = target.rsplit_once(':').unwrap();
        let port: u16 = port.parse().unwrap();
        Self::listen(target, Some(place_of(host, port))).await
    }

    /// `place`: bytes in what comes back that become the road's own place.
    async fn listen(target: &str, place: Option<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let rewrite = place.map(|place| (place, place_of("127.0.0.1", port)));
        let (road, watched) = watch::channel(Road::Open);
        let target = target.to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *watched.borrow() == Road::Cut {
                    continue;
                }
                let (watched, target, rewrite) = (watched.clone(), target.clone(), rewrite.clone());
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(target).await else { return };
                    let _ = (client.set_nodelay(true), server.set_nodelay(true));
                    let (client_in, client_out) = client.into_split();
                    let (server_in, server_out) = server.into_split();
                    let there = copy(client_in, server_out, watched.clone(), None);
                    let back = copy(server_in, client_out, watched, rewrite);
                    tokio::select! {
                        () = there => {}
                        () = back => {}
                    }
                });
            }
        });
        Self { port, road }
    }

    pub fn set(&self, road: Road) {
        self.road.send_replace(road);
    }
}

/// Host and port as they stand in a broker's answers.
fn place_of(host: &str, port: u16) -> Vec<u8> {
    [host.as_bytes(), &u32::from(port).to_be_bytes()].concat()
}

/// Pieces of the same length take each other's place. A broker sends the answer that names it in one write.
fn replace(buffer: &mut [u8], (from, to): &(Vec<u8>, Vec<u8>)) {
    assert_eq!(from.len(), to.len(), "the broker is named by an address as long as the road's");
    let mut at = 0;
    while let Some(found) = buffer[at..].windows(from.len()).position(|piece| piece == from) {
        at += found + from.len();
        buffer[at - from.len()..at].copy_from_slice(to);
    }
}

async fn copy(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut road: watch::Receiver<Road>,
    rewrite: Option<(Vec<u8>, Vec<u8>)>,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            cut = road.wait_for(|road| *road == Road::Cut) => { drop(cut); return }
        };
        if read == 0 {
            return;
        }
        if let Some(rewrite) = &rewrite {
            replace(&mut buffer[..read], rewrite);
        }
        let now = *road.borrow();
        match now {
            Road::Open => {}
            Road::Cut => return,
            Road::Slow(wait) => tokio::time::sleep(wait).await,
            Road::Silent => {
                let Ok(next) = road.wait_for(|road| *road != Road::Silent).await.map(|road| *road) else { return };
                if next == Road::Cut {
                    return;
                }
            }
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
