#![allow(missing_docs, reason = "`default.toml` says what each key means")]

use http::HeaderValue;
use portolan_runtime::{Config, process::BoxError};
use serde::Deserialize;

use crate::deprecation::sunset;

/// What an operator configures of the gateway beside where it listens and whom it believes.
pub struct Options {
    /// Where people reach this installation; empty when it is not told.
    pub public_url: String,
    /// The value of the header `Sunset`.
    pub sunset: Option<HeaderValue>,
}

/// The key of `[mail]` that the gateway reads as well.
#[derive(Deserialize)]
struct Links {
    public_url: String,
}

impl Options {
    /// # Errors
    /// Names the key and what is wrong with its value.
    pub fn read(config: &Config) -> Result<Self, BoxError> {
        let Links { public_url } = config.section("mail")?;
        Ok(Self { public_url, sunset: sunset(&config.shared.http.sunset)? })
    }
}
