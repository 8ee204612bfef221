//! Converters from files to ingest records: pure functions, no network, no disk, no clock.
//!
//! Each format is one module that turns bytes into [`portolan_record::Record`]s and says, item by item, what it could
//! not turn into one and why. A further format is a further module beside [`har`], [`openapi`], [`postman`] and
//! [`imperva`].
//!
//! # Invariants
//! - No input makes a converter panic, and every converter's memory and time are bounded by named limits.
//! - A reference to another document is never followed, neither over the network nor on disk.
//! - A bad item never hides its siblings; a file that is not of its format is refused as a whole with a reason.
//! - The same bytes and the same [`Target`] give the same records.
//!
//! A zip archive of documents is opened by [`archive::Archive`].
//!
//! Start at [`fn@detect`], then [`har::convert_reader`], [`openapi::Document::parse`] and [`postman::Document::parse`].

pub mod archive;
mod bundle;
mod detect;
mod error;
mod foreign;
pub mod har;
pub mod imperva;
mod import_error;
mod members;
mod name;
mod notes;
pub mod openapi;
pub mod postman;
mod target;
mod text;
mod tree;
mod unknown;

pub use detect::{Format, detect};
pub use error::FormatError;
pub use import_error::{ErrorType, ImportError};
pub use name::name;
pub use target::Target;
pub use unknown::unknown;
