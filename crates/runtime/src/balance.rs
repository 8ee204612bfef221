use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use http::Uri;
use tonic::transport::{Channel, Endpoint, channel::Change};

use crate::tls::Tls;

/// How often names are resolved anew: instances of a service come and go.
const RESOLVE_EVERY: Duration = Duration::from_secs(3);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A peer that answers no ping is given up, with its connection.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// A channel over every address that the names of a service stand for.
///
/// # Errors
/// The address that cannot be read.
pub fn channel(addresses: &str, tls: Option<Arc<Tls>>) -> Result<Channel, String> {
    let mut names = Vec::new();
    for address in addresses.split(',').map(str::trim) {
        let name = Name::parse(address).ok_or_else(|| format!("`{address}` is no address: http(s)://host:port"))?;
        if name.is_tls && tls.is_none() {
            return Err(format!("`{address}` needs the certificates of [tls]"));
        }
        names.push(name);
    }
    let (channel, changes) = Channel::balance_channel(64);
    tokio::spawn(async move {
        let mut known = BTreeMap::new();
        while !changes.is_closed() {
            let wanted = resolve(&names, tls.as_deref(), &known).await;
            let gone: Vec<Key> = known.keys().filter(|key| !wanted.contains_key(*key)).cloned().collect();
            for key in gone {
                known.remove(&key);
                if changes.send(Change::Remove(key)).await.is_err() {
                    return;
                }
            }
            for (key, endpoint) in wanted {
                if known.insert(key.clone(), ()).is_none() && changes.send(Change::Insert(key, endpoint)).await.is_err()
                {
                    return;
                }
            }
            tokio::time::sleep(RESOLVE_EVERY).await;
        }
    });
    Ok(channel)
}

/// An instance, and the certificates that its connection was opened with.
type Key = (SocketAddr, String, u64);

struct Name {
    host: String,
    port: u16,
    is_tls: bool,
}

impl Name {
    fn parse(address: &str) -> Option<Self> {
        let uri = address.parse::<Uri>().ok()?;
        let is_tls = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
        Some(Self { host, port: uri.port_u16()?, is_tls })
    }
}

/// The instances of each name. One that cannot be resolved now keeps those it had.
async fn resolve(names: &[Name], tls: Option<&Tls>, known: &BTreeMap<Key, ()>) -> BTreeMap<Key, Endpoint> {
    let mut wanted = BTreeMap::new();
    for name in names {
        let found: BTreeSet<SocketAddr> = match tokio::net::lookup_host((name.host.as_str(), name.port)).await {
            Ok(found) => found.collect(),
            Err(error) => {
                tracing::warn!(host = name.host, %error, "a service cannot be resolved");
                known.keys().filter(|(_, host, _)| *host == name.host).map(|(address, ..)| *address).collect()
            }
        };
        for address in found {
            let scheme = if name.is_tls { "https" } else { "http" };
            let Ok(endpoint) = Endpoint::from_shared(format!("{scheme}://{address}")) else { continue };
            let endpoint = endpoint
                .connect_timeout(CONNECT_TIMEOUT)
                .http2_keep_alive_interval(KEEPALIVE_EVERY)
                .keep_alive_timeout(KEEPALIVE_TIMEOUT)
                .tcp_nodelay(true);
            let (generation, endpoint) = match tls.filter(|_| name.is_tls) {
                None => (0, endpoint),
                Some(tls) => {
                    let (generation, config) = tls.client();
                    match endpoint.tls_config(config.domain_name(&name.host)) {
                        Ok(endpoint) => (generation, endpoint),
                        Err(error) => {
                            tracing::warn!(%error, "the certificates cannot be used");
                            continue;
                        }
                    }
                }
            };
            wanted.insert((address, name.host.clone(), generation), endpoint);
        }
    }
    wanted
}
