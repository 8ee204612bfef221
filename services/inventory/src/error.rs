use portolan_api::Reason;
use portolan_store::Repeatable;

/// Why the inventory could not answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The request is refused; the reason is public.
    #[error(transparent)]
    Refused(#[from] portolan_api::Error),
    /// The store did not answer or refused.
    #[error(transparent)]
    Store(#[from] portolan_store::Error),
    /// The log did not answer or refused.
    #[error(transparent)]
    Log(#[from] portolan_log::Error),
    /// Stored JSON cannot be read, or a task of this process ended without an answer.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// The public reason, when the request was refused.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Refused(error) => Some(error.reason()),
            _ => None,
        }
    }

    /// Whether the same write fails again, whatever the store and the log do meanwhile.
    pub(crate) fn is_lasting(&self) -> bool {
        match self {
            Self::Store(error) => !error.transient(),
            Self::Log(error) => !error.transient(),
            Self::Refused(_) | Self::Internal(_) => true,
        }
    }
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason.into())
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(format!("stored JSON cannot be read: {error}"))
    }
}

impl Repeatable for Error {
    fn repeatable(&self) -> bool {
        match self {
            Self::Store(error) => error.repeatable(),
            Self::Log(error) => error.repeatable(),
            Self::Refused(_) | Self::Internal(_) => false,
        }
    }
}

impl From<Error> for portolan_api::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(error) => error,
            Error::Store(error) if error.transient() => Self::unavailable(error),
            Error::Log(error) if error.transient() => Self::unavailable(error),
            other => Self::internal(other),
        }
    }
}
