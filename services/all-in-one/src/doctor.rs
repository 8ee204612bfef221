//! Looks at a running installation from the outside and at what it stands on, and says what is wrong.

use std::{net::SocketAddr, time::Duration};

use portolan_api::tokens::v1::ListContestedHostsRequest;
use portolan_authz::{PEER_FAULT_HEADER, SERVICE_HEADER};
use portolan_log::Log;
use portolan_runtime::{
    Channel, Config, Keys, Peers, ProcessArgs, key_mark,
    process::{self, BoxError, existing_store},
};
use portolan_store::Store;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::{commands::say, roles::TABLES};

/// Longest wait for one part.
const PATIENCE: Duration = Duration::from_secs(5);
/// Records that may wait for the inventory before it counts as late.
const LAG_MAX: i64 = 100_000;
/// A record or an event that waits longer is one that stands, however few wait with it.
const AGE_MAX_S: i64 = 300;
/// Least free space of the data directory, in bytes.
const FREE_BYTES_MIN: u64 = 1 << 30;

/// Settings that one line tells of.
const SETTINGS_SHOWN: usize = 100;
/// Hosts that one line tells of.
const CONTESTED_SHOWN: usize = 10;

type Finding = Result<String, String>;

/// Prints a line for each check and ends with an error when one of them failed.
pub(crate) async fn run(arguments: &ProcessArgs) -> Result<(), BoxError> {
    let config = match arguments.load() {
        Ok(config) => config,
        Err(error) => {
            print("configuration", &Err(error.to_string()));
            return Err("the other checks need a configuration".into());
        }
    };
    let mut failed = 0;
    let mut note = |name: &str, finding: Finding| {
        failed += usize::from(finding.is_err());
        print(name, &finding);
    };
    note("configuration", Ok("every key is known".into()));
    // Everything that follows needs tables of this version; a store that does not answer is told below.
    if let Err(error @ portolan_store::Error::Foreign { .. }) = Store::expect_known(&config.store_url(), &TABLES).await
    {
        note("store", Err(error.to_string()));
        return Err("the other checks need data of this version".into());
    }
    note("secret key", bounded(secret_key(&config)).await);
    note("disk", disk(&config));
    note("store", bounded(store(&config)).await);
    note("connections", bounded(connections(&config)).await);
    note("stored settings", bounded(stored_settings(&config)).await);
    note("cache", bounded(cache(&config)).await);
    note("log", bounded(log(&config)).await);
    note("outbox", bounded(outbox(&config)).await);
    note("gateway", bounded(gateway(&config)).await);
    for (service, addresses) in config.shared.peers.each() {
        let addresses = match addresses {
            "" => format!("http://{}", local(&config.shared.grpc.addr)),
            addresses => addresses.to_owned(),
        };
        for address in addresses.split(',').map(str::trim) {
            note(&format!("{service} at {address}"), bounded(health(&config, service, address)).await);
        }
    }
    note("edge", bounded(edge_hosts(&config)).await);
    if failed == 0 { Ok(()) } else { Err(format!("{failed} checks failed").into()) }
}

fn print(name: &str, finding: &Finding) {
    match finding {
        Ok(detail) => say(format_args!("ok    {name}: {detail}")),
        Err(problem) => say(format_args!("FAIL  {name}: {problem}")),
    }
}

async fn bounded(check: impl Future<Output = Finding>) -> Finding {
    tokio::time::timeout(PATIENCE, check)
        .await
        .unwrap_or_else(|_| Err(format!("no answer in {} s", PATIENCE.as_secs())))
}

async fn secret_key(config: &Config) -> Finding {
    use std::os::unix::fs::PermissionsExt as _;
    let path = config.secret_key_file();
    let shown = path.display().to_string();
    let data = std::fs::metadata(&path).map_err(|error| format!("{shown}: {error}"))?;
    if data.permissions().mode() & 0o007 != 0 {
        return Err(format!("{shown} can be read by everybody: chmod 600 it"));
    }
    let keys = Keys::load(&path).map_err(|error| error.to_string())?;
    let db = existing(config).await?.service("identity").await.map_err(|error| error.to_string())?;
    key_mark::check(&db, &keys).await.map_err(|error| error.to_string())?;
    Ok(shown)
}

