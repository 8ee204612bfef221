use portolan_store::Repeatable;

/// Why the log could not answer.
#[derive(Clone, Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the text of each variant says what its fields are")]
pub enum Error {
    /// The log's URL or topic cannot be used.
    #[error("log configuration: {0}")]
    Configuration(String),
    /// One message, or all messages of one call, exceed the limit.
    #[error("{what} of {bytes} bytes exceeds the limit of {bytes_max} bytes")]
    TooLarge { what: &'static str, bytes: usize, bytes_max: usize },
    /// The producer's name is empty, too long, or has a NUL character.
    #[error("the producer id must have 1 to 200 bytes and no NUL")]
    ProducerId,
    /// There is no partition of this number.
    #[error("there is no partition {0}")]
    Partition(i64),
    /// The records of a stored batch from `offset` up to `next_offset` cannot be read, however often it is tried.
    #[error("records {offset} to {} of partition {partition} cannot be read: {reason}", .next_offset - 1)]
    Damaged { partition: i64, offset: i64, next_offset: i64, reason: String },
    /// The broker does not answer, or refuses.
    #[error("broker: {0}")]
    Broker(String),
    /// The store did not answer or refused.
    #[error(transparent)]
    Store(#[from] portolan_store::Error),
}

impl Error {
    /// The same call may succeed later.
    pub fn transient(&self) -> bool {
        match self {
            Self::Store(error) => error.transient(),
            Self::Broker(_) => true,
            _ => false,
        }
    }
}

impl Repeatable for Error {
    /// Every write of the log is idempotent, so even a commit of unknown outcome is safe to repeat.
    fn repeatable(&self) -> bool {
        self.transient()
    }
}
