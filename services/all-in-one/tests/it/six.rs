use std::{net::TcpListener, path::Path, process::Stdio};

use tokio::process::{Child, Command};

/// Names the form that whole-system tests run on: `six` for six processes behind Envoy, anything else for one process.
pub const FORM: &str = "PORTOLAN_TEST_FORM";

const SERVICES: [&str; 5] = ["identity", "tokens", "inventory", "imports", "billing"];
const EDGE: &str = include_str!("../../../../deploy/envoy/edge.yaml");
const CLUSTERS: &str = include_str!("../../../../deploy/envoy/clusters.yaml");

/// Six processes and the edge in front of them, of one installation.
pub struct Six {
    pub children: Vec<Child>,
    /// Of the edge, for REST and gRPC alike.
    pub address: String,
}

/// Starts the processes; they are ready when the edge's address answers.
pub async fn start(store_url: &str, data_dir: &Path, variables: &[(&str, &str)]) -> Six {
    let binaries = Path::new(env!("CARGO_BIN_EXE_portolan")).parent().unwrap().to_owned();
    let ports: Vec<u16> = free_ports(SERVICES.len() + 2);
    let key_file = data_dir.join("secret-key");
    if !key_file.exists() {
        use base64::Engine as _;
        let key = base64::engine::general_purpose::STANDARD.encode(rand::random::<[u8; 32]>());
        std::fs::write(&key_file, key).unwrap();
    }
    let mut common: Vec<(String, String)> = vec![
        ("PORTOLAN__STORE__URL".into(), store_url.into()),
        ("PORTOLAN__ADMIN__PASSWORD".into(), "correct horse battery staple".into()),
        ("PORTOLAN__SECRETS__KEY_FILE".into(), key_file.display().to_string()),
        ("PORTOLAN__HTTP__TRUSTED_PROXIES".into(), "127.0.0.1".into()),
        ("RUST_LOG".into(), "warn".into()),
    ];
    for (service, port) in SERVICES.iter().zip(&ports) {
        let name = format!("PORTOLAN__PEERS__{}", service.to_uppercase());
        common.push((name, format!("http://127.0.0.1:{port}")));
    }
    common.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));

    let spawn = |name: &str, flag: &str, port: u16| {
        Command::new(binaries.join(format!("portolan-{name}")))
            .args([flag, &format!("127.0.0.1:{port}"), "--data-dir"])
            .arg(data_dir)
            .envs(common.iter().cloned())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("portolan-{name} ({error}): build the whole workspace first"))
    };
    let (gateway, edge) = (ports[SERVICES.len()], ports[SERVICES.len() + 1]);
    let mut children: Vec<_> = SERVICES.iter().zip(&ports).map(|(name, port)| spawn(name, "--grpc", *port)).collect();
    children.push(spawn("gateway", "--http", gateway));
    children.push(start_envoy(data_dir, &ports, gateway, edge));
    Six { children, address: format!("127.0.0.1:{edge}") }
}

fn start_envoy(data_dir: &Path, ports: &[u16], gateway: u16, edge: u16) -> Child {
    let envoy = std::env::var("PORTOLAN_TEST_ENVOY").expect("six processes need PORTOLAN_TEST_ENVOY");
    let (config, clusters) = (data_dir.join("edge.yaml"), data_dir.join("clusters.yaml"));
    std::fs::write(&config, local_edge(&clusters, edge)).unwrap();
    std::fs::write(&clusters, local_clusters(ports, gateway)).unwrap();
    Command::new(envoy)
        .args(["--log-level", "error", "--use-dynamic-base-id", "--concurrency", "1", "-c"])
        .arg(config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// The edge of the repository on this machine, without its listener for TLS.
fn local_edge(clusters: &Path, edge: u16) -> String {
    let text = EDGE.split_once("    - name: https\n").expect("the edge has a listener for TLS").0;
    text.replace("port_value: 9901", "port_value: 0")
        .replace("port_value: 8000", &format!("port_value: {edge}"))
        .replace("/etc/envoy/clusters.yaml", &clusters.display().to_string())
}

/// Its clusters with addresses of this machine.
fn local_clusters(ports: &[u16], gateway: u16) -> String {
    let mut text = CLUSTERS.to_owned();
    let services =
        SERVICES.iter().zip(ports).zip(50_051..).map(|((service, port), default)| (*service, default, *port));
    for (service, default, port) in services.chain([("gateway", 8_080, gateway)]) {
        let from = format!("address: {service}, port_value: {default}");
        assert!(text.contains(&from), "the edge has no cluster for {service}");
        text = text.replace(&from, &format!("address: 127.0.0.1, port_value: {port}"));
    }
    text
}

/// Ports that were free a moment ago.
fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}
