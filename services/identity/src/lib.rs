//! Identity: organisations, their accounts, users, sessions, and the role each user holds in each account.
//!
//! Tables: `organizations`, `accounts` (customer workspaces among them), `account_settings`, `users`,
//! `user_identities`, `memberships`, `custom_roles`, `invitations`, `password_resets`, `sessions`, `oidc_logins`,
//! `push_devices`, `push_messages`, `audit_events`, `audit_heads`, `signing_keys`, `installation_keys`.
//! It asks the tokens service for the owner of an API key, and inventory which collections an account has.
//!
//! # Invariants
//! - A caller token is signed here and nowhere else, for 60 s, and carries no role.
//! - A user without a membership in an account has no access to it; a role that cannot be resolved is NO_ACCESS.
//! - Sessions and access tokens are stored as digests; passwords as Argon2id.
//! - Events of the audit are appended to, never changed; each holds the hash of the one before it.
//! - Every change of a membership or a role is announced to the cache of grants before its transaction commits, and
//!   stands in the audit by that same transaction.
//! - Changes of one account's roles and members hold the account's row lock: names, the single default and the last
//!   ADMIN are decided one change after the other.
//!
//! Start reading at [`authentication`] for the edge, at [`grants`] for roles.

pub mod accounts;
pub mod audit;
pub mod authentication;
mod bootstrap;
mod clock;
mod departures;
pub mod grants;
mod history;
pub mod invitations;
pub mod mail;
pub mod managed_users;
pub mod members;
pub mod oidc;
pub mod operator;
pub mod organizations;
mod passwords;
pub mod push;
pub mod resets;
pub mod roles;
mod rpc;
pub mod sessions;
pub mod settings;
mod signing;
pub mod signup;
mod store;
mod suspension;
pub mod tenants;
mod throttle;
pub mod users;

use portolan_api::{
    Error,
    identity::v1::{
        accounts_service_server::AccountsServiceServer, audit_log_service_server::AuditLogServiceServer,
        audit_service_server::AuditServiceServer, collection_lists_service_server::CollectionListsServiceServer,
        directory_service_server::DirectoryServiceServer, identity_service_server::IdentityServiceServer,
        identity_usage_service_server::IdentityUsageServiceServer,
        managed_users_service_server::ManagedUsersServiceServer,
        notifications_service_server::NotificationsServiceServer, roles_service_server::RolesServiceServer,
        signup_service_server::SignupServiceServer, team_service_server::TeamServiceServer,
        tenants_service_server::TenantsServiceServer,
    },
};
use portolan_authz::{Cache, Grant};
use portolan_fetch::Fetch;
use portolan_limit::Limits;
use portolan_runtime::{Config, Peers, Secrets, now_s};
use portolan_store::{Db, Migration, Migrations};
use tonic::service::Routes;

pub use authentication::KnownKey;
pub use bootstrap::{FirstStart, first_start};
pub use clock::Clock;

pub const MIGRATIONS: Migrations = Migrations {
    service: "identity",
    steps: &[
        Migration {
            version: 1,
            name: "identity",
            sqlite: include_str!("../migrations/sqlite/0001_identity.sql"),
            postgres: include_str!("../migrations/postgres/0001_identity.sql"),
        },
        Migration {
            version: 2,
            name: "access",
            sqlite: include_str!("../migrations/sqlite/0002_access.sql"),
            postgres: include_str!("../migrations/postgres/0002_access.sql"),
        },
        Migration {
            version: 3,
            name: "audit",
            sqlite: include_str!("../migrations/sqlite/0003_audit.sql"),
            postgres: include_str!("../migrations/postgres/0003_audit.sql"),
        },
        Migration {
            version: 30,
            name: "usage",
            sqlite: include_str!("../migrations/sqlite/0030_usage.sql"),
            postgres: include_str!("../migrations/postgres/0030_usage.sql"),
        },
        Migration {
            version: 31,
            name: "emptied_lists",
            sqlite: include_str!("../migrations/sqlite/0031_emptied_lists.sql"),
            postgres: include_str!("../migrations/postgres/0031_emptied_lists.sql"),
        },
        Migration {
            version: 65,
            name: "administrators",
            sqlite: include_str!("../migrations/sqlite/0065_administrators.sql"),
            postgres: include_str!("../migrations/postgres/0065_administrators.sql"),
        },
        Migration {
            version: 70,
            name: "tenant_states",
            sqlite: include_str!("../migrations/sqlite/0070_tenant_states.sql"),
            postgres: include_str!("../migrations/postgres/0070_tenant_states.sql"),
        },
    ],
};

