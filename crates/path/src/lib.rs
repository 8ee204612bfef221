//! URLs and templates of URLs: what two spellings of one address have in common, and which operation a path is for.
//!
//! - [`CanonicalUrl`] brings a URL into its one spelling (RFC 3986, 6.2, with the hosts of the WHATWG).
//! - [`StrictPath`] reads a path only if every reader of it must understand the same.
//! - [`Template`] is the path of an operation: literals, variables, segments that mix both, a greedy end.
//! - [`Trie`] finds the template of a path among any number of templates.
//!
//! # Invariants
//! - Canonicalization is idempotent, and credentials never pass it.
//! - The order of templates that match one path is total: it depends neither on the order nor on the number of templates.
//! - No input panics, and every cost is bounded by the length of the input.
//!
//! Start reading at [`Template`].

mod braces;
mod canonical;
mod escape;
mod host;
mod kind;
mod matrix;
mod segment;
mod strict;
mod template;
mod trie;
mod words;

pub use canonical::{CanonicalUrl, canonical_path, canonical_url, without_credentials};
pub use escape::decoded;
pub use host::{canonical_host, host_name};
pub use kind::Kind;
pub use matrix::{matrix_parameters, without_matrix};
pub use segment::{Part, Segment, Variable};
pub use strict::{Ambiguous, StrictPath};
pub use template::Template;
pub use trie::{Node, Trie};

pub use portolan_record::{SEGMENTS_MAX, URL_BYTES_MAX as PATH_BYTES_MAX};
