#![allow(missing_docs, reason = "`default.toml` says what each key means")]

use portolan_runtime::{Config, is_http_url, options::RETENTION_DAYS_MAX, process::BoxError};
use schemars::JsonSchema;
use serde::Deserialize;

/// What an operator configures of imports: the sections `imports` and `postman`, key by key as `default.toml` documents
/// them.
#[derive(Clone, Debug)]
pub struct Options {
    pub imports: ImportsOptions,
    pub postman: PostmanOptions,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportsOptions {
    /// Days after which ended jobs and reviewed uploads are removed.
    pub retention_days: u32,
    /// What files of one account may take of the spool before they are read.
    pub spool_bytes_share: u64,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostmanOptions {
    /// Where the Postman API stands.
    pub url: String,
}

impl Options {
    /// # Errors
    /// Names the key and what is wrong with its value.
    pub fn read(config: &Config) -> Result<Self, BoxError> {
        let mut reader = config.reader();
        let options = Self { imports: reader.section("imports")?, postman: reader.section("postman")? };
        reader.expect((1..=RETENTION_DAYS_MAX).contains(&options.imports.retention_days), || {
            "imports.retention_days must be 1 to 36,500".to_owned()
        });
        reader.expect(options.imports.spool_bytes_share > 0, || {
            "imports.spool_bytes_share must be at least 1: nothing could be uploaded".to_owned()
        });
        reader
            .expect(is_http_url(&options.postman.url), || "postman.url must be http://host or https://host".to_owned());
        Ok(reader.finish(options)?)
    }
}
