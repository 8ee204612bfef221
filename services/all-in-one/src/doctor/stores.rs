//! What processes share: the store, the cache, the log, events on their way.

use std::time::{SystemTime, UNIX_EPOCH};

use portolan_log::Log;
use portolan_runtime::{
    Config,
    process::{self, existing_store},
};
use portolan_store::Store;

use super::finding::Finding;
use crate::roles::TABLES;

/// Records that may wait for the inventory before it counts as late.
const LAG_MAX: i64 = 100_000;
/// A record or an event that waits longer is one that stands, however few wait with it.
const AGE_MAX_S: i64 = 300;
/// Settings that one line tells of.
const SETTINGS_SHOWN: usize = 100;
/// Clocks that differ more keep processes from trusting each other.
const SKEW_MAX_S: i64 = 30;

fn text(error: portolan_store::Error) -> String {
    error.to_string()
}

/// The store as it is: a doctor makes nothing.
pub(super) async fn existing(config: &Config) -> Result<Store, String> {
    existing_store(config, &TABLES).await.map_err(|error| error.to_string())
}

pub(super) async fn store(config: &Config) -> Finding {
    let store = existing(config).await?;
    let started = std::time::Instant::now();
    store.service("gateway").await.map_err(text)?.ping().await.map_err(text)?;
    let waited = started.elapsed();
    store.close().await;
    Ok(format!("{:?} answers in {:.1} ms", store.dialect(), waited.as_secs_f64() * 1_000.0))
}

/// How far the clock of the database's machine is from the one here.
pub(super) async fn clock(config: &Config) -> Finding {
    let store = existing(config).await?;
    let there_s = store.service("gateway").await.map_err(text)?.server_clock_s().await.map_err(text)?;
    store.close().await;
    let Some(there_s) = there_s else { return Ok("the store is on this machine".to_owned()) };
    let here_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs() as i64);
    match here_s - there_s {
        skew_s if skew_s.abs() > SKEW_MAX_S => {
            let side = if skew_s > 0 { "ahead of" } else { "behind" };
            Err(format!("the clock of this machine is {} s {side} that of the database: set both by NTP", skew_s.abs()))
        }
        skew_s => Ok(format!("differs from the database's by {} s", skew_s.abs())),
    }
}

/// Settings that are skipped since this version does not understand them.
pub(super) async fn stored_settings(config: &Config) -> Finding {
    let store = existing(config).await?;
    let mut found = portolan_inventory::unreadable_settings(&store).await.map_err(|error| error.to_string())?;
    for (service, settings) in [
        ("identity", portolan_identity::STORED.as_slice()),
        ("tokens", portolan_tokens::STORED.as_slice()),
        ("billing", portolan_billing::STORED.as_slice()),
    ] {
        let db = store.service(service).await.map_err(text)?;
        found.extend(portolan_store::setting::unreadable(&db, settings).await.map_err(text)?);
    }
    match found.as_slice() {
        [] => Ok("all are understood".into()),
        found => {
            let shown = &found[..found.len().min(SETTINGS_SHOWN)];
            Err(format!("{} are skipped: {}", found.len(), shown.join("; ")))
        }
    }
}

pub(super) async fn cache(config: &Config) -> Finding {
    let Some(redis) = process::redis(config, "doctor")? else {
        return Ok(format!("{} needs no server", config.shared.cache.url));
    };
    redis.ping().await.map_err(|error| error.cause())?;
    Ok(format!("{} takes writes", redis.name()))
}

/// Whether the server takes as many connections as one process with every service may open.
pub(super) async fn connections(config: &Config) -> Finding {
    let store = existing(config).await?;
    // A schema that is not there yet takes no connection; where none is, the server says why.
    let (mut opened, mut refused) = (0, None);
    for service in ["identity", "tokens", "inventory", "imports", "billing", "gateway", "log"] {
        match store.service(service).await {
            Ok(_) => opened += 1,
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    if let (0, Some(error)) = (opened, refused) {
        return Err(text(error));
    }
    let _of_the_log = config.shared.log.url.starts_with("embedded:").then(|| store.listener(portolan_log::CHANNEL));
    let found = store.connections().await.map_err(text)?;
    store.close().await;
    let Some(found) = found else { return Ok("a file has no limit of connections".into()) };
    let shown = format!("{found}, and the server takes {}", found.server_max);
    if found.fit() { Ok(shown) } else { Err(format!("{shown}: lower store.connections or raise max_connections")) }
}

pub(super) async fn log(config: &Config) -> Finding {
    let store = existing(config).await?;
    let log = Log::open(&config.shared.log.url, &config.shared.log.topic, &store).await;
    let log = log.map_err(|error| error.to_string())?;
    let ends = log.end_offsets().await.map_err(|error| error.to_string())?;
    let rejected = log.rejected_count().await.map_err(|error| error.to_string())?;
    let lag = portolan_inventory::lag(&store, &log, &ends).await.map_err(|error| error.to_string())?;
    let oldest = portolan_inventory::oldest_unread(&store, &log, &ends).await.map_err(|error| error.to_string())?;
    let mut shown =
        format!("{} partitions, {lag} records wait for the inventory, {rejected} were rejected", ends.len());
    let dropped = portolan_inventory::dropped(&store).await.map_err(|error| error.to_string())?;
    if let [(account_id, collection_id, most), ..] = &*dropped {
        let records: i64 = dropped.iter().map(|(_, _, records)| records).sum();
        shown += &format!(
            ", {records} had no place in a collection that is full or deactivated ({most} of them in collection \
             {collection_id} of account {account_id})"
        );
    }
    if let Some(oldest) = oldest {
        let (partition, offset) = (oldest.partition, oldest.offset);
        if oldest.age_s > AGE_MAX_S {
            let help = format!("`portolan ingest skip {partition} {offset}` sets the record aside");
            return Err(format!("{shown}; partition {partition} stands at offset {offset}: {help}"));
        }
        shown = format!("{shown}; the oldest, {offset} of partition {partition}, for {} s", oldest.age_s);
    }
    if lag > LAG_MAX {
        return Err(format!("{shown}: more instances of inventory take over partitions"));
    }
    Ok(shown)
}

/// Events that wait for their receiver, of every service, and those that it will never take.
pub(super) async fn outbox(config: &Config) -> Finding {
    let store = existing(config).await?;
    let (mut events, mut late, mut refused) = (0, Vec::new(), String::new());
    // On SQLite the services share one file, and so one outbox.
    let services: &[&str] = match store.dialect() {
        portolan_store::Dialect::Sqlite => &["identity"],
        portolan_store::Dialect::Postgres => &["identity", "tokens", "inventory", "imports"],
    };
    for service in services {
        let db = store.service(service).await.map_err(text)?;
        for portolan_outbox::Refused { topic, events, reason } in portolan_outbox::refused(&db).await.map_err(text)? {
            refused += &format!("; {events} of {topic} were refused for good, the last: {reason}");
        }
        for waiting in portolan_outbox::waiting(&db).await.map_err(text)? {
            events += waiting.events;
            if waiting.age_s > AGE_MAX_S {
                late.push(format!("{} of {service} for {} s", waiting.topic, waiting.age_s));
            }
        }
    }
    store.close().await;
    let shown = format!("{events} events wait for their receiver");
    match late.is_empty() {
        true => Ok(shown + &refused),
        false => Err(format!("{shown}, {}: the log of the service tells why{refused}", late.join(", "))),
    }
}
