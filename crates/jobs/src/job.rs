//! What a job is.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// What the jobs of a service are: an enum with a variant a kind, whose fields are the arguments. By serde it has the
/// tag `kind`, in kebab case:
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// #[derive(Clone, Debug, Serialize, Deserialize)]
/// #[serde(tag = "kind", rename_all = "kebab-case")]
/// enum Task {
///     RefreshUsage { organization_id: String },
/// }
/// impl portolan_jobs::Task for Task {
///     type Cursor = u64;
/// }
/// ```
pub trait Task: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Where a step begins; its default at the start.
    type Cursor: Serialize + DeserializeOwned + Default + Clone + Send + Sync + 'static;
}

/// What a job is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// Names it among the jobs of the kind; one of a name is active at a time.
    pub name: String,
    /// The collection whose readers may see the job; every reader of the account without one.
    pub collection_id: Option<i32>,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Waits for a worker, for the first time or for the next attempt.
    Pending,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

impl State {
    const ALL: [Self; 5] = [Self::Pending, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled];

    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether nothing more happens.
    pub fn is_ended(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

/// A job as its readers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub account_id: i64,
    pub job_id: String,
    pub kind: String,
    pub subject: Subject,
    pub state: State,
    pub done_items: i64,
    /// What the last step said; null before, and where it said nothing.
    pub outcome: Value,
    /// Why the last attempt stopped, or why it failed.
    pub error: Option<String>,
    /// Unix seconds.
    pub created_at: i64,
    pub updated_at: i64,
}

/// A job as the work on it sees it.
#[derive(Clone, Debug)]
pub struct Job<T: Task> {
    pub account_id: i64,
    pub job_id: String,
    pub task: T,
    pub subject: Subject,
    pub cursor: T::Cursor,
    pub done_items: i64,
}

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<C> {
    /// The next step begins at the cursor.
    Next { cursor: C, done: i64 },
    /// Nothing is left.
    Over { done: i64, outcome: Value },
}

/// Why a step was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] portolan_store::Error),
    /// It may go better later.
    #[error(transparent)]
    Later(#[from] portolan_api::Error),
    /// It will never go: the job ends as failed.
    #[error("{0}")]
    Never(String),
}

impl portolan_store::Repeatable for Error {
    fn repeatable(&self) -> bool {
        matches!(self, Self::Store(error) if error.repeatable())
    }
}
