//! The sections of the configuration that processes share, key by key as `default.toml` documents them. What a service
//! alone reads is a struct of that service.

#![allow(missing_docs, reason = "`default.toml` says what each key means")]

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;

/// Every shared section.
#[derive(Clone)]
pub struct Shared {
    pub store: StoreOptions,
    pub cache: CacheOptions,
    pub log: LogOptions,
    pub http: HttpOptions,
    pub grpc: GrpcOptions,
    pub secrets: SecretsOptions,
    pub telemetry: TelemetryOptions,
    pub drain: DrainOptions,
    pub metrics: MetricsOptions,
    pub tls: TlsOptions,
    pub peers: PeersOptions,
    pub retention: RetentionOptions,
    pub fetch: FetchOptions,
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreOptions {
    pub url: String,
    pub ca: String,
    pub cert: String,
    pub key: String,
    #[schemars(range(min = 2, max = 1000))]
    pub connections: u32,
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheOptions {
    pub url: String,
    pub ca: String,
    pub cert: String,
    pub key: String,
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogOptions {
    /// Completed by the other keys of the section.
    pub url: String,
    pub tls: bool,
    pub ca: String,
    pub cert: String,
    pub key: String,
    pub sasl: String,
    pub user: String,
    pub password: String,
    pub topic: String,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpOptions {
    pub addr: String,
    pub tls: bool,
    pub trusted_proxies: String,
    #[schemars(range(max = 16))]
    pub trusted_proxy_hops: u32,
    pub client_address_header: String,
    pub sunset: String,
    pub bodies_bytes_max: usize,
    pub bodies_bytes_share: usize,
}

impl HttpOptions {
    /// By which HTTP is spoken: `https` where the gateway has certificates.
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrpcOptions {
    pub addr: String,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretsOptions {
    pub key_file: String,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TelemetryOptions {
    pub log: LogForm,
    pub access_log: AccessLog,
    pub access_log_every: NonZeroU32,
    pub otlp_endpoint: String,
}

/// How lines of the log are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogForm {
    Text,
    Json,
}

/// Which requests leave a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AccessLog {
    Off,
    Sampled,
    Full,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DrainOptions {
    #[schemars(range(max = 5000))]
    pub delay_ms: u64,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricsOptions {
    pub addr: String,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsOptions {
    pub cert: String,
    pub key: String,
    pub ca: String,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PeersOptions {
    pub identity: String,
    pub tokens: String,
    pub inventory: String,
    pub imports: String,
    pub billing: String,
}

/// Days for which what was refused is kept; 0 for ever.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetentionOptions {
    #[schemars(range(max = 36_500))]
    pub rejected_records_days: u32,
    #[schemars(range(max = 36_500))]
    pub refused_events_days: u32,
}

/// Most days that anything is kept for.
pub const RETENTION_DAYS_MAX: u32 = 36_500;

/// How long something is kept, in seconds, by an option in days where 0 stands for ever.
pub fn kept_s(days: u32) -> i64 {
    if days == 0 { i64::MAX } else { i64::from(days) * 86_400 }
}

impl PeersOptions {
    /// Without addresses of these services, which run in the process itself.
    pub fn forget(&mut self, services: &[&str]) {
        let Self { identity, tokens, inventory, imports, billing } = self;
        for (service, address) in [
            ("identity", identity),
            ("tokens", tokens),
            ("inventory", inventory),
            ("imports", imports),
            ("billing", billing),
        ] {
            if services.contains(&service) {
                address.clear();
            }
        }
    }

    /// The addresses of each service, by its name.
    pub fn each(&self) -> [(&'static str, &str); 5] {
        let Self { identity, tokens, inventory, imports, billing } = self;
        [
            ("identity", identity),
            ("tokens", tokens),
            ("inventory", inventory),
            ("imports", imports),
            ("billing", billing),
        ]
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FetchOptions {
    pub allow_private: bool,
    pub allow_hosts: String,
}
