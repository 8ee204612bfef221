use portolan_record::Record;

use crate::ImportError;

/// What became of one request.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestOutcome {
    /// The request's name after those of its folders.
    pub name: String,
    /// Variable segments are type tokens.
    pub url: String,
    /// Upper-case.
    pub method: String,
    /// Empty when the request cannot be converted; `errors` then says why.
    pub records: Vec<Record<'static>>,
    /// What was read differently from how it was written, or not at all.
    pub errors: Vec<ImportError>,
}
