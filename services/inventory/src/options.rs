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

/// The front door of the installation, whose proxies are those of the captures that come through it.
#[derive(Clone, Debug, Deserialize)]
pub struct HttpOptions {
    /// Addresses and ranges, separated by commas.
    pub trusted_proxies: String,
}

/// Most days of `call_stats_days`.
const CALL_STATS_DAYS_MAX: u32 = 36_500;

impl Options {
    /// # Errors
    /// Names the key and what is wrong with its value.
    pub fn read(config: &Config) -> Result<Self, BoxError> {
        let mut reader = config.reader();
        let options: Self = reader.section("inventory")?;
        reader.expect((1..=CALL_STATS_DAYS_MAX).contains(&options.call_stats_days), || {
            "inventory.call_stats_days must be 1 to 36,500".to_owned()
        });
        Ok(reader.finish(options)?)
    }
}

impl HttpOptions {
    /// # Errors
    /// Names the key and what is wrong with its value.
    pub fn read(config: &Config) -> Result<Self, BoxError> {
        Ok(config.section("http")?)
    }
}

impl LogOptions {
    /// # Errors
    /// Names the key and what is wrong with its value.
    pub fn read(config: &Config) -> Result<Self, BoxError> {
        Ok(config.section("log")?)
    }
}
