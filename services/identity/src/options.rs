use std::path::PathBuf;

use portolan_fetch::Policy;
use portolan_runtime::{Config, process::BoxError};
use serde::Deserialize;

/// What an operator configures of identity: the sections `identity`, `admin`, `mail`, `oidc` and `audit`, key by key as
/// `default.toml` documents them, and which addresses may be reached.
#[derive(Clone, Debug)]
pub struct Options {
    pub identity: IdentityOptions,
    pub admin: AdminOptions,
    pub mail: MailOptions,
    pub oidc: OidcOptions,
    pub audit: AuditOptions,
    pub fetch: Policy,
    data_dir: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityOptions {
    pub open_signup: bool,
    pub invite_domains: String,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminOptions {
    pub email: String,
    pub password: String,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailOptions {
    pub smtp_url: String,
    pub from: String,
    pub public_url: String,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcOptions {
    pub issuer: String,
    pub client_id: String,
    pub client_secret: String,
    pub scopes: String,
    pub algorithms: String,
    pub email_verified: EmailVerified,
    pub logout: bool,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditOptions {
    pub heads_url: String,
    pub keep_days: u32,
    pub export_dir: String,
}

/// What a provider must say of an address before it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmailVerified {
    /// That it is verified.
    Required,
    /// Nothing, or that it is verified.
    IfPresent,
    /// Whatever it says: every address of this provider is its own.
    TrustedProvider,
}

/// Without passwords, and without URLs that hold one.
macro_rules! named_only {
    ($($options:ident),+) => {
        $(impl std::fmt::Debug for $options {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($options)).finish_non_exhaustive()
            }
        })+
    };
}

named_only!(AdminOptions, MailOptions, OidcOptions, AuditOptions);

impl Options {
    /// # Errors
    /// Names the key and what is wrong with its value.
    pub fn read(config: &Config) -> Result<Self, BoxError> {
        Ok(Self {
            identity: config.section("identity")?,
            admin: config.section("admin")?,
            mail: config.section("mail")?,
            oidc: config.section("oidc")?,
            audit: config.section("audit")?,
            fetch: config.fetch_policy()?,
            data_dir: config.data_dir.clone(),
        })
    }

    /// Where months that leave the audit are written.
    pub fn audit_directory(&self) -> PathBuf {
        match self.audit.export_dir.trim() {
            "" => self.data_dir.join("audit"),
            directory => directory.into(),
        }
    }

    /// Whom push services may write to, as a URL.
    pub(crate) fn contact(&self) -> String {
        match self.mail.public_url.trim_end_matches('/') {
            "" => format!("mailto:{}", self.admin.email),
            url => url.to_owned(),
        }
    }

    /// In lower case.
    pub(crate) fn invite_domains(&self) -> Vec<String> {
        let domains = self.identity.invite_domains.split(',').map(|domain| domain.trim().to_lowercase());
        domains.filter(|domain| !domain.is_empty()).collect()
    }
}
