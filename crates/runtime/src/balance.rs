//! The instances of a service, as its names resolve now, and the choice among them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tonic::transport::{Channel, Endpoint};

use crate::{address::Address, breaker::Breaker, tls::Tls};

/// How often names are resolved anew: instances of a service come and go.
const RESOLVE_EVERY: Duration = Duration::from_secs(3);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A peer that answers no ping is given up, with its connection.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait for the first answer of a name server.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// One instance of a service.
pub struct Instance {
    /// `host:port` as configured, and the address that it stands for.
    pub name: String,
    pub channel: Channel,
    pub breaker: Breaker,
}

/// Every instance of a service.
pub struct Balancer {
    instances: watch::Receiver<Instances>,
    next: AtomicUsize,
}

/// An instance, and the certificates that its connection was opened with.
type Key = (SocketAddr, String, u64);
type Instances = BTreeMap<Key, Arc<Instance>>;

impl Balancer {
    /// Follows the addresses `http(s)://host:port`, several by commas.
    ///
    /// # Errors
    /// The address that cannot be read, or needs certificates that are not there.
    pub fn start(addresses: &str, tls: Option<Arc<Tls>>) -> Result<Arc<Self>, String> {
        let mut names = Vec::new();
        for address in addresses.split(',').map(str::trim) {
            let name =
                Address::parse(address).ok_or_else(|| format!("`{address}` is no address: http(s)://host:port"))?;
            if name.is_tls && tls.is_none() {
                return Err(format!("`{address}` needs the certificates of [tls]"));
            }
            names.push(name);
        }
        let (found, instances) = watch::channel(Instances::new());
        tokio::spawn(async move {
            loop {
                let known = found.borrow().clone();
                found.send_replace(resolve(&names, tls.as_deref(), &known).await);
                tokio::select! {
                    () = found.closed() => return,
                    () = tokio::time::sleep(RESOLVE_EVERY) => {}
                }
            }
        });
        Ok(Arc::new(Self { instances, next: AtomicUsize::new(0) }))
    }

    /// The instances in the order in which a call tries them: in turn, those that failed of late last and only when
    /// it is time for a trial.
    pub async fn candidates(&self) -> Vec<Arc<Instance>> {
        let mut instances = self.instances.clone();
        let found = tokio::time::timeout(RESOLVE_TIMEOUT, instances.wait_for(|instances| !instances.is_empty()));
        let mut all: Vec<_> = match found.await {
            Ok(Ok(found)) => found.values().cloned().collect(),
            _ => return Vec::new(),
        };
        if !all.is_empty() {
            let first = self.next.fetch_add(1, Ordering::Relaxed) % all.len();
            all.rotate_left(first);
        }
        let now = Instant::now();
        all.retain(|instance| instance.breaker.admits(now));
        all
    }
}

/// The instances of each name; those that stay keep their connection. A name that cannot be resolved now keeps those it
/// had.
async fn resolve(names: &[Address], tls: Option<&Tls>, known: &Instances) -> Instances {
    let mut instances = Instances::new();
    for name in names {
        let found: BTreeSet<SocketAddr> = match tokio::net::lookup_host((name.host.as_str(), name.port)).await {
            Ok(found) => found.collect(),
            Err(error) => {
                tracing::warn!(host = name.host, %error, "a service cannot be resolved");
                known.keys().filter(|(_, host, _)| *host == name.host).map(|(address, ..)| *address).collect()
            }
        };
        for address in found {
            let tls = tls.filter(|_| name.is_tls).map(Tls::client);
            let key = (address, name.host.clone(), tls.as_ref().map_or(0, |(generation, _)| *generation));
            if let Some(instance) = known.get(&key) {
                instances.insert(key, instance.clone());
                continue;
            }
            let scheme = if name.is_tls { "https" } else { "http" };
            let Ok(endpoint) = Endpoint::from_shared(format!("{scheme}://{address}")) else { continue };
            let endpoint = endpoint
                .connect_timeout(CONNECT_TIMEOUT)
                .http2_keep_alive_interval(KEEPALIVE_EVERY)
                .keep_alive_timeout(KEEPALIVE_TIMEOUT)
                .tcp_nodelay(true);
            let secured = match tls {
                None => Ok(endpoint),
                Some((_, config)) => endpoint.tls_config(config.domain_name(&name.host)),
            };
            match secured {
                Ok(endpoint) => {
                    let configured = format!("{}:{}", name.host, name.port);
                    let shown = address.to_string();
                    let instance = Instance {
                        name: if configured == shown { shown } else { format!("{configured} ({shown})") },
                        channel: endpoint.connect_lazy(),
                        breaker: Breaker::default(),
                    };
                    instances.insert(key, Arc::new(instance));
                }
                Err(error) => tracing::warn!(host = name.host, %error, "the certificates cannot be used"),
            }
        }
    }
    instances
}
