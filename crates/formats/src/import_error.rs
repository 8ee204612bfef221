use serde::{Deserialize, Serialize};

/// How much an [`ImportError`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ErrorType {
    /// Something was left out; the rest is imported.
    Warning,
    /// A part that the import is about cannot be read.
    Error,
}

/// One row of an import's error list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportError {
    /// What is wrong, for the one who wrote the document.
    pub error: String,
    /// Whether it can be imported all the same.
    pub error_type: ErrorType,
}

impl ImportError {
    pub(crate) fn warning(error: String) -> Self {
        Self { error, error_type: ErrorType::Warning }
    }

    pub(crate) fn error(error: String) -> Self {
        Self { error, error_type: ErrorType::Error }
    }
}
