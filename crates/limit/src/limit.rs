use std::time::Duration;

use sha2::{Digest as _, Sha256};

/// At most `max` in each window of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// How many count in one window.
    pub max: u64,
    /// How long a window lasts; it begins with the first that counts.
    pub window: Duration,
}

impl Limit {
    /// So many in 60 seconds.
    pub const fn per_minute(max: u64) -> Self {
        Self { max, window: Duration::from_secs(60) }
    }
}

/// What is counted, under which limit.
#[derive(Clone, Debug)]
pub struct Counter {
    /// The kind, and a digest of the one: callers choose names of any length, and of what they choose nothing is kept.
    pub subject: String,
    /// What the subject may use.
    pub limit: Limit,
}

impl Counter {
    /// A counter of a subject that names both the kind and the one: `login/ann@example.org`.
    pub fn new(subject: impl AsRef<str>, limit: Limit) -> Self {
        let subject = subject.as_ref();
        let (kind, one) = subject.split_once('/').unwrap_or((subject, ""));
        Self { subject: format!("{kind}/{}", hex::encode(Sha256::digest(one))), limit }
    }
}

/// Whether something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the text of each variant says what its fields are")]
pub enum Decision {
    /// It was counted; `left` more fit the tightest window.
    Allowed { left: u64 },
    /// Nothing was counted.
    Refused { retry_after: Duration },
}

impl Decision {
    /// How long to wait; `None` when allowed.
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Allowed { .. } => None,
            Self::Refused { retry_after } => Some(retry_after),
        }
    }

    /// As [`Decision::retry_after`], in whole seconds from 1, as the header wants them.
    pub fn retry_after_s(self) -> Option<i64> {
        self.retry_after().map(|time| i64::try_from(time.as_millis().div_ceil(1000)).unwrap_or(i64::MAX).max(1))
    }
}
