//! Between the documented JSON and protobuf bytes, by plans made from the descriptors once at start.
//!
//! # Invariants
//! - JSON becomes wire bytes, and wire bytes become JSON, without a message object between them.
//! - No input makes it panic, recurse without bound, or hold more than a few times the input's size.
//! - The naming rules stand in `proto/README.md`; a field's exceptions are its options.
//!
//! Start with [`plan::Plans`], then [`encode`] for requests and [`decode`] for answers.

mod decode;
mod encode;
mod plan;
#[cfg(test)]
mod tests;
mod text;
mod wire;

pub(crate) use decode::{Answer, Secrets, decode};
pub(crate) use encode::encode;
pub use plan::PlanError;
pub(crate) use plan::{MessageId, Plans};
pub(crate) use text::encode_text;
pub(crate) use wire::put_tag_bytes;
