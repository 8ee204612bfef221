//! Imports from an address.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What to call.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct UrlImport {
    pub url: String,
    /// Sent by POST when it is not empty.
    pub body: String,
    pub headers: BTreeMap<String, String>,
    /// Taken instead of a call.
    pub answer: Option<Answer>,
}

/// An answer as a record takes it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Answer {
    pub status_code: i32,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}
