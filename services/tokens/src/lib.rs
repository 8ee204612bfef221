//! Tokens: credentials. Issues, lists, verifies and ends the API keys of users, the tokens of organisations, and the
//! access profiles by which callers of protected APIs are known. Decides at the edge which of their requests pass.
//!
//! Tables: `api_keys`, `organization_tokens`, `api_clients`, `api_profiles`, `access_tokens`, `slack_webhooks`,
//! `token_sequences`, `edge_replicas`, `edge_shadow_endpoints`. It asks identity for organisations, workspaces and the logins of owners, and inventory for
//! collections.
//!
//! # Invariants
//! - A whole secret is known here only while it is being answered; tables have digests.
//! - A secret with a wrong checksum is refused without a look-up.
//! - A deletion of an API key is announced to the cache of keys before it is written; other secrets are looked up at
//!   each use: from the answer on a dead one is refused.
//! - A change of what the edge enforces takes the next number of the change feed, first in its transaction.
//!
//! Start reading at [`organization_tokens`] or [`api_keys`]; [`secret`] is the form of a secret.

pub mod access_profiles;
pub mod api_clients;
pub mod api_keys;
pub mod auth_settings;
mod bounds;
mod changes;
pub mod client_keys;
pub mod enforce;
mod faults;
pub mod leaked_keys;
mod networks;
pub mod oauth;
pub mod organization_tokens;
pub mod profiles;
mod rates;
pub mod revocations;
mod rpc;
mod scopes;
pub mod secret;
pub mod slack_webhooks;
mod store;
pub mod workspaces;

use envoy_types::ext_authz::v3::pb::AuthorizationServer;
use portolan_api::{
    Error,
    tokens::v1::{
        access_profiles_service_server::AccessProfilesServiceServer,
        api_clients_service_server::ApiClientsServiceServer, api_keys_service_server::ApiKeysServiceServer,
        edge_service_server::EdgeServiceServer, oauth_service_server::OauthServiceServer,
        organization_tokens_service_server::OrganizationTokensServiceServer,
        revocation_service_server::RevocationServiceServer, tokens_service_server::TokensServiceServer,
    },
};
use portolan_authz::Changes;
use portolan_fetch::Fetch;
use portolan_limit::Limits;
use portolan_runtime::{Config, Peers, Secrets};
use portolan_store::{Db, Migration, Migrations};
use tonic::service::Routes;

pub use rates::Rates;

use crate::enforce::Edge;

pub const MIGRATIONS: Migrations = Migrations {
    service: "tokens",
    steps: &[
        Migration {
            version: 1,
            name: "tokens",
            sqlite: include_str!("../migrations/sqlite/0001_tokens.sql"),
            postgres: include_str!("../migrations/postgres/0001_tokens.sql"),
        },
        Migration {
            version: 2,
            name: "access",
            sqlite: include_str!("../migrations/sqlite/0002_access.sql"),
            postgres: include_str!("../migrations/postgres/0002_access.sql"),
        },
        Migration {
            version: 3,
            name: "edge",
            sqlite: include_str!("../migrations/sqlite/0003_edge.sql"),
            postgres: include_str!("../migrations/postgres/0003_edge.sql"),
        },
        Migration {
            version: 40,
            name: "slack_messages",
            sqlite: include_str!("../migrations/sqlite/0040_slack_messages.sql"),
            postgres: include_str!("../migrations/postgres/0040_slack_messages.sql"),
        },
        Migration {
            version: 66,
            name: "token_accounts",
            sqlite: include_str!("../migrations/sqlite/0066_token_accounts.sql"),
            postgres: include_str!("../migrations/postgres/0066_token_accounts.sql"),
        },
        Migration {
            version: 70,
            name: "preflight",
            sqlite: include_str!("../migrations/sqlite/0070_preflight.sql"),
            postgres: include_str!("../migrations/postgres/0070_preflight.sql"),
        },
    ],
};

/// The proto package whose services are served here.
pub const PACKAGE: &str = "portolan.tokens.v1";

/// What the service works with.
#[derive(Clone)]
pub struct Deps {
    pub db: Db,
    pub peers: Peers,
    /// Through which changes of API keys are announced to those who cache their owners.
    pub key_changes: Changes,
    /// Seals what must be readable again.
    pub secrets: Secrets,
    pub settings: Settings,
    pub rates: Rates,
    /// Every call that leaves the installation.
    pub fetch: Fetch,
    /// Decides at the edge; every change of a client, a profile or an access token is settled with it.
    pub edge: Edge,
}

/// What the configuration says of tokens.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Requests a minute of an organisation token.
    pub organization_rate_limit: i64,
    /// Requests a minute of a vendor's account for profiles, clients and keys; 0 for any number.
    pub management_rate_limit: i64,
    /// Whether answers about access profiles show HMAC secrets.
    pub show_jwt_secret: bool,
    /// How the addresses of Slack webhooks begin.
    pub slack_urls: Vec<String>,
}

impl Settings {
    /// # Errors
    /// The key whose value cannot be read.
    pub fn read(config: &Config) -> Result<Self, Error> {
        let number = |key: &str| {
            let value = config.get(key).parse::<i64>().ok().filter(|value| *value >= 0);
            value.ok_or_else(|| Error::internal(format!("{key} must be a whole number")))
        };
        let organization_rate_limit = number("tokens.organization_rate_limit")?;
        if organization_rate_limit == 0 {
            return Err(Error::internal("tokens.organization_rate_limit must be above 0"));
        }
        Ok(Self {
            organization_rate_limit,
            management_rate_limit: number("tokens.management_rate_limit")?,
            show_jwt_secret: config.flag("tokens.show_jwt_secret"),
            slack_urls: config
                .get("tokens.slack_urls")
                .split(',')
                .map(|prefix| prefix.trim().to_owned())
                .filter(|prefix| !prefix.is_empty())
                .collect(),
        })
    }
}

impl Deps {
    /// Migrates the tables.
    ///
    /// # Errors
    /// When the store cannot be reached or migrated.
    pub async fn open(
        db: Db,
        peers: Peers,
        key_changes: Changes,
        secrets: Secrets,
        settings: Settings,
        edge: Edge,
        fetch: Fetch,
    ) -> Result<Self, Error> {
        db.migrate(&MIGRATIONS).await?;
        portolan_outbox::open(&db).await?;
        Ok(Self { db, peers, key_changes, secrets, settings, rates: Rates::new(Limits::memory()), edge, fetch })
    }
}

impl Deps {
    /// Counts in `limits` instead of in this process alone.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { rates: Rates::new(limits), ..self }
    }
}

/// The service without its guard.
pub fn service(deps: Deps) -> Routes {
    let edge = deps.edge.clone();
    let rpc = rpc::Rpc::new(deps);
    Routes::new(TokensServiceServer::new(rpc.clone()))
        .add_service(OrganizationTokensServiceServer::new(rpc.clone()))
        .add_service(AccessProfilesServiceServer::new(rpc.clone()))
        .add_service(ApiClientsServiceServer::new(rpc.clone()))
        .add_service(ApiKeysServiceServer::new(rpc.clone()))
        .add_service(RevocationServiceServer::new(rpc.clone()))
        .add_service(OauthServiceServer::new(rpc))
        .add_service(EdgeServiceServer::new(rpc::edge::EdgeRpc::new(edge.clone())))
        .add_service(AuthorizationServer::new(rpc::check::Check::new(edge)))
}

/// Unix milliseconds.
fn now_ms() -> i64 {
    let age = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    age.map_or(0, |age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
}
