use std::collections::BTreeMap;

use crate::model::endpoints::EndpointId;

const ID_CHARACTERS_MAX: usize = 200;

const SEVERITIES: [&str; 4] = ["CRITICAL", "HIGH", "MEDIUM", "LOW"];

const STATUSES: [&str; 3] = ["OPEN", "FIXED", "IGNORED"];

/// One finding, or a test without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// A repeat of it replaces it.
    pub id: String,
    /// Which endpoint it is about.
    pub endpoint: EndpointId,
    /// Empty for a test without finding.
    pub severity: String,
    /// As the contract spells it.
    pub status: String,
    /// Unix seconds.
    pub tested_at: i64,
}

/// Severity to number of issues.
pub type Severities = BTreeMap<String, i64>;

pub(crate) fn fault(report: &Report) -> Option<&'static str> {
    let texts = [&report.id, &report.endpoint.url, &report.endpoint.method];
    if !(1..=ID_CHARACTERS_MAX).contains(&report.id.chars().count()) {
        Some("id must have 1 to 200 characters")
    } else if texts.iter().any(|text| text.contains('\0')) {
        Some("a text holds a NUL character")
    } else if !report.severity.is_empty() && !SEVERITIES.contains(&report.severity.as_str()) {
        Some("severity must be CRITICAL, HIGH, MEDIUM or LOW")
    } else if !STATUSES.contains(&report.status.as_str()) {
        Some("status must be OPEN, FIXED or IGNORED")
    } else {
        None
    }
}

/// Open issues of endpoints that are there.
pub struct Open {
    /// A template.
    pub url: String,
    /// In capital letters.
    pub method: String,
    /// As the contract spells it.
    pub severity: String,
    /// How many are open.
    pub count: i64,
}
