#![allow(missing_docs, reason = "`default.toml` says what each key means")]

use portolan_runtime::{Config, options::RETENTION_DAYS_MAX, process::BoxError};
use serde::Deserialize;

/// What an operator configures of the inventory: the section `inventory`, key by key as `default.toml` documents it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Days for which calls are counted by minute.
    pub call_stats_days: u32,
    /// Days for which issues that are not open are kept.
    pub closed_issues_days: u32,
    /// Days for which samples are kept.
    pub samples_days: u32,
    /// Memory for the URLs of one collection.
    pub urls_bytes_max: usize,
    /// Calls of a vendor's account a minute, of the section `tokens`; 0 for any number.
    #[serde(skip)]
    pub management_rate_limit: i64,
}

/// What is read of the section `tokens`.
#[derive(Deserialize)]
struct TokensOptions {
    management_rate_limit: i64,
}

impl Options {
    /// # Errors
    /// Names the key and what is wrong with its value.
    pub fn read(config: &Config) -> Result<Self, BoxError> {
        let mut reader = config.reader();
        let tokens: TokensOptions = reader.section("tokens")?;
        let management_rate_limit = tokens.management_rate_limit;
        let options = Self { management_rate_limit, ..reader.section("inventory")? };
        reader.expect((1..=RETENTION_DAYS_MAX).contains(&options.call_stats_days), || {
            "inventory.call_stats_days must be 1 to 36,500".to_owned()
        });
        for (key, days) in [
            ("inventory.closed_issues_days", options.closed_issues_days),
            ("inventory.samples_days", options.samples_days),
        ] {
            reader.expect(days <= RETENTION_DAYS_MAX, || format!("{key} must be 0 to 36,500"));
        }
        reader.expect(options.urls_bytes_max > 0, || "inventory.urls_bytes_max must be at least 1".to_owned());
        Ok(reader.finish(options)?)
    }
}
