//! The ingest record: one observed call, or one declared operation, as one JSON object.
//!
//! Producers (importers, traffic connectors) write records to the log, the inventory reads them.
//! The wire form is the documented record of the topic `akto.api.logs`: nearly all values are strings,
//! header maps are JSON objects inside strings, and a reader accepts numbers where strings are documented.
//! A record with the member `declaration` describes an operation of a specification instead of a call:
//! what a schema declares is recorded as declared, without invented values.
//!
//! # Invariants
//! - `Record::parse` never panics and never allocates for members that need no unescaping.
//! - `Record::parse(record.to_json())` equals `record`, for a record within the bounds.
//! - A record that was parsed keeps every bound of `bounds.rs`; one that exceeds a bound is refused with its name.

mod bounds;
mod declaration;
mod quick;
mod record;
mod source;

pub use bounds::{BoundExceeded, PARAMETERS_MAX, RECORD_BYTES_MAX, SEGMENTS_MAX, URL_BYTES_MAX};
pub use declaration::{AuthAlternative, Declaration, DeclaredAuth, DeclaredParameter, Location, Specification};
pub use record::{Record, RecordError};
pub use source::Source;