fn disk(config: &Config) -> Finding {
    let path = config.data_dir.display();
    let free = fs4::available_space(&config.data_dir).map_err(|error| format!("{path}: {error}"))?;
    let shown = format!("{path} has {} MiB left", free >> 20);
    if free < FREE_BYTES_MIN { Err(shown) } else { Ok(shown) }
}

/// The store as it is: a doctor makes nothing.
async fn existing(config: &Config) -> Result<Store, String> {
    existing_store(config, &TABLES).await.map_err(|error| error.to_string())
}

async fn store(config: &Config) -> Finding {
    let text = |error: portolan_store::Error| error.to_string();
    let store = existing(config).await?;
    let started = std::time::Instant::now();
    store.service("gateway").await.map_err(text)?.ping().await.map_err(text)?;
    let waited = started.elapsed();
    store.close().await;
    Ok(format!("{:?} answers in {:.1} ms", store.dialect(), waited.as_secs_f64() * 1_000.0))
}

/// Settings that are skipped since this version does not understand them.
async fn stored_settings(config: &Config) -> Finding {
    let text = |error: portolan_store::Error| error.to_string();
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

async fn cache(config: &Config) -> Finding {
    let Some(redis) = process::redis(config, "doctor")? else {
        return Ok(format!("{} needs no server", config.shared.cache.url));
    };
    redis.ping().await.map_err(|error| error.cause())?;
    Ok(format!("{} answers", redis.name()))
}

/// Whether the server takes as many connections as one process with every service may open.
async fn connections(config: &Config) -> Finding {
    let text = |error: portolan_store::Error| error.to_string();
    let store = existing(config).await?;
    for service in ["identity", "tokens", "inventory", "imports", "billing", "gateway", "log"] {
        // A schema that is not there yet takes no connection.
        let _ = store.service(service).await;
    }
    let found = store.connections().await.map_err(text)?;
    store.close().await;
    let Some(found) = found else { return Ok("a file has no limit of connections".into()) };
    let (total, server_max) = (found.total(), found.server_max);
    let shown = format!("{} pools of {} are {total}, and the server takes {server_max}", found.pools, found.pool_max);
    if found.fit() { Ok(shown) } else { Err(format!("{shown}: lower store.connections or raise max_connections")) }
}

async fn log(config: &Config) -> Finding {
    let store = existing(config).await?;
    let log = Log::open(&config.shared.log.url, &config.shared.log.topic, &store).await;
    let log = log.map_err(|error| error.to_string())?;
    let ends = log.end_offsets().await.map_err(|error| error.to_string())?;
    let rejected = log.rejected_count().await.map_err(|error| error.to_string())?;
    let lag = portolan_inventory::lag(&store, &log, &ends).await.map_err(|error| error.to_string())?;
    let oldest = portolan_inventory::oldest_unread(&store, &log, &ends).await.map_err(|error| error.to_string())?;
    let mut shown =
        format!("{} partitions, {lag} records wait for the inventory, {rejected} were rejected", ends.len());
    if let Some(oldest) = oldest {
        let (partition, offset) = (oldest.partition, oldest.offset);
        if oldest.age_s > AGE_MAX_S {
            let help = format!("`portolan ingest skip {partition} {offset}` sets the record aside");
            return Err(format!("{shown}; partition {partition} stands at offset {offset}: {help}"));
        }
        shown = format!("{shown}; the oldest, {offset} of partition {partition}, for {} s", oldest.age_s);
    }
    if lag > LAG_MAX { Err(shown) } else { Ok(shown) }
}

/// Events that wait for their receiver, of every service, and those that it will never take.
async fn outbox(config: &Config) -> Finding {
    let text = |error: portolan_store::Error| error.to_string();
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
        false => Err(format!("{shown}, {}{refused}", late.join(", "))),
    }
}

