use portolan_formats::{Format, FormatError};

use super::{imperva, openapi, postman};
use crate::model::documents::{Converted, Destination};

/// Converts one document.
pub fn convert(format: Format, text: &[u8], destination: &Destination) -> Result<Converted, FormatError> {
    match format {
        Format::OpenApi => openapi::convert_text(text, destination),
        Format::Postman => postman::convert_text(text, destination),
        Format::Imperva => imperva::convert_text(text, destination),
        Format::Har => Err(FormatError::NotHar("captures are read entry by entry".to_owned())),
    }
}
