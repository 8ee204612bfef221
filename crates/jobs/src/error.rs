use std::time::Duration;

/// Why a step was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The store did not answer or refused.
    #[error(transparent)]
    Store(#[from] portolan_store::Error),
    /// It may go better later. The account reads the public text, the log has the cause.
    #[error(transparent)]
    Later(#[from] portolan_api::Error),
    /// It will never go: the job ends as failed. The account reads the text.
    #[error("{0}")]
    Never(String),
    /// Another worker has the job, or it was cancelled: nothing is written.
    #[error("the lease of the job is lost")]
    Lost,
    /// The process ends: the attempt counts for nothing.
    #[error("the process is ending")]
    Stopping,
    /// A step ended by a panic, with its message.
    #[error("the work panicked: {0}")]
    Panicked(String),
    /// There was no sign of life for so long.
    #[error("the work did not go on for {0:?}")]
    Stalled(Duration),
}

impl Error {
    /// What the account may know. A panic may quote what it met, so its text stays in the log.
    pub fn public_text(&self) -> String {
        match self {
            Self::Store(error) if error.transient() => portolan_api::Error::unavailable(error).text(),
            Self::Store(error) => portolan_api::Error::internal(error).text(),
            Self::Later(error) => error.text(),
            Self::Panicked(_) => "Internal error: the work panicked".to_owned(),
            Self::Never(_) | Self::Lost | Self::Stopping => self.to_string(),
            Self::Stalled(_) => format!("Internal error: {self}"),
        }
    }
}

impl portolan_store::Repeatable for Error {
    fn repeatable(&self) -> bool {
        matches!(self, Self::Store(error) if error.repeatable())
    }
}
