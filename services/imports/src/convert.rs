//! Documents into operations with their records, whatever their format: no I/O, and the same each time.

mod archive;
mod imperva;
mod openapi;
mod postman;
mod single;

use portolan_formats::archive::is_archive;
use portolan_formats::{Format, FormatError};

use crate::model::documents::{Converted, Destination};

/// Converts a document, or all those of an archive.
///
/// # Errors
/// Why it is none of the format.
pub fn document(format: Format, text: &[u8], destination: &Destination) -> Result<Converted, FormatError> {
    if is_archive(text) { archive::convert(text, destination) } else { single::convert(format, text, destination) }
}
