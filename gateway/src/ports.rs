//! The seams to the rest of a process: who is calling, what was answered before, which service answers, is it ready.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use portolan_api::{Error, MethodPolicy};
use portolan_runtime::{budget::CallBudget, readiness::Part};
use tonic::body::Body;
use tower::{BoxError, Service, ServiceExt, util::BoxCloneSyncService};

use crate::origin::Site;

/// A service of the installation: a channel, or the service itself in the same process.
pub type Backend = BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>;

/// The backend of each proto package, such as `portolan.inventory.v1`; it serves every service of the package.
#[derive(Clone, Default)]
pub struct Backends(HashMap<String, Backend>);

impl Backends {
    /// Names the backend of a package, in place of an earlier one.
    pub fn insert<S>(&mut self, package: &str, backend: S)
    where
        S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
    {
        self.0.insert(package.to_owned(), BoxCloneSyncService::new(backend.map_err(Into::into)));
    }

    pub(crate) fn get(&self, service: &str) -> Result<Backend, Error> {
        let package = service.rsplit_once('.').map_or(service, |(package, _)| package);
        self.0.get(package).cloned().ok_or_else(|| Error::unavailable(format!("no backend serves {service}")))
    }
}

/// What is known of a request before its body is read.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// As they came.
    pub headers: &'a HeaderMap,
    /// The address of the client, as the connection and the trusted proxies before it tell it.
    pub client: IpAddr,
    /// What stands beside the RPC in the contract.
    pub policy: &'static MethodPolicy,
    /// As in the header `x-request-id`.
    pub request_id: &'a str,
}

/// A caller as the services see it.
#[derive(Clone, Debug, Default)]
pub struct Identified {
    /// Metadata of the gRPC request.
    pub metadata: Vec<(HeaderName, HeaderValue)>,
    /// Stable identity of the caller, which bounds its idempotency keys. Empty when nobody is known.
    pub caller_key: String,
    /// 0 when nobody is known.
    pub account_id: i64,
    /// Empty when nobody is known.
    pub credential_id: String,
}

/// Checks the credential of a request. Called for public routes too.
pub trait Authenticator: Send + Sync + 'static {
    /// Errors end the request before its body is read.
    fn authenticate<'a>(&'a self, arrival: Arrival<'a>) -> BoxFuture<'a, Result<Identified, Error>>;
}

/// The first answer to a request with an `Idempotency-Key`, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    /// Of the answer.
    pub status: u16,
    /// Those that a repeat has as well.
    pub headers: Vec<(String, String)>,
    /// Of the answer.
    pub body: Bytes,
}

/// What is known of an `Idempotency-Key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Nothing: the caller of `begin` holds the key until `finish` or `abandon`, or until the store lets it lapse.
    Fresh,
    /// The same request was answered.
    Replay(StoredAnswer),
    /// The key came with another request.
    Conflict,
    /// The same request is being answered.
    InProgress,
}

/// Which request an `Idempotency-Key` stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyId {
    /// The caller; keys of different callers never meet.
    pub scope: String,
    /// 1 to 255 visible characters.
    pub key: String,
}

/// Keeps answers for 24 hours.
pub trait IdempotencyStore: Send + Sync + 'static {
    /// Takes the key, atomically. `digest` is the SHA-256 of the request.
    fn begin<'a>(&'a self, id: &'a IdempotencyId, digest: [u8; 32]) -> BoxFuture<'a, Result<Begin, Error>>;
    /// Stores the answer of a key that is held.
    fn finish<'a>(&'a self, id: &'a IdempotencyId, answer: StoredAnswer) -> BoxFuture<'a, Result<(), Error>>;
    /// Lets a held key go, so that the request may be repeated.
    fn abandon<'a>(&'a self, id: &'a IdempotencyId) -> BoxFuture<'a, Result<(), Error>>;
}

/// Whether everything that answers depend on answers.
pub trait Readiness: Send + Sync + 'static {
    /// What each part was found to be.
    fn look(&self) -> BoxFuture<'_, Vec<Part>>;
}

impl Readiness for portolan_runtime::Readiness {
    fn look(&self) -> BoxFuture<'_, Vec<Part>> {
        Box::pin(self.look())
    }
}

/// Everything the gateway needs of the process around it.
#[derive(Clone)]
pub struct GatewayDeps {
    /// The services, by package.
    pub backends: Backends,
    /// Says who calls.
    pub authenticator: Arc<dyn Authenticator>,
    /// Keeps answers for repeats.
    pub idempotency: Arc<dyn IdempotencyStore>,
    /// What `/readyz` says.
    pub readiness: Arc<dyn Readiness>,
    /// Under which addresses browsers reach it.
    pub site: Site,
    /// Until when deprecated routes are served, as in the header `Sunset`; named only when configured.
    pub sunset: Option<HeaderValue>,
    /// What calls may take of the process.
    pub budget: CallBudget,
}
