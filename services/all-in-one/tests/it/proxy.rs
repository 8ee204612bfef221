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
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (road, watched) = watch::channel(Road::Open);
        let target = target.to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *watched.borrow() == Road::Cut {
                    continue;
                }
                let (watched, target) = (watched.clone(), target.clone());
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(target).await else { return };
                    let _ = (client.set_nodelay(true), server.set_nodelay(true));
                    let (client_in, client_out) = client.into_split();
                    let (server_in, server_out) = server.into_split();
                    let there = copy(client_in, server_out, watched.clone());
                    let back = copy(server_in, client_out, watched);
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

async fn copy(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut road: watch::Receiver<Road>,
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
