//! Identity: organisations, their accounts, users, sessions, and the role each user holds in each account.
//!
//! Tables: `organizations`, `accounts`, `users`, `memberships`, `sessions`, `signing_keys`.
//! It asks the tokens service for the owner of an API key, and inventory whether an account has endpoints.
//!
//! # Invariants
//! - A caller token is signed here and nowhere else, for 60 s, and carries no role.
//! - A user without a membership in an account has no access to it; a role that cannot be resolved is NO_ACCESS.
//! - Sessions and access tokens are stored as digests; passwords as Argon2id.
//! - Events of the audit are appended to, never changed; each holds the hash of the one before it.
//! - Every change of a membership is announced to the cache of grants before it is written.
//!
//! Start reading at [`authentication`] for the edge, at [`grants`] for roles.

pub mod audit;
pub mod authentication;
mod bootstrap;
pub mod grants;
pub mod managed_users;
pub mod organizations;
mod passwords;
mod rpc;
pub mod sessions;
pub mod settings;
mod signing;
mod store;
mod throttle;
pub mod users;

use portolan_api::{
    Error,
    identity::v1::{
        audit_service_server::AuditServiceServer, directory_service_server::DirectoryServiceServer,
        identity_service_server::IdentityServiceServer, identity_usage_service_server::IdentityUsageServiceServer,
    },
};
use portolan_authz::{Cache, Grant};
use portolan_limit::Limits;
use portolan_runtime::{Peers, Secrets, now_s};
use portolan_store::{Db, Migration, Migrations};
use tonic::service::Routes;

pub use authentication::KnownKey;
pub use bootstrap::{FirstStart, first_start};

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
    passwords: passwords::Passwords,
    signing: signing::Signing,
}

impl Deps {
    /// Migrates the tables and makes the first signing key.
    ///
    /// # Errors
    /// When the store cannot be reached or migrated.
    pub async fn open(
        db: Db,
        peers: Peers,
        secrets: Secrets,
        grants: Cache<Grant>,
        keys: Cache<KnownKey>,
    ) -> Result<Self, Error> {
        portolan_meter::open(&db).await?;
        db.migrate(&MIGRATIONS).await?;
        let signing = signing::Signing::open(&db, &secrets).await?;
        let limits = Limits::in_table(&db).await?;
        Ok(Self { db, peers, secrets, grants, keys, limits, passwords: passwords::Passwords::default(), signing })
    }
}

impl Deps {
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
        .add_service(AuditServiceServer::new(rpc.clone()))
        .add_service(IdentityUsageServiceServer::new(rpc))
}

/// Letters and digits from the operating system's generator.
pub(crate) fn random_text(length: usize) -> String {
    use rand::RngExt as _;
    let mut rng = rand::rng();
    (0..length).map(|_| char::from(rng.sample(rand::distr::Alphanumeric))).collect()
}
