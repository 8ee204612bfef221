#![allow(missing_docs, reason = "`default.toml` says what each key means")]

use portolan_runtime::{Config, process::BoxError};
use serde::Deserialize;

/// What an operator configures of the inventory: the section `inventory`, key by key as `default.toml` documents it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Days for which calls are counted by minute.
    pub call_stats_days: u32,
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