/// The proto package whose services are served here.
pub const PACKAGE: &str = "portolan.identity.v1";

/// What identity works with.
#[derive(Clone)]
pub struct Deps {
    pub db: Db,
    pub peers: Peers,
    pub secrets: Secrets,
    /// Through which changes of grants are announced; every reader of grants must share it, or it must be off.
    pub grants: Cache<Grant>,
    /// Owners of API keys, by digest of the key; the tokens service announces changes through it.
    pub keys: Cache<KnownKey>,
    /// Counts logins, resets and invitations; [`Deps::with_limits`] shares them with other replicas.
    pub limits: Limits,
    /// What sessions, invitations and reset tokens end by.
    pub clock: Clock,
    passwords: passwords::Passwords,
    signing: signing::Signing,
    mail: mail::Mail,
    push: push::Push,
    oidc: Option<oidc::Oidc>,
    open_signup: bool,
    /// The e-mail domains that may be invited; empty for every one.
    invite_domains: Vec<String>,
    suspended: suspension::Suspended,
}

/// Brings the tables of the service, and those of the libraries beside them, to this version.
///
/// # Errors
/// When the store cannot be reached or migrated.
pub async fn migrate(db: &Db) -> Result<(), Error> {
    portolan_meter::open(db).await?;
    portolan_outbox::open(db).await?;
    db.migrate(&MIGRATIONS).await?;
    Limits::in_table(db).await?;
    Ok(())
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
        config: &Config,
    ) -> Result<Self, Error> {
        migrate(&db).await?;
        let signing = signing::Signing::open(&db, &secrets).await?;
        let fetch = Fetch::new(config.fetch_policy().map_err(Error::internal)?);
        let mail = mail::Mail::from_config(config).map_err(Error::internal)?;
        let contact = match mail.public_url() {
            "" => format!("mailto:{}", config.get("admin.email")),
            url => url.to_owned(),
        };
        let allow_http = config.flag("fetch.allow_private");
        let push = push::Push::open(&db, &secrets, fetch.clone(), contact, allow_http).await?;
        let limits = Limits::in_table(&db).await?;
        Ok(Self {
            limits,
            clock: Clock::default(),
            invite_domains: invitations::domains(config.get("identity.invite_domains")),
            passwords: passwords::Passwords::default(),
            signing,
            mail,
            push,
            oidc: oidc::Oidc::from_config(config, &fetch).map_err(Error::internal)?,
            open_signup: config.flag("identity.open_signup"),
            suspended: suspension::Suspended::read(&db).await?,
            db,
            peers,
            secrets,
            grants,
            keys,
        })
    }

    /// Starts what goes on in the background: push messages, the watch over organisations, the end of old sessions.
    /// It stops with the process; every step is safe to cut off.
    pub fn start(&self) {
        tokio::spawn(push::deliver(self.clone()));
        tokio::spawn(suspension::watch(self.clone()));
        tokio::spawn(sessions::sweep(self.clone()));
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

    /// Counts in `limits` instead of in a table of identity.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }
}

/// The service without its guard.
pub fn service(deps: Deps) -> Routes {
    let rpc = rpc::Rpc::new(deps);
    Routes::new(IdentityServiceServer::new(rpc.clone()))
        .add_service(DirectoryServiceServer::new(rpc.clone()))
        .add_service(TenantsServiceServer::new(rpc.clone()))
        .add_service(AccountsServiceServer::new(rpc.clone()))
        .add_service(AuditLogServiceServer::new(rpc.clone()))
        .add_service(CollectionListsServiceServer::new(rpc.clone()))
        .add_service(ManagedUsersServiceServer::new(rpc.clone()))
        .add_service(NotificationsServiceServer::new(rpc.clone()))
        .add_service(RolesServiceServer::new(rpc.clone()))
        .add_service(SignupServiceServer::new(rpc.clone()))
        .add_service(TeamServiceServer::new(rpc.clone()))
        .add_service(AuditServiceServer::new(rpc.clone()))
        .add_service(IdentityUsageServiceServer::new(rpc))
}

/// 256 bits from the operating system's generator, for codes in links.
pub(crate) fn random_code() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// Letters and digits from the operating system's generator.
pub(crate) fn random_text(length: usize) -> String {
    use rand::RngExt as _;
    let mut rng = rand::rng();
    (0..length).map(|_| char::from(rng.sample(rand::distr::Alphanumeric))).collect()
}
