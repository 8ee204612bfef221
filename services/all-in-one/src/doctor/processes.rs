//! The processes of the installation, and servers of others that they are told to speak to.

use std::net::SocketAddr;

use portolan_api::tokens::v1::ListContestedHostsRequest;
use portolan_authz::{PEER_FAULT_HEADER, SERVICE_HEADER};
use portolan_runtime::{Channel, Config, Keys, Peers, Tls};
use reqwest::StatusCode;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use super::finding::Finding;
use crate::commands::chain;

/// Hosts that one line tells of.
const CONTESTED_SHOWN: usize = 10;

pub(super) async fn gateway(config: &Config) -> Finding {
    let address = local(&config.shared.http.addr);
    // Behind an edge with certificates its readiness is told beside its metrics.
    let asked = match (config.shared.http.tls, config.shared.metrics.addr.as_str()) {
        (false, _) => address.clone(),
        (true, "") => {
            let reached = reach(&address).await;
            return reached.map(|()| format!("{address} listens; metrics.addr would tell whether it is ready"));
        }
        (true, metrics) => local(metrics),
    };
    reach(&asked).await.map_err(|error| format!("{error}: is the gateway started?"))?;
    let answer = reqwest::get(format!("http://{asked}/readyz?verbose"));
    let answer = answer.await.map_err(|error| format!("{asked}: {}", chain(&error)))?;
    let status = answer.status();
    let body = answer.text().await.unwrap_or_default();
    match status {
        status if status.is_success() => Ok(format!("{address} is ready")),
        StatusCode::SERVICE_UNAVAILABLE => Err(format!("{asked} is not ready: {}", failed_parts(&body))),
        status => Err(format!("{asked} answers {status}: another program listens there")),
    }
}

/// What is wrong with each part that a process waits for, of the list that it answers.
fn failed_parts(body: &str) -> String {
    let answer: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let parts = answer["parts"].as_array().into_iter().flatten().filter(|part| part["status"] == "failed");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let told: Vec<_> = parts.map(|part| format!("{}: {}", text(&part["name"]), text(&part["detail"]))).collect();
    if told.is_empty() { body.to_owned() } else { told.join("; ") }
}

/// Servers of others, as far as a connection tells.
pub(super) async fn others(config: &Config) -> Finding {
    let by_stigg = portolan_billing::Options::read(config)
        .is_ok_and(|options| matches!(options.billing.provider, portolan_billing::ProviderName::Stigg));
    let mut servers = Vec::new();
    for (key, default_port) in [
        ("mail.smtp_url", 25),
        ("oidc.issuer", 443),
        ("audit.heads_url", 443),
        ("telemetry.otlp_endpoint", 4_317),
        ("stigg.url", 443),
    ] {
        let is_used = key != "stigg.url" || by_stigg;
        if is_used && !config.get(key).trim().is_empty() {
            servers.push((key, server_of(config.get(key), default_port)));
        }
    }
    let mut problems = Vec::new();
    for (key, server) in &servers {
        match server {
            None => problems.push(format!("{key} names no server")),
            Some(server) => problems.extend(reach(server).await.err().map(|error| format!("{key}: {error}"))),
        }
    }
    if !problems.is_empty() {
        return Err(problems.join("; "));
    }
    let named: Vec<_> = servers.iter().filter_map(|(_, server)| server.clone()).collect();
    Ok(if named.is_empty() { "none is configured".to_owned() } else { format!("{} listen", named.join(", ")) })
}

/// `host:port` of a URL, without what it may hold of a password.
fn server_of(url: &str, default_port: u16) -> Option<String> {
    let url = reqwest::Url::parse(url.trim()).ok()?;
    let port = match (url.port_or_known_default(), url.scheme()) {
        (Some(port), _) => port,
        (None, "smtps") => 465,
        (None, _) => default_port,
    };
    url.host_str().filter(|host| !host.is_empty()).map(|host| format!("{host}:{port}"))
}

