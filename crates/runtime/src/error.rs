/// Whatever keeps a process from its work, worded for its operator.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
