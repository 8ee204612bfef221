use portolan_runtime::{Config, process::BoxError};
use serde::Deserialize;

/// What an operator configures of the inventory: the section `inventory`, key by key as `default.toml` documents it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Days for which calls are counted by minute.
    pub call_stats_days: u32,
}

/// The log of ingest records, which the inventory shares with imports. Its other keys are part of the URL by the time
/// it is read.
#[derive(Clone, Debug, Deserialize)]
pub struct LogOptions {
    pub url: String,
    pub topic: String,
}

impl Options {
    /// # Errors
    /// Names the key and what is wrong with its value.
    pub fn read(config: &Config) -> Result<Self, BoxError> {
        Ok(config.section("inventory")?)
    }
}

impl LogOptions {
    /// # Errors
    /// Names the key and what is wrong with its value.
    pub fn read(config: &Config) -> Result<Self, BoxError> {
        Ok(config.section("log")?)
    }
}
