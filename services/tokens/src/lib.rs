//! Tokens: the API keys of users. Issues, lists, verifies and deletes them.
//!
//! Tables: `api_keys`, `token_sequences`. It asks identity for the login of a key's owner.
//!
//! # Invariants
//! - A whole key is known here only while it is being answered; the table has its digest, first 3 and last 4 characters.
//! - A key with a wrong checksum is refused without a look-up.
//! - A deletion is announced to the cache of keys before it is written: from its answer on the key is refused.
//!
//! Start reading at [`api_keys`]; [`secret`] is the form of a key.

pub mod api_keys;
mod rpc;
pub mod secret;
mod store;

use std::sync::Arc;

use portolan_api::{Error, tokens::v1::tokens_service_server::TokensServiceServer};
use portolan_authz::Change;
use portolan_runtime::Peers;
use portolan_store::{Db, Migration, Migrations};
use tonic::service::Routes;

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
    ],
};

/// The proto package whose services are served here.
pub const PACKAGE: &str = "portolan.tokens.v1";

/// Announces that the key with this digest changes; the change ends when the result is dropped.
pub type AnnounceKeyChange = Arc<dyn Fn(&str) -> Box<dyn Send + Sync> + Send + Sync>;

/// What the service works with.
#[derive(Clone)]
pub struct Deps {
    pub db: Db,
    pub peers: Peers,
    pub announce: AnnounceKeyChange,
}

impl Deps {
    /// Migrates the tables.
    ///
    /// # Errors
    /// When the store cannot be reached or migrated.
    pub async fn open(db: Db, peers: Peers, announce: AnnounceKeyChange) -> Result<Self, Error> {
        db.migrate(&MIGRATIONS).await?;
        portolan_outbox::open(&db).await?;
        Ok(Self { db, peers, announce })
    }
}

/// Announces through a cache of keys.
pub fn announce_through<V: Clone + Send + Sync + 'static>(
    cache: portolan_authz::Cache<V>,
    key_of: fn(&str) -> String,
) -> AnnounceKeyChange {
    Arc::new(move |digest| {
        let change: Change<V> = cache.begin_change([key_of(digest)]);
        Box::new(change)
    })
}

/// The service without its guard.
pub fn service(deps: Deps) -> Routes {
    Routes::new(TokensServiceServer::new(rpc::Rpc::new(deps)))
}
