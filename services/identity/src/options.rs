#![allow(missing_docs, reason = "`default.toml` says what each key means")]

use std::path::PathBuf;

use portolan_fetch::Policy;
use portolan_runtime::{Config, Reader, is_http_base, is_http_url, options::RETENTION_DAYS_MAX, process::BoxError};
use schemars::JsonSchema;
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
    /// Calls of a vendor's account a minute, of the section `tokens`; 0 for any number.
    pub management_rate_limit: i64,
    data_dir: PathBuf,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentityOptions {
    pub open_signup: bool,
    pub invite_domains: String,
    pub ended_links_days: u32,
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminOptions {
    pub email: String,
    pub password: String,
}

#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MailOptions {
    pub smtp_url: String,
    pub from: String,
    pub public_url: String,
}

#[derive(Clone, Deserialize, JsonSchema)]
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

#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditOptions {
    pub heads_url: String,
    pub keep_days: u32,
    pub export_dir: String,
}

/// What is read of the section `tokens`.
#[derive(Deserialize)]
struct TokensOptions {
    management_rate_limit: i64,
}

/// What a provider must say of an address before it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
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
        let mut reader = config.reader();
        let options = Self {
            identity: reader.section("identity")?,
            admin: reader.section("admin")?,
            mail: reader.section("mail")?,
            oidc: reader.section("oidc")?,
            audit: reader.section("audit")?,
            fetch: config.fetch_policy()?,
            management_rate_limit: reader.section::<TokensOptions>("tokens")?.management_rate_limit,
            data_dir: config.data_dir.clone(),
        };
        options.check(&mut reader);
        Ok(reader.finish(options)?)
    }

    fn check(&self, reader: &mut Reader<'_>) {
        let Self { admin, mail, oidc, audit, .. } = self;
        for (key, url) in [
            ("mail.public_url", &mail.public_url),
            ("oidc.issuer", &oidc.issuer),
            ("audit.heads_url", &audit.heads_url),
        ] {
            // The value is not repeated: it may hold a password.
            let is_good = url.trim().is_empty() || is_http_url(url);
            reader.expect(is_good, || format!("{key} must be http://host or https://host"));
            // Browsers are sent to the first, and what stands behind the second is compared letter by letter.
            let is_base = key == "audit.heads_url" || url.trim().is_empty() || is_http_base(url);
            reader.expect(is_base, || format!("{key} must have no user, query, or fragment"));
        }
        let is_mailbox = mail.from.is_empty() || mail.from.parse::<lettre::message::Mailbox>().is_ok();
        reader.expect(is_mailbox, || "mail.from must be an address such as Portolan <portolan@example.org>".to_owned());
        let directory = self.audit_directory();
        reader.expect(!directory.exists() || directory.is_dir(), || {
            format!("audit.export_dir: {} is no directory", directory.display())
        });
        let scopes: Vec<_> = oidc.scopes.split_whitespace().collect();
        reader.expect(scopes.contains(&"openid"), || "oidc.scopes must hold `openid`".to_owned());
        reader.expect(oidc.client_id.is_empty() || !oidc.issuer.trim().is_empty(), || {
            "oidc.client_id needs oidc.issuer".to_owned()
        });
        for domain in self.invite_domains().iter().filter(|domain| *domain != "own") {
            let is_domain = domain.split('.').all(|label| !label.is_empty()) && domain.bytes().all(is_of_host);
            reader.expect(is_domain, || {
                format!("identity.invite_domains must hold names such as example.org, and `own`: not `{domain}`")
            });
        }
        let is_good = (1..=RETENTION_DAYS_MAX).contains(&self.identity.ended_links_days);
        reader.expect(is_good, || "identity.ended_links_days must be 1 to 36,500".to_owned());
        let problem = || "audit.keep_days must be 0 to 36,500".to_owned();
        reader.expect(audit.keep_days <= RETENTION_DAYS_MAX, problem);
        let parts = admin.email.split_once('@');
        let is_email = parts.is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
        reader.expect(is_email && !admin.email.contains(char::is_whitespace), || {
            format!("admin.email must be an address such as admin@example.org, not `{}`", admin.email)
        });
        let can_send = !mail.from.is_empty() && !mail.public_url.is_empty();
        reader.expect(mail.smtp_url.is_empty() || can_send, || {
            "mail.smtp_url needs mail.from and mail.public_url".to_owned()
        });
        let can_sign_on = !oidc.client_id.is_empty() && !mail.public_url.is_empty();
        reader.expect(oidc.issuer.trim().is_empty() || can_sign_on, || {
            "oidc.issuer needs oidc.client_id and mail.public_url".to_owned()
        });
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

/// Of the letters of a domain; one beyond ASCII is written as people do.
fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') || !byte.is_ascii()
}
