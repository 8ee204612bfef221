#![allow(missing_docs, reason = "`default.toml` says what each key means")]

use portolan_runtime::{Config, Reader, process::BoxError};
use schemars::JsonSchema;
use serde::Deserialize;

/// What an operator configures of billing: the sections `billing` and `stigg`, key by key as `default.toml` documents
/// them.
#[derive(Clone, Debug)]
pub struct Options {
    pub billing: BillingOptions,
    pub stigg: StiggOptions,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderName {
    BuiltIn,
    Stigg,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
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
        let mut reader = config.reader();
        let options = Self { billing: reader.section("billing")?, stigg: reader.section("stigg")? };
        options.check(&mut reader);
        Ok(reader.finish(options)?)
    }

    fn check(&self, reader: &mut Reader<'_>) {
        let Self { billing, stigg } = self;
        if billing.provider == ProviderName::Stigg {
            for (key, value) in [("stigg.server_key", &stigg.server_key), ("stigg.signing_key", &stigg.signing_key)] {
                let problem = || format!("{key} is needed when billing.provider is `stigg`");
                reader.expect(!value.is_empty(), problem);
            }
            let is_url = ["http://", "https://"].iter().any(|scheme| stigg.url.starts_with(scheme));
            reader.expect(is_url, || "stigg.url must start with `http://` or `https://`".to_owned());
        }
        for (key, seconds) in [
            ("billing.refresh_s", billing.refresh_s),
            ("billing.stale_s", billing.stale_s),
            ("billing.report_s", billing.report_s),
        ] {
            let is_good = (1..=31_536_000).contains(&seconds);
            reader.expect(is_good, || format!("{key} must be a number of seconds from 1 to 31536000"));
        }
        reader.expect((1..=3_650).contains(&billing.event_window_days), || {
            "billing.event_window_days must be a number of days from 1 to 3650".to_owned()
        });
    }

    pub(crate) fn settings(&self) -> Settings {
        let BillingOptions { refresh_s, stale_s, report_s, event_window_days, email_domain_rule, .. } = self.billing;
        let event_window_s = event_window_days.saturating_mul(86_400);
        Settings { refresh_s, stale_s, report_s, event_window_s, email_domain_rule }
    }
}
