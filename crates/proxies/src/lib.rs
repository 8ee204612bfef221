//! From which client a request comes, where proxies stand in between.
//!
//! # Invariants
//! - Only what a trusted proxy wrote counts: a chain is read from its end, where the nearest proxy wrote, and ends at the
//!   first entry that cannot be read, so that nobody hides or forges an address by writing nonsense.
//! - One reader of addresses takes every form that proxies write: brackets, ports, zone ids, quotes, and IPv4 in IPv6.
//! - IPv4 in IPv6 form is IPv4, and a zone is left out.
//!
//! Start with [`Proxies`].

mod address;
mod forwarded;
mod lines;
mod proxies;
mod ranges;

pub use address::address;
pub use forwarded::{Element, forwarded};
pub use lines::lines;
pub use proxies::{HOPS_MAX, Proxies};
pub use ranges::{PRIVATE_RANGES, Ranges, range};