/// Connects, and says what keeps it from that.
async fn reach(address: &str) -> Result<(), String> {
    let found = tokio::net::lookup_host(address).await.map_err(|error| format!("{address} is not found: {error}"))?;
    let mut last = format!("{address} is not found");
    for place in found {
        match tokio::net::TcpStream::connect(place).await {
            Ok(_) => return Ok(()),
            Err(error) => last = format!("nothing answers at {address}: {error}"),
        }
    }
    Err(last)
}

/// Hosts that several accounts name have to be bound to one of them.
pub(super) async fn edge_hosts(config: &Config) -> Finding {
    let key_file = config.secret_key_file();
    if !key_file.exists() {
        return Err(format!("{} is missing, so the tokens service cannot be asked", key_file.display()));
    }
    let keys = Keys::load(&key_file).map_err(|error| error.to_string())?;
    let tls = Tls::open(config).map_err(|error| error.to_string())?;
    let mut peers = Peers::with_tls(config, keys.auth(&keys.speaker()), tls.clone())?;
    if config.shared.peers.tokens.is_empty() {
        let scheme = if tls.is_some() { "https" } else { "http" };
        peers.tokens = Channel::remote(&format!("{scheme}://{}", local(&config.shared.grpc.addr)), tls)?;
    }
    let answer = peers.edge().list_contested_hosts(ListContestedHostsRequest {}).await;
    let hosts = answer.map_err(|status| refusal(&status))?.into_inner().hosts;
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

/// Where a service is asked: at its peers' address, and else in the one process.
pub(super) fn addresses(config: &Config) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    let scheme = if config.shared.tls.cert.is_empty() { "http" } else { "https" };
    for (service, addresses) in config.shared.peers.each() {
        let addresses = match addresses {
            "" => format!("{scheme}://{}", local(&config.shared.grpc.addr)),
            addresses => addresses.to_owned(),
        };
        all.extend(addresses.split(',').map(|address| (service, address.trim().to_owned())));
    }
    all
}

pub(super) async fn health(config: &Config, service: &str, address: &str) -> Finding {
    let mut endpoint =
        tonic::transport::Endpoint::from_shared(address.to_owned()).map_err(|error| error.to_string())?;
    if let Some(server) = server_of(address, 50_051) {
        reach(&server).await.map_err(|error| format!("{error}: is {service} started?"))?;
    }
    if address.starts_with("https") {
        let tls = Tls::open(config).map_err(|error| error.to_string())?.ok_or("https needs the files of [tls]")?;
        let host = endpoint.uri().host().unwrap_or_default().to_owned();
        endpoint = endpoint.tls_config(tls.client().1.domain_name(host)).map_err(|error| error.to_string())?;
    }
    let channel = endpoint.connect().await.map_err(|error| format!("no connection: {}", chain(&error)))?;
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
    match answer.map_err(|status| refusal(&status))?.into_inner().status() {
        ServingStatus::Serving => Ok("serves".into()),
        ServingStatus::NotServing => Err("it is not ready: its log says what is missing".into()),
        status => Err(format!("{status:?}: another service listens there")),
    }
}

fn refusal(status: &tonic::Status) -> String {
    match status.metadata().get(PEER_FAULT_HEADER).and_then(|fault| fault.to_str().ok()) {
        Some("key") => "it runs with another secret key: give every process the same secrets.key_file".to_owned(),
        Some("clock") => "its clock differs from the one here by more than 30 s: set both by NTP".to_owned(),
        _ if status.code() == tonic::Code::NotFound => "another service listens there".to_owned(),
        _ => format!("{}: {}", status.code(), status.message()),
    }
}

/// An address to listen on as one to call.
fn local(address: &str) -> String {
    match address.parse::<SocketAddr>() {
        Ok(parsed) if parsed.ip().is_unspecified() => format!("127.0.0.1:{}", parsed.port()),
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_urls_hold_no_password() {
        for (url, server) in [
            ("smtps://user:secret@mail.example.org", "mail.example.org:465"),
            ("smtp://mail.example.org:587?tls=required", "mail.example.org:587"),
            ("https://login.example.org/realm", "login.example.org:443"),
            ("http://collector:4317", "collector:4317"),
        ] {
            assert_eq!(server_of(url, 25).as_deref(), Some(server), "{url}");
        }
        assert_eq!((server_of("http://", 25), server_of("collector", 25)), (None, None));
    }
}
