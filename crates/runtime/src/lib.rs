//! Everything a process needs around its services: configuration, secrets, channels to other services, the gRPC
//! server with health and reflection, telemetry.
//!
//! # Invariants
//! - An unknown key or a half-configured pair stops the start; every problem is reported at once.
//! - A service reaches another through [`Peers`] only, in one process and over TCP alike.
//! - No secret is printed: secrets have no `Debug` form.

pub mod accept;
mod address;
mod age;
mod background;
mod balance;
mod behalf;
mod breaker;
pub mod budget;
mod caches;
mod calls;
mod channel;
mod config;
mod directory;
mod error;
mod exemplars;
mod identities;
mod key_file;
pub mod key_mark;
pub mod key_readers;
mod key_watch;
mod keys;
mod layers;
mod limits;
mod measures;
mod observe;
pub mod options;
mod peers;
mod places;
mod private_file;
pub mod process;
pub mod readiness;
pub mod reseal;
pub mod sealed;
mod secrets;
mod section;
mod serve;
mod service;
mod stop;
mod stores;
mod tasks;
pub mod telemetry;
mod tls;
pub mod workers;

pub use age::Age;
pub use background::{apart_from, in_background, in_background_from, read_from};
pub use caches::Caches;
pub use channel::Channel;
pub use config::{Config, ConfigError, Reader, is_http_base, is_http_url};
pub use directory::{DirectoryLock, open_to_others};
pub use exemplars::record_seconds;
pub use identities::RemoteIdentities;
pub use key_file::{SecretsError, Stage};
pub use keys::Keys;
pub use layers::{Documented, documented};
pub use limits::PeerLimits;
pub use measures::also as measure_also;
/// What every binary allocates with: faster than the C library's with the many small blocks of JSON, messages and
/// headers, and without huge pages, which would keep half as much memory again in an idle process.
pub use mimalloc::MiMalloc as Allocator;
pub use peers::{Attach, Peers};
pub use portolan_store::now_s;
pub use private_file::{create_private, keep_private, write_private};
pub use process::{Built, Process, ProcessArgs};
pub use readiness::Readiness;
pub use secrets::{KeyId, Secrets, digest};
pub use serve::{GrpcService, grpc_routes, guarded, merge, secured, serve_grpc};
pub use service::{Opened, Service, main};
pub use stop::Stop;
pub use tasks::Tasks;
pub use tls::{Tls, certificate_times, expect_private_key};
