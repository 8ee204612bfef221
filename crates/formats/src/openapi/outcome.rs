use portolan_record::Record;

use crate::ImportError;

/// What became of one operation.
#[derive(Clone, Debug, PartialEq)]
pub struct OperationOutcome {
    /// Absolute where the server is; variable segments are type tokens.
    pub url: String,
    /// As the document writes it.
    pub path: String,
    /// Upper-case.
    pub method: String,
    /// `None` when the operation cannot be converted; `errors` then says why.
    pub record: Option<Record<'static>>,
    /// What was read differently from how it was written, or not at all.
    pub errors: Vec<ImportError>,
}
