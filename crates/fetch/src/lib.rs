//! The one HTTP client of every call that leaves the installation.
//!
//! A URL may come from anybody, so a call could be aimed at the installation's own network. [`Fetch`] resolves a name
//! once, checks every address it answers, and connects to what was checked; each redirect is checked again.
//!
//! # Invariants
//! - Only `http` and `https`; user and password in a URL are refused; proxy variables of the environment are ignored.
//! - One refused address among many refuses the name. Link-local (and with it metadata), multicast, unspecified and
//!   reserved addresses are refused whatever the configuration says; private ones unless it allows them.
//! - What a caller put into a request goes to the origin it was meant for and to no other.
//! - Time, size and decompressed size of an answer are limited.
//! - An error says neither why nothing answered nor what an answer held.
//!
//! Start at [`Fetch::send`]. [`Fetch::check`] refuses what can be refused before a job is made.

mod address;
mod answer;
mod dns;
mod error;
mod fetch;
mod policy;
mod request;

pub use address::{Reach, reach};
pub use dns::{Resolve, SystemResolver};
pub use error::FetchError;
pub use fetch::{Fetch, Response};
pub use policy::{HostPattern, Policy};
pub use request::Request;
