use portolan_api::Reason;
use portolan_store::Repeatable;

/// When to come back: an import is read in seconds to minutes.
const RETRY_AFTER_SECONDS: u32 = 30;

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
    /// Whoever has the job must go on with it, or nobody.
    #[error(transparent)]
    Job(#[from] portolan_jobs::Error),
}

impl Error {
    /// The same work may succeed later.
    pub fn transient(&self) -> bool {
        match self {
            Self::Refused(error) => [Reason::Unavailable, Reason::BillingProviderUnavailable].contains(&error.reason()),
            Self::Store(error) => error.transient(),
            Self::Log(error) => error.transient(),
            Self::Spool(error) => error.kind() == std::io::ErrorKind::StorageFull,
            Self::Converter(_) | Self::Job(_) => false,
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
            Self::Spool(error) if error.kind() == std::io::ErrorKind::StorageFull => Reason::SpoolFull.into(),
            Self::Spool(error) if error.kind() == std::io::ErrorKind::QuotaExceeded => {
                let error = portolan_api::Error::new(Reason::SpoolShareExceeded).with("limit", error);
                error.with("retry_after_seconds", RETRY_AFTER_SECONDS)
            }
            other if other.transient() => portolan_api::Error::unavailable(other),
            other => portolan_api::Error::internal(other),
        }
    }
}

impl From<Error> for portolan_jobs::Error {
    fn from(error: Error) -> Self {
        if let Some(reason) = error.over_limit() {
            return Self::Never(reason);
        }
        match error {
            Error::Job(error) => error,
            Error::Store(error) => Self::Store(error),
            other if other.transient() => Self::Later(other.into_public()),
            other => {
                tracing::error!(error = %other, "a job cannot be done");
                Self::Never(portolan_api::Error::internal(other).text())
            }
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
        match self {
            Self::Store(error) => error.repeatable(),
            Self::Job(error) => error.repeatable(),
            _ => false,
        }
    }
}
