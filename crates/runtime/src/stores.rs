//! The servers that a process stands on, as its configuration names them.

use std::{path::PathBuf, time::Duration};

use portolan_authz::{CertificateFiles, Redis};
use portolan_store::{Connections, Db, Dialect, Store, Tables, Usage};

use crate::{Config, error::BoxError, measures};

/// Pauses between looks at a server that is not there yet: each twice as long as the one before, up to the longest.
const PAUSE: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Refuses a store that an earlier version wrote, before anything is made or changed in it or in the data directory. A
/// server is waited for. `tables` are those of the services of the process.
///
/// # Errors
/// What was found, where, and that it is to be imported again.
pub async fn expect_known(config: &Config, tables: &[Tables]) -> Result<(), BoxError> {
    let url = config.store_url();
    let look = async || Store::expect_known(&url, tables).await;
    match Store::sqlite_file(&url) {
        Some(_) => look().await?,
        None => waiting("the store", portolan_store::Error::transient, look).await?,
    }
    Ok(())
}

/// Opens the store of a process and the tables of its first service. A server is waited for; a file is there or not.
///
/// # Errors
/// What no wait mends.
pub(crate) async fn opened(config: &Config, service: &str) -> Result<(Store, Db), BoxError> {
    let store = Store::connect(&config.store_url()).await?.with_connections(config.store_connections());
    let db = match store.dialect() {
        Dialect::Sqlite => store.service(service).await?,
        Dialect::Postgres => {
            let is_transient = portolan_store::Error::transient;
            waiting("the store", is_transient, async || store.service(service).await).await?
        }
    };
    let measured = store.clone();
    measures::also(move || {
        for Usage { service, busy, idle, max } in measured.usage() {
            for (state, number) in [("busy", busy), ("idle", idle), ("max", max)] {
                metrics::gauge!("portolan_store_connections", "service" => service.clone(), "state" => state)
                    .set(number);
            }
        }
    });
    Ok((store, db))
}

/// Opens a store that is there, and makes none. `tables` are those that the caller knows.
///
/// # Errors
/// Names what was looked for, and by what it is named; what an earlier version wrote, as [`expect_known`].
pub async fn existing_store(config: &Config, tables: &[Tables]) -> Result<Store, BoxError> {
    Store::expect_known(&config.store_url(), tables).await?;
    let store = Store::open_existing(&config.store_url()).await;
    let store = store.map_err(|error| format!("{error}; --data-dir or PORTOLAN__STORE__URL names the installation"))?;
    Ok(store.with_connections(config.store_connections()))
}

/// Repeats what needs a server until it is there, and says for what it waits.
///
/// # Errors
/// A failure that is not `transient`.
pub async fn waiting<T, E: std::fmt::Display>(
    what: &str,
    transient: impl Fn(&E) -> bool,
    open: impl AsyncFn() -> Result<T, E>,
) -> Result<T, E> {
    let mut pause = PAUSE;
    loop {
        match open().await {
            Err(error) if transient(&error) => {
                tracing::warn!(%error, again_in_ms = pause.as_millis() as u64, "waits for {what}");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            other => return other,
        }
    }
}

/// The Redis that `cache.url` names.
///
/// # Errors
/// When the address or a certificate cannot be read.
pub fn redis(config: &Config, installation: &str) -> Result<Option<Redis>, String> {
    let options = &config.shared.cache;
    let file = |path: &str| (!path.is_empty()).then(|| PathBuf::from(path));
    let own = file(&options.cert).zip(file(&options.key));
    let files = CertificateFiles { ca: file(&options.ca), own };
    match options.url.as_str() {
        "memory:" => Ok(None),
        url => Redis::with_files(url, installation, files).map(Some),
    }
}

/// Says when Redis does not answer at the start. Nothing waits for it: what it keeps is asked of its owner meanwhile, and
/// readiness tells it.
pub async fn look_at_cache(redis: Option<&Redis>) {
    let Some(redis) = redis else { return };
    match redis.ping().await {
        Ok(()) => tracing::info!(server = redis.name(), "the cache answers"),
        Err(error) => tracing::warn!(error = error.cause(), "goes on without the cache until it answers"),
    }
}

/// Tells how many connections the process may open, beside what the server takes.
///
/// # Errors
/// More than that, with the largest number that fits.
pub async fn tell_connections(store: &Store) -> Result<(), BoxError> {
    let Some(connections) = store.connections().await? else { return Ok(()) };
    let Connections { pools, pool_max, listeners, server_max } = connections;
    if !connections.fit() {
        let fitting = ((server_max - i64::from(listeners)) / i64::from(pools.max(1))).max(1);
        return Err(format!(
            "store.connections: {connections}, and Postgres takes {server_max}: pools of at most {fitting} fit, or raise \
             max_connections of the server"
        )
        .into());
    }
    tracing::info!(pools, pool_max, listeners, total = connections.total(), server_max, "connections to Postgres");
    Ok(())
}
