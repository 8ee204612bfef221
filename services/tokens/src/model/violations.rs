//! What is wrong with a request, by field.

use std::collections::BTreeMap;

use portolan_api::{Error, Reason, Result};

pub(crate) const BLANK: &str = "can't be blank";
const TEXT_CHARS_MAX: usize = 255;

/// Every fault found, so that a client sees all of them at once.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Violations(BTreeMap<&'static str, Vec<String>>);

impl Violations {
    /// Notes what is wrong with a field.
    pub fn add(&mut self, field: &'static str, fault: impl Into<String>) {
        self.0.entry(field).or_default().push(fault.into());
    }

    /// A name must be there and fit.
    pub fn name(&mut self, field: &'static str, name: &str) {
        if name.trim().is_empty() {
            self.add(field, BLANK);
        }
        self.length(field, name);
    }

    /// Notes a text that is too long.
    pub fn length(&mut self, field: &'static str, text: &str) {
        if text.chars().count() > TEXT_CHARS_MAX {
            self.add(field, format!("is too long (maximum is {TEXT_CHARS_MAX} characters)"));
        }
    }

    /// # Errors
    /// `VALIDATION_FAILED` with every fault.
    pub fn refuse(self) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let fields = serde_json::to_string(&self.0).map_err(Error::internal)?;
        Err(Error::new(Reason::ValidationFailed).with("errors_json", fields))
    }
}
