use portolan_formats::{Format, FormatError};

use super::{imperva, openapi, postman};
use crate::model::documents::{Converted, Place};

/// Converts one document.
pub fn convert(format: Format, text: &[u8], place: &Place) -> Result<Converted, FormatError> {
    match format {
        Format::OpenApi => openapi::convert_text(text, place),
        Format::Postman => postman::convert_text(text, place),
        Format::Imperva => imperva::convert_text(text, place),
        Format::Har => Err(FormatError::NotHar("captures are read entry by entry".to_owned())),
    }
}
