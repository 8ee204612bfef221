#![allow(missing_docs, reason = "`default.toml` says what each key means")]

use portolan_runtime::{
    Config, Reader, is_http_url,
    options::{RETENTION_DAYS_MAX, kept_s},
    process::BoxError,
};
use schemars::JsonSchema;
use serde::Deserialize;

const DAY_S: i64 = 86_400;

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
    pub usage_hours_days: u32,
    pub usage_days_days: u32,
    pub agents_days: u32,
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
pub struct BillingRules {
    /// For how long an answer of the provider is used without asking again.
    pub refresh_s: i64,
    /// For how long it is used while the provider does not answer.
    pub stale_s: i64,
    /// Between two reports to the provider.
    pub report_s: i64,
    /// Events from outside that are older are not taken, so that their keys need not be known for ever.
    pub event_window_s: i64,
    /// For how long sums by the hour are kept, and by the day.
    pub hours_s: i64,
    pub days_s: i64,
    /// For how long queries to agents are known by their ids, and an agent on a device without a query by its analysis.
    pub agents_s: i64,
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
        }
        reader.expect(is_http_url(&stigg.url), || "stigg.url must be http://host or https://host".to_owned());
        let pairs = stigg.feature_ids.split(',').map(str::trim).filter(|pair| !pair.is_empty());
        for pair in pairs {
            let is_pair = pair.split_once('=').is_some_and(|(feature, id)| !feature.is_empty() && !id.is_empty());
            reader.expect(is_pair, || format!("stigg.feature_ids must hold FEATURE=ID, not `{pair}`"));
        }
        for (key, seconds) in [
            ("billing.refresh_s", billing.refresh_s),
            ("billing.stale_s", billing.stale_s),
            ("billing.report_s", billing.report_s),
        ] {
            let is_good = (1..=31_536_000).contains(&seconds);
            reader.expect(is_good, || format!("{key} must be a number of seconds from 1 to 31536000"));
        }
        reader.expect(billing.stale_s >= billing.refresh_s, || {
            "billing.stale_s must be at least billing.refresh_s".to_owned()
        });
        reader.expect((1..=3_650).contains(&billing.event_window_days), || {
            "billing.event_window_days must be a number of days from 1 to 3650".to_owned()
        });
        for (key, days) in [
            ("billing.usage_hours_days", billing.usage_hours_days),
            ("billing.usage_days_days", billing.usage_days_days),
            ("billing.agents_days", billing.agents_days),
        ] {
            reader.expect(days <= RETENTION_DAYS_MAX, || format!("{key} must be 0 to 36,500"));
        }
    }

    pub(crate) fn rules(&self) -> BillingRules {
        let BillingOptions { refresh_s, stale_s, report_s, event_window_days, email_domain_rule, .. } = self.billing;
        let event_window_s = event_window_days.saturating_mul(DAY_S);
        // An event that is still taken must not begin anew a window whose other events are forgotten.
        let hours_s = kept_s(self.billing.usage_hours_days).max(event_window_s + DAY_S);
        let days_s = kept_s(self.billing.usage_days_days).max(event_window_s + DAY_S);
        let agents_s = kept_s(self.billing.agents_days);
        BillingRules { refresh_s, stale_s, report_s, event_window_s, hours_s, days_s, agents_s, email_domain_rule }
    }
}
