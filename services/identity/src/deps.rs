use std::path::PathBuf;

use portolan_api::{Error, Result};
use portolan_authz::{Cache, Grant};
use portolan_fetch::Fetch;
use portolan_limit::{Limits, Management};
use portolan_outbox::FailureLog;
use portolan_runtime::{Peers, Secrets};
use portolan_store::Db;

use crate::{
    audit::{self, AuditKeys, HeadReceiver},
    clock::Clock,
    mail::Mail,
    migrations::TABLES,
    model::known_keys::KnownKey,
    options::Options,
    passwords::Passwords,
    provider::Provider,
    signing::Signing,
    suspension::Suspended,
    web_push::WebPush,
};

/// What identity works with.
#[derive(Clone)]
pub struct Deps {
    /// The tables of the service.
    pub db: Db,
    /// The other services.
    pub peers: Peers,
    /// Seals what must be readable again.
    pub secrets: Secrets,
    /// Under which the audit is chained.
    pub audit: AuditKeys,
    /// Credentials that were refused, on their way into it.
    pub failures: FailureLog,
    /// For how many days the audit is kept in the database, 0 for ever, and where older months are written.
    pub(crate) audit_kept: (u32, PathBuf),
    /// Who gets signed heads of it, where somebody is configured.
    pub(crate) head_receiver: Option<HeadReceiver>,
    /// Through which changes of grants are announced; every reader of grants must share it, or it must be off.
    pub grants: Cache<Grant>,
    /// Owners of API keys, by digest of the key; the tokens service announces changes through it.
    pub keys: Cache<KnownKey>,
    /// Counts logins, resets and invitations; [`Deps::with_limits`] shares them with other replicas.
    pub limits: Limits,
    /// Calls of vendors.
    pub(crate) management: Management,
    /// What sessions, invitations and reset tokens end by.
    pub clock: Clock,
    pub(crate) passwords: Passwords,
    pub(crate) signing: Signing,
    pub(crate) mail: Mail,
    pub(crate) push: WebPush,
    /// Of single sign-on, where one is configured.
    pub(crate) provider: Option<Provider>,
    pub(crate) open_signup: bool,
    /// The e-mail domains that may be invited; empty for every one.
    pub(crate) invite_domains: Vec<String>,
    /// For how long invitations and links to reset a password are kept after they have ended.
    pub(crate) ended_links_s: i64,
    pub(crate) suspended: Suspended,
}

impl Deps {
    /// Migrates the tables and makes the first keys.
    ///
    /// # Errors
    /// When the store cannot be reached or migrated, or the configuration cannot be used.
    pub async fn open(
        db: Db,
        peers: Peers,
        secrets: Secrets,
        grants: Cache<Grant>,
        keys: Cache<KnownKey>,
        options: &Options,
    ) -> Result<Self> {
        db.migrate_tables(&TABLES).await?;
        let signing = Signing::open(&db, &secrets).await?;
        let fetch = Fetch::new(options.fetch.clone());
        let allow_http = options.fetch.allow_private;
        let push = WebPush::open(&db, &secrets, fetch.clone(), options.contact(), allow_http).await?;
        let heads_url = options.audit.heads_url.trim();
        Ok(Self {
            failures: FailureLog::new(db.clone()),
            audit_kept: (options.audit.keep_days, options.audit_directory()),
            head_receiver: (!heads_url.is_empty()).then(|| HeadReceiver::new(fetch.clone(), heads_url)),
            limits: Limits::in_table(&db).await?,
            management: Management::unlimited(),
            clock: Clock::default(),
            invite_domains: options.invite_domains(),
            ended_links_s: i64::from(options.identity.ended_links_days) * 86_400,
            passwords: Passwords::default(),
            signing,
            mail: Mail::open(&options.mail).map_err(Error::internal)?,
            push,
            provider: Provider::open(options, &fetch).map_err(Error::internal)?,
            open_signup: options.identity.open_signup,
            suspended: Suspended::read(&db).await?,
            audit: audit::open(&db, &secrets).await?,
            db,
            peers,
            secrets,
            grants,
            keys,
        })
    }

    /// How many password hashes this process has computed. What an answer costs tells nothing of an account as long as
    /// this grows alike for accounts that exist and ones that do not.
    pub fn password_hashes(&self) -> u64 {
        self.passwords.computed()
    }

    /// Judges the ends of sessions, invitations and reset tokens by another clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Counts the calls of vendors.
    #[must_use]
    pub fn counting(self, management: Management) -> Self {
        Self { management, ..self }
    }

    /// Counts in `limits` instead of in a table of identity.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }
}
