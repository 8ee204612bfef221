//! The inventory engine: from ingest records to endpoints, templates, typed parameters, authentication and API types.
//! It holds rules and no state of its own, and does no input or output.
//!
//! - [`fn@observe`] reads one record into [`Observation`]s.
//! - [`EndpointDelta`] adds observations of one raw URL up.
//! - [`template::Catalog`] gives every raw URL its effective URL; [`joined_parameters`] are the URL parameters that it
//!   has there.
//! - [`Samples`] keeps the newest records of an endpoint.
//!
//! # Invariants
//! - Every result is a function of the set of records: their order and their batches do not matter.
//! - What is stored belongs to raw URLs, so joining a template loses nothing.
//! - No input panics, recurses or runs longer than in proportion to its length; everything kept is bounded.
//!
//! Start reading at [`fn@observe`], then [`template`].

mod access;
mod api_type;
mod auth;
mod body;
mod credential_names;
mod credentials;
mod declared;
mod delta;
mod detect;
pub mod drift;
mod endpoint_kind;
mod facts;
mod headers;
mod host;
mod json;
mod memory;
mod method;
mod observe;
mod samples;
mod sighting;
pub mod template;
mod text;
mod xml;

pub use access::{AccessPolicy, AccessType};
pub use api_type::ApiType;
pub use auth::{AuthSet, AuthType};
pub use credentials::is_credential;
pub use delta::{Aggregate, Domain, EndpointDelta, Values};
pub use detect::{
    Conditions, CustomRule, CustomType, Detected, Detectors, PATTERN_CHARACTERS_MAX, Pattern, PiiType, Position,
    Predicate, REQUEST, SubType, SuperType, is_phone_number,
};
pub use endpoint_kind::EndpointKind;
pub use facts::{DeclaredFacts, Facts};
pub use headers::Headers;
pub use host::{SPECIAL_CHAR_HOST, host_of};
pub use method::Method;
pub use observe::{DropReason, Observation, Verdict, joined_parameters, observe, raw_url_of};
pub use samples::{SAMPLES_MAX, Sample, Samples};
pub use sighting::{PARAMETERS_MAX, ParameterKey, Sighting, VALUE_BYTES_MAX, VALUES_MAX};
