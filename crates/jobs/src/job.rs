//! What a job is.

use portolan_ids::{AccountId, CollectionId, JobId, UserId};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// What the jobs of a service are: an enum with a variant a kind, whose fields are the arguments. By serde it has the
/// tag `kind`, in kebab case:
///
/// ```
/// # use portolan_ids::OrganizationId;
/// # use serde::{Deserialize, Serialize};
/// #[derive(Clone, Debug, Serialize, Deserialize)]
/// #[serde(tag = "kind", rename_all = "kebab-case")]
/// enum Task {
///     RefreshUsage { organization_id: OrganizationId },
/// }
/// impl portolan_jobs::Task for Task {
///     type Cursor = u64;
/// }
/// ```
pub trait Task: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Where a step begins; its default at the start.
    type Cursor: Serialize + DeserializeOwned + Default + Clone + Send + Sync + 'static;

    /// Whether the arguments hold a secret: they are sealed for this job, and forgotten at its end. Needs
    /// [`Jobs::sealing`](crate::Jobs::sealing), and [`ARGUMENTS`](crate::ARGUMENTS) among the sealed columns of the service.
    fn is_secret(&self) -> bool {
        false
    }
}

/// Who sees a job beside the user who asked for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readers {
    /// Everyone of the account.
    #[default]
    Account,
    /// Who sees this collection.
    Collection(CollectionId),
    /// Who sees every collection: the job is about several, or about one that is not known yet.
    Unrestricted,
}

/// What a job is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// Of jobs that [`Jobs::ask`](crate::Jobs::ask) makes, one of a kind and name is active at a time.
    pub name: String,
    /// Who sees the job.
    pub readers: Readers,
    /// Who asked for it; nobody where the installation did.
    pub user_id: Option<UserId>,
}

impl Subject {
    /// The collection that it is about.
    pub fn collection_id(&self) -> Option<CollectionId> {
        match self.readers {
            Readers::Collection(id) => Some(id),
            Readers::Account | Readers::Unrestricted => None,
        }
    }
}

/// A job that a write makes once.
#[derive(Clone, Debug)]
pub struct NewJob<T> {
    /// The account that it works for.
    pub account_id: AccountId,
    /// Of [`new_id`].
    pub job_id: JobId,
    /// What is to be done.
    pub task: T,
    /// What it is about.
    pub subject: Subject,
    /// Names the write: repeated, it meets the job that it made before.
    pub key: String,
    /// What a worker must have, see [`Work::has`](crate::Work::has); empty when any worker can do it.
    pub needs: String,
    /// Bytes to be read; 0 when it reads none.
    pub bytes_total: i64,
}

/// An id for a job. Ids begin with their time, so their order is that of creation.
pub fn new_id() -> JobId {
    uuid::Uuid::now_v7().to_string().into()
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Waits for a worker, for the first time or for the next attempt.
    Pending,
    /// A worker has it.
    Running,
    /// It is done.
    Succeeded,
    /// It ended with an error that no repeat mends.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

impl State {
    const ALL: [Self; 5] = [Self::Pending, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// As the contract spells it.
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

/// A job as its readers see it. What cannot be read of it is left out: one row hides no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The account that it works for.
    pub account_id: AccountId,
    /// A UUID.
    pub job_id: JobId,
    /// The name of its task.
    pub kind: String,
    /// What it is about.
    pub subject: Subject,
    /// How far it is.
    pub state: State,
    /// The arguments with their kind; null when they are sealed or cannot be read.
    pub arguments: Value,
    /// Of the write that made it; empty for those of [`Jobs::ask`](crate::Jobs::ask).
    pub key: String,
    /// What a worker must have to do it; empty when any can.
    pub needs: String,
    /// How far the work is; null before the first step.
    pub cursor: Value,
    /// Items that its steps counted.
    pub done_items: i64,
    /// Of `bytes_total`.
    pub bytes_done: i64,
    /// 0 when it is not known.
    pub bytes_total: i64,
    /// What the last step said; null before, and where it said nothing.
    pub outcome: Value,
    /// Why the last attempt stopped, or why it failed; for the account to read.
    pub error: Option<String>,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds of the last change.
    pub updated_at: i64,
}

/// A job as the work on it sees it.
#[derive(Clone, Debug)]
pub struct Job<T: Task> {
    /// The account that it works for.
    pub account_id: AccountId,
    /// A UUID.
    pub job_id: JobId,
    /// What is to be done.
    pub task: T,
    /// What it is about.
    pub subject: Subject,
    /// Of the write that made it; empty for those of [`Jobs::ask`](crate::Jobs::ask).
    pub key: String,
    /// Where the next step begins.
    pub cursor: T::Cursor,
    /// Items that the steps before counted.
    pub done_items: i64,
    /// Unix seconds; the same at every attempt.
    pub created_at: i64,
}

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the text of each variant says what its fields are")]
pub enum Step<C> {
    /// The next step begins at the cursor.
    Next { cursor: C, done: i64 },
    /// Nothing is left.
    Over { done: i64, outcome: Value },
}
