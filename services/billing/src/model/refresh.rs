//! Recomputations of usage.

use portolan_ids::{AccountId, OrganizationId};
use serde::{Deserialize, Serialize};

/// The jobs of billing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the text of each variant says what its fields are")]
pub enum Task {
    /// Lets every owner of a count make it anew, and sets what is recorded to it.
    RefreshUsage { organization_id: OrganizationId },
}

impl portolan_jobs::Task for Task {
    type Cursor = Cursor;
}

/// How far a recomputation is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Cursor {
    /// The account of the last step.
    pub account_id: Option<AccountId>,
    /// What the steps so far have found.
    pub differences: Vec<Difference>,
}

/// Usage that was recorded differently from what its owner counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Where the count is kept.
    pub account_id: AccountId,
    /// What is counted.
    pub feature: String,
    /// What billing had.
    pub recorded: i64,
    /// What there is.
    pub counted: i64,
}

/// The last recomputation of an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// As the contract spells it.
    pub state: &'static str,
    /// Unix seconds.
    pub requested_at: i64,
    /// Of the last one that ended; 0 when none has.
    pub finished_at: i64,
    /// What it has found.
    pub differences: Vec<Difference>,
}
