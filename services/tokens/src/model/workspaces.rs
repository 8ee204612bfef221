use portolan_api::{Reason, Result};

use super::violations::Violations;

const PER_PAGE_MAX: i64 = 100;

/// The number in a path.
///
/// # Errors
/// `NOT_FOUND` for anything but digits, since no id has that form.
pub fn id<Id: From<i64>>(text: &str) -> Result<Id> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    Ok(digits.then(|| text.parse::<i64>().ok()).flatten().ok_or(Reason::NotFound)?.into())
}

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Of the page, from 1.
    pub number: i64,
    /// How many a page has at most.
    pub per_page: i64,
}

impl Page {
    /// # Errors
    /// `VALIDATION_FAILED` for a number out of range.
    pub fn read(number: Option<i64>, per_page: Option<i64>) -> Result<Self> {
        let page = Self { number: number.unwrap_or(1), per_page: per_page.unwrap_or(PER_PAGE_MAX) };
        let mut violations = Violations::default();
        if page.number < 1 {
            violations.add("page", "must be greater than 0");
        }
        if page.per_page < 1 {
            violations.add("per_page", "must be greater than 0");
        }
        if page.per_page > PER_PAGE_MAX {
            violations.add("per_page", format!("must be less than or equal to {PER_PAGE_MAX}"));
        }
        violations.refuse()?;
        Ok(page)
    }

    /// How many come before it.
    pub fn offset(self) -> i64 {
        (self.number - 1).saturating_mul(self.per_page)
    }
}

/// The number in a JSON number, or in a JSON text.
pub(crate) fn number(json: &str) -> Option<i64> {
    match serde_json::from_str(json).ok()? {
        serde_json::Value::Number(number) => number.as_i64(),
        serde_json::Value::String(text) => text.parse().ok(),
        _ => None,
    }
}
