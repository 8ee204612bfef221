//! Between the documented JSON and protobuf bytes, by plans made from the descriptors once at start.
//!
//! # Invariants
//! - JSON becomes wire bytes, and wire bytes become JSON, without a message object between them.
//! - No input makes it panic, recurse without bound, or hold more than a few times the input's size.
//! - The naming rules stand in `proto/README.md`; a field's exceptions are its options.
//!
//! Start with [`plan::Plans`], then [`mod@json_to_wire`] for requests and [`mod@wire_to_json`] for answers.

mod json_to_wire;
mod plan;
#[cfg(test)]
mod tests;
mod text;
mod wire;
mod wire_to_json;

pub(crate) use json_to_wire::{Manner, json_to_wire};
pub use plan::PlanError;
pub(crate) use plan::{FieldPlan, Kind, MessageId, MessagePlan, Plans};
pub(crate) use text::text_to_wire;
pub(crate) use wire::put_tag_bytes;
pub(crate) use wire_to_json::{Answer, Secrets, wire_to_json};
