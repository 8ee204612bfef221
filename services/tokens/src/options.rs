#![allow(missing_docs, reason = "`default.toml` says what each key means")]

use portolan_runtime::{Config, is_http_url, process::BoxError};
use schemars::JsonSchema;
use serde::Deserialize;

/// What an operator configures of tokens: the sections `tokens` and `edge`, key by key as `default.toml` documents them.
#[derive(Clone, Debug)]
pub struct Options {
    pub tokens: TokensOptions,
    pub edge: EdgeOptions,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokensOptions {
    pub organization_rate_limit: i64,
    pub management_rate_limit: i64,
    pub show_jwt_secret: bool,
    pub slack_urls: String,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EdgeOptions {
    pub token: String,
    pub hosts: String,
    pub allow_unknown: bool,
    pub limits: String,
    pub policies: String,
    pub trusted_proxies: String,
    pub trusted_proxy_hops: u32,
    pub leeway_s: u64,
    pub require_exp: bool,
    pub poll_ms: u64,
    pub profiles_age_max_ms: u64,
    pub endpoints_age_max_ms: u64,
    pub jwks_lifetime_max_s: u64,
    pub jwks_refetch_min_s: u64,
    pub jwks_outage_max_s: u64,
}

/// Limits and rules.
#[derive(Clone, Debug)]
pub struct TokenRules {
    /// Requests a minute of an organization token.
    pub organization_rate_limit: i64,
    /// Whether answers about access profiles show HMAC secrets.
    pub show_jwt_secret: bool,
    /// How the addresses of Slack webhooks begin.
    pub slack_urls: Vec<String>,
}

impl Options {
    /// # Errors
    /// Names the key and what is wrong with its value.
    pub fn read(config: &Config) -> Result<Self, BoxError> {
        let mut reader = config.reader();
        let options = Self { tokens: reader.section("tokens")?, edge: reader.section("edge")? };
        reader.expect(options.tokens.organization_rate_limit > 0, || {
            "tokens.organization_rate_limit must be a whole number above 0".to_owned()
        });
        reader.expect(options.tokens.management_rate_limit >= 0, || {
            "tokens.management_rate_limit must be a whole number, 0 or more".to_owned()
        });
        let token = options.edge.token.as_str();
        let is_sent = token.trim() == token && token.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        reader.expect(is_sent, || {
            "edge.token must hold visible ASCII characters, with spaces between them at most, as a header does"
                .to_owned()
        });
        for prefix in options.rules().slack_urls {
            let is_url = is_http_url(&prefix);
            reader.expect(is_url, || format!("tokens.slack_urls must begin with http(s)://host, not `{prefix}`"));
        }
        Ok(reader.finish(options)?)
    }

    pub(crate) fn rules(&self) -> TokenRules {
        let TokensOptions { organization_rate_limit, show_jwt_secret, slack_urls, .. } = self.tokens.clone();
        let slack_urls = slack_urls.split(',').map(str::trim).filter(|prefix| !prefix.is_empty());
        let slack_urls = slack_urls.map(str::to_owned).collect();
        TokenRules { organization_rate_limit, show_jwt_secret, slack_urls }
    }
}