async fn gateway(config: &Config) -> Finding {
    let address = local(&config.shared.http.addr);
    let answer =
        reqwest::get(format!("http://{address}/readyz")).await.map_err(|error| format!("{address}: {error}"))?;
    let status = answer.status();
    let body = answer.text().await.unwrap_or_default();
    if status.is_success() { Ok(format!("{address} is ready")) } else { Err(format!("{address}: {status} {body}")) }
}

/// Hosts that several accounts name have to be bound to one of them.
async fn edge_hosts(config: &Config) -> Finding {
    let key_file = config.secret_key_file();
    if !key_file.exists() {
        return Err(format!("{} is missing, so the tokens service cannot be asked", key_file.display()));
    }
    let keys = Keys::load(&key_file).map_err(|error| error.to_string())?;
    let tls = portolan_runtime::Tls::open(config).map_err(|error| error.to_string())?;
    let mut peers = Peers::with_tls(config, keys.auth(&keys.speaker()), tls.clone())?;
    if config.shared.peers.tokens.is_empty() {
        peers.tokens = Channel::remote(&format!("http://{}", local(&config.shared.grpc.addr)), tls)?;
    }
    let answer = peers.edge().list_contested_hosts(ListContestedHostsRequest {}).await;
    let hosts = answer.map_err(|status| status.message().to_owned())?.into_inner().hosts;
    if hosts.is_empty() {
        return Ok("every host that is named belongs to one account".into());
    }
    let shown = hosts.iter().take(CONTESTED_SHOWN).map(|contested| {
        let accounts: Vec<_> = contested.account_ids.iter().map(i64::to_string).collect();
        format!("{} (accounts {})", contested.host, accounts.join(", "))
    });
    let shown = shown.collect::<Vec<_>>().join("; ");
    Err(format!(
        "calls to {} hosts are refused, since several accounts name them: {shown}; bind each by edge.hosts `HOST account=ID`",
        hosts.len()
    ))
}

async fn health(config: &Config, service: &str, address: &str) -> Finding {
    let mut endpoint =
        tonic::transport::Endpoint::from_shared(address.to_owned()).map_err(|error| error.to_string())?;
    if address.starts_with("https") {
        let tls = portolan_runtime::Tls::open(config).map_err(|error| error.to_string())?.ok_or("no [tls] files")?;
        let host = endpoint.uri().host().unwrap_or_default().to_owned();
        endpoint = endpoint.tls_config(tls.client().1.domain_name(host)).map_err(|error| error.to_string())?;
    }
    let channel = endpoint.connect().await.map_err(|error| format!("no connection: {error}"))?;
    let name = portolan_api::descriptors()
        .services()
        .find(|known| known.package_name() == format!("portolan.{service}.v1"))
        .map(|known| known.full_name().to_owned())
        .unwrap_or_default();
    let mut request = tonic::Request::new(HealthCheckRequest { service: name });
    // As a service of the installation asks, so that a foreign key or clock is told.
    let keys = Keys::load(&config.secret_key_file()).map_err(|error| error.to_string())?;
    let token = keys.auth(&keys.speaker()).named("portolan doctor").token(service);
    let token = token.map_err(|error| error.to_string())?.parse().map_err(|_| "the token is not ASCII")?;
    request.metadata_mut().insert(SERVICE_HEADER, token);
    let answer = HealthClient::new(channel).check(request).await;
    let status = answer.map_err(|status| refusal(&status))?.into_inner().status();
    if status == ServingStatus::Serving { Ok("serves".into()) } else { Err(format!("{status:?}")) }
}

fn refusal(status: &tonic::Status) -> String {
    match status.metadata().get(PEER_FAULT_HEADER).and_then(|fault| fault.to_str().ok()) {
        Some("key") => "it runs with another secret key: give every process the same secrets.key_file".to_owned(),
        Some("clock") => "its clock differs from the one here by more than 30 s: set both by NTP".to_owned(),
        _ => status.message().to_owned(),
    }
}

/// An address to listen on as one to call.
fn local(address: &str) -> String {
    match address.parse::<SocketAddr>() {
        Ok(parsed) if parsed.ip().is_unspecified() => format!("127.0.0.1:{}", parsed.port()),
        _ => address.to_owned(),
    }
}
