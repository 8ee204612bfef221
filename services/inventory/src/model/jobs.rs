/// One piece of durable work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub account_id: i64,
    pub job_id: String,
    pub kind: JobKind,
    pub state: JobState,
    /// [`NO_COLLECTION`] when it is about the account.
    pub collection_id: i32,
    /// Where the next step begins, in the words of the kind; empty at the start.
    pub place: String,
    pub done_items: i64,
    pub error: Option<String>,
    /// Attempts since the last step, with the one under way.
    pub attempts: i64,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds.
    pub updated_at: i64,
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    DeleteCollection,
    RedactCollection,
    ComputeGroups,
    ApplyAccessTypes,
    ResetCollectionAccessTypes,
}

impl JobKind {
    const ALL: [Self; 5] = [
        Self::DeleteCollection,
        Self::RedactCollection,
        Self::ComputeGroups,
        Self::ApplyAccessTypes,
        Self::ResetCollectionAccessTypes,
    ];

    /// As stored.
    pub fn name(self) -> &'static str {
        match self {
            Self::DeleteCollection => "DELETE_COLLECTION",
            Self::RedactCollection => "REDACT_COLLECTION",
            Self::ComputeGroups => "COMPUTE_GROUPS",
            Self::ApplyAccessTypes => "APPLY_ACCESS_TYPES",
            Self::ResetCollectionAccessTypes => "RESET_COLLECTION_ACCESS_TYPES",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    Pending,
    Running,
    Succeeded,
    Failed,
}

impl JobState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Pending, Self::Running, Self::Succeeded, Self::Failed].into_iter().find(|state| state.name() == name)
    }
}

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The next step begins here.
    To { place: String, done: i64 },
    /// Nothing is left.
    Over { done: i64 },
}
