use portolan_runtime::{Config, process::BoxError};
use serde::Deserialize;

/// What an operator configures of billing: the sections `billing` and `stigg`, key by key as `default.toml` documents
/// them.
#[derive(Clone, Debug)]
pub struct Options {
    pub billing: BillingOptions,
    pub stigg: StiggOptions,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BillingOptions {
    pub provider: ProviderName,
    pub plans_file: String,
    pub refresh_s: i64,
    pub stale_s: i64,
    pub report_s: i64,
    pub event_window_days: i64,
    pub email_domain_rule: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderName {
    BuiltIn,
    Stigg,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StiggOptions {
    pub url: String,
    pub server_key: String,
    pub signing_key: String,
    pub first_plan_id: String,
    pub feature_ids: String,
}

/// Times and rules.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// For how long an answer of the provider is used without asking again.
    pub refresh_s: i64,
    /// For how long it is used while the provider does not answer.
    pub stale_s: i64,
    /// Between two reports to the provider.
    pub report_s: i64,
    /// Events from outside that are older are not taken, so that their keys need not be known for ever.
    pub event_window_s: i64,
    /// Whether users of the domain of an organization's administrator get its customer token.
    pub email_domain_rule: bool,
}

impl Options {
    /// # Errors
    /// Names the key and what is wrong with its value.
    pub fn read(config: &Config) -> Result<Self, BoxError> {
        Ok(Self { billing: config.section("billing")?, stigg: config.section("stigg")? })
    }

    pub(crate) fn settings(&self) -> Settings {
        let BillingOptions { refresh_s, stale_s, report_s, event_window_days, email_domain_rule, .. } = self.billing;
        let event_window_s = event_window_days.saturating_mul(86_400);
        Settings { refresh_s, stale_s, report_s, event_window_s, email_domain_rule }
    }
}
