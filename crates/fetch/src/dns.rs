use std::{
    future::Future,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolving};

use crate::Policy;

/// Turns a name into its addresses.
pub trait Resolve: Send + Sync {
    /// The addresses of a host; none is an error of the caller's.
    fn resolve(&self, host: &str) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send + '_>>;
}

/// The resolver of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send + '_>> {
        let host = host.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// The only source of addresses that the client connects to: what it answers was checked, and nothing resolves again.
pub(crate) struct CheckedResolver {
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) policy: Arc<Policy>,
}

/// The mark by which a refusal is found among the client's errors.
#[derive(Debug, thiserror::Error)]
#[error("refused address")]
pub(crate) struct Refused;

impl reqwest::dns::Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (resolver, policy) = (self.resolver.clone(), self.policy.clone());
        Box::pin(async move {
            let found = resolver.resolve(name.as_str()).await?;
            if !found.iter().all(|address| policy.admits(name.as_str(), *address)) {
                tracing::warn!(host = name.as_str(), "an outgoing call was refused: the name has a refused address");
                return Err(Refused.into());
            }
            Ok(Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}
