use portolan_api::Reason;
use portolan_store::Repeatable;

/// Why an import could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is wrong, or another service refused it. The text is meant for the caller.
    #[error(transparent)]
    Refused(#[from] portolan_api::Error),
    #[error(transparent)]
    Store(#[from] portolan_store::Error),
    #[error(transparent)]
    Log(#[from] portolan_log::Error),
    /// The spool directory cannot be used.
    #[error("spool: {0}")]
    Spool(#[from] std::io::Error),
    /// A thread that converts ended without an answer.
    #[error("the converter ended early: {0}")]
    Converter(#[from] tokio::task::JoinError),
    #[error("the work panicked: {0}")]
    Panicked(String),
    /// Nothing has gone on for this long.
    #[error("the work did not go on for {0:?}")]
    Stalled(std::time::Duration),
    /// Another runner has taken over the job.
    #[error("the lease of the job is lost")]
    LeaseLost,
    /// The process ends; the job goes on after the next start.
    #[error("the process is ending")]
    Stopping,
}

impl Error {
    /// The same work may succeed later.
    pub fn transient(&self) -> bool {
        match self {
            Self::Refused(error) => [Reason::Unavailable, Reason::BillingProviderUnavailable].contains(&error.reason()),
            Self::Store(error) => error.transient(),
            Self::Log(error) => error.transient(),
            Self::Spool(error) => error.kind() == std::io::ErrorKind::StorageFull,
            Self::Stopping | Self::Stalled(_) => true,
            Self::Converter(_) | Self::Panicked(_) | Self::LeaseLost => false,
        }
    }

    /// The plan of the account does not allow the work; the text is for the person who asked for it.
    pub fn over_limit(&self) -> Option<String> {
        match self {
            Self::Refused(error) => {
                let is_limit = [Reason::FeatureLimitExceeded, Reason::FeatureNotInPlan].contains(&error.reason());
                is_limit.then(|| error.text())
            }
            _ => None,
        }
    }

    /// What a caller may know.
    pub fn into_public(self) -> portolan_api::Error {
        match self {
            Self::Refused(error) => error,
            other if other.transient() => portolan_api::Error::unavailable(other),
            other => portolan_api::Error::internal(other),
        }
    }
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason.into())
    }
}

impl Repeatable for Error {
    fn repeatable(&self) -> bool {
        matches!(self, Self::Store(error) if error.repeatable())
    }
}
