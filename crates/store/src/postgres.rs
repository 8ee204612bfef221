//! The pools of connections to a Postgres server, one a service.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgPool};
use tokio::sync::Mutex;

use crate::pool::{ACQUIRE_TIMEOUT, Pool, Usage};
use crate::reach::Reach;
use crate::sql::STATEMENTS_MAX;
use crate::{Error, Listener};

/// Connections of one pool, unless the store is told otherwise.
pub(crate) const CONNECTIONS: u32 = 10;
/// A connection idle for longer is tested before use, so that a restarted server costs no failed request.
const UNTESTED_IDLE_MAX: Duration = Duration::from_secs(1);
/// Any fixed number that no other program uses for its advisory locks in the same database.
pub(crate) const LOCK: i64 = 0x706f_7274_6f6c_616e;

/// What the server takes of this user in this database: a limit of -1 is none.
const LIMITS: &str = "SELECT cast(current_setting('max_connections') AS bigint) \
       - coalesce(cast(current_setting('superuser_reserved_connections', true) AS bigint), 0) \
       - coalesce(cast(nullif(current_setting('reserved_connections', true), '') AS bigint), 0) AS server_limit, \
     (SELECT cast(rolconnlimit AS bigint) FROM pg_roles WHERE rolname = current_user) AS user_limit, \
     (SELECT cast(datconnlimit AS bigint) FROM pg_database WHERE datname = current_database()) AS database_limit";

/// How many connections a process may open, and how many its server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// One for each service and for the log.
    pub pools: u32,
    /// Of one pool.
    pub pool_max: u32,
    /// One for each [`Listener`].
    pub listeners: u32,
    /// What the server takes in all: its own limit, that of the user, or that of the database, whichever is lowest.
    pub server_max: i64,
}

impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} pools of {} and {} listening are {} connections",
            self.pools,
            self.pool_max,
            self.listeners,
            self.total()
        )
    }
}

impl Connections {
    /// What pools and listeners together may open.
    pub fn total(&self) -> u32 {
        self.pools.saturating_mul(self.pool_max).saturating_add(self.listeners)
    }

    /// Whether the server takes them all, if nobody else is connected.
    pub fn fit(&self) -> bool {
        i64::from(self.total()) <= self.server_max
    }
}

pub(crate) struct Postgres {
    options: PgConnectOptions,
    pools: Mutex<HashMap<String, Pool>>,
    /// Each listener has a clone.
    listeners: Arc<()>,
    pub reach: Arc<Reach>,
}

impl Postgres {
    pub fn at(url: &str) -> Result<Self, Error> {
        let (options, reach) = (options(url)?, Arc::new(Reach::of_postgres(url)?));
        Ok(Self { options, pools: Mutex::default(), listeners: Arc::default(), reach })
    }

    /// The pool of a service, opened once.
    pub async fn pool(&self, service: &str, connections: u32, makes: bool) -> Result<Pool, Error> {
        let mut pools = self.pools.lock().await;
        if let Some(pool) = pools.get(service) {
            return Ok(pool.clone());
        }
        let opened = self.reach.cut_off(open(self.options.clone(), service, connections, makes)).await;
        // Cut off: there is no server. Failed: there is one, and what it says is told with its address.
        let pool = Pool::to_server(opened.map_err(Error::Unavailable)?.map_err(|error| error.at(&self.reach.name()))?);
        pools.insert(service.to_owned(), pool.clone());
        Ok(pool)
    }

    pub fn listener(&self, channel: &'static str) -> Listener {
        Listener::new(self.options.clone(), channel, Arc::clone(&self.listeners))
    }

    /// Empty while a pool is being opened.
    pub fn usage(&self) -> Vec<Usage> {
        let pools = self.pools.try_lock();
        pools.map(|pools| pools.iter().map(|(service, pool)| pool.usage(service)).collect()).unwrap_or_default()
    }

    pub async fn connections(&self, pool_max: u32) -> Result<Connections, Error> {
        let pools = self.pools.lock().await;
        let pool = pools.values().next().ok_or_else(|| Error::Inconsistency("no service is open".into()))?;
        let Some(limits) = pool.acquire().await?.fetch(LIMITS.into(), Vec::new(), 1).await?.into_iter().next() else {
            return Err(Error::missing_row());
        };
        let (server, user, database): (i64, Option<i64>, Option<i64>) =
            (limits.get("server_limit")?, limits.get("user_limit")?, limits.get("database_limit")?);
        let others = [user, database].into_iter().flatten().filter(|limit| *limit >= 0);
        let server_max = others.fold(server, i64::min);
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let (pools, listeners) = (count(pools.len()), count(Arc::strong_count(&self.listeners) - 1));
        Ok(Connections { pools, pool_max, listeners, server_max })
    }

    pub async fn close(&self) {
        for pool in self.pools.lock().await.values() {
            pool.close().await;
        }
    }
}

/// Statements are not logged: their text is constant and their arguments may be secret.
pub(crate) fn options(url: &str) -> Result<PgConnectOptions, Error> {
    let options = url.parse::<PgConnectOptions>()?.disable_statement_logging();
    Ok(options.statement_cache_capacity(STATEMENTS_MAX))
}

async fn open(options: PgConnectOptions, service: &str, connections: u32, makes: bool) -> Result<PgPool, Error> {
    let search_path: Arc<str> = format!("SET search_path TO \"{service}\"").into();
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, used| {
            Box::pin(async move { Ok(used.idle_for < UNTESTED_IDLE_MAX || connection.ping().await.is_ok()) })
        })
        .after_connect(move |connection, _| {
            let search_path = Arc::clone(&search_path);
            Box::pin(async move { sqlx::raw_sql(AssertSqlSafe(search_path)).execute(connection).await.map(drop) })
        })
        .connect_with(options)
        .await?;
    let schema = sqlx::query("SELECT 1 FROM pg_namespace WHERE nspname = $1").bind(service.to_owned());
    if schema.fetch_optional(&pool).await?.is_some() {
        // A user that may only read and write rows serves what another one has made.
        return Ok(pool);
    }
    if !makes {
        return Err(Error::Configuration(format!("the database has no schema {service}: `portolan migrate` makes it")));
    }
    let mut transaction = pool.begin().await?;
    // Two processes that create one schema at the same time would otherwise meet a unique violation in the catalog.
    let create = format!("SELECT pg_advisory_xact_lock({LOCK}); CREATE SCHEMA IF NOT EXISTS \"{service}\"");
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(pool)
}
