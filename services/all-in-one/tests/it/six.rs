use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::{Child, Command};

/// Names the form that whole-system tests run on: `six` for six processes behind Envoy, anything else for one process.
pub const FORM: &str = "PORTOLAN_TEST_FORM";

pub const SERVICES: [&str; 5] = ["identity", "tokens", "inventory", "imports", "billing"];
const EDGE: &str = include_str!("../../../../deploy/envoy/edge.yaml");
const CLUSTERS: &str = include_str!("../../../../deploy/envoy/clusters.yaml");

/// Six processes and the edge in front of them, of one installation; or twice as many processes.
pub struct Six {
    pub processes: Vec<Process>,
    /// Of the edge, for REST and gRPC alike.
    pub address: String,
    data_dir: PathBuf,
    variables: Vec<(String, String)>,
}

/// One process of the installation.
pub struct Process {
    pub name: &'static str,
    pub port: u16,
    pub child: Child,
}

impl Six {
    /// Starts `instances` of each process; they are ready when the edge's address answers. With certificates among the
    /// variables the services speak TLS, and the edge reaches the gateway alone.
    pub fn start(store_url: &str, data_dir: &Path, instances: usize, variables: &[(&str, &str)]) -> Self {
        let key_file = data_dir.join("secret-key");
        if !key_file.exists() {
            use base64::Engine as _;
            let key = base64::engine::general_purpose::STANDARD.encode(rand::random::<[u8; 32]>());
            std::fs::write(&key_file, key).unwrap();
        }
        derive_keys(data_dir);
        let mut common: Vec<(String, String)> = vec![
            ("PORTOLAN__STORE__URL".into(), store_url.into()),
            ("PORTOLAN__ADMIN__PASSWORD".into(), "correct horse battery staple".into()),
            ("PORTOLAN__HTTP__TRUSTED_PROXIES".into(), "127.0.0.1".into()),
            ("PORTOLAN__HTTP__CLIENT_ADDRESS_HEADER".into(), "x-portolan-edge-client".into()),
            ("RUST_LOG".into(), "warn".into()),
        ];
        let is_tls = variables.iter().any(|(name, _)| *name == "PORTOLAN__TLS__CERT");
        let take = |count: usize| (0..count).map(|_| portolan_testkit::free_port()).collect::<Vec<u16>>();
        let mut places: Vec<(&'static str, Vec<u16>)> = Vec::new();
        for service in SERVICES {
            let ports = take(instances);
            let scheme = if is_tls { "https" } else { "http" };
            let addresses: Vec<_> = ports.iter().map(|port| format!("{scheme}://127.0.0.1:{port}")).collect();
            common.push((format!("PORTOLAN__PEERS__{}", service.to_uppercase()), addresses.join(",")));
            places.push((service, ports));
        }
        places.push(("gateway", take(instances)));
        let edge = take(1)[0];
        common.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));

        let (data_dir, address) = (data_dir.to_owned(), format!("127.0.0.1:{edge}"));
        let mut six = Self { processes: Vec::new(), address, data_dir, variables: common };
        for (name, ports) in &places {
            for port in ports {
                let child = six.spawn(name, *port);
                six.processes.push(Process { name, port: *port, child });
            }
        }
        let child = six.start_envoy(&places, edge);
        six.processes.push(Process { name: "edge", port: edge, child });
        six
    }

    /// Starts a process anew in the place of one that has ended.
    pub fn restart(&mut self, index: usize) {
        let (name, port) = (self.processes[index].name, self.processes[index].port);
        self.processes[index].child = self.spawn(name, port);
    }

    fn spawn(&self, name: &str, port: u16) -> Child {
        let binaries = Path::new(env!("CARGO_BIN_EXE_portolan")).parent().unwrap();
        let flag = if name == "gateway" { "--http" } else { "--grpc" };
        let key_file = if name == "identity" { "secret-key".to_owned() } else { format!("{name}.key") };
        Command::new(binaries.join(format!("portolan-{name}")))
            .args([flag, &format!("127.0.0.1:{port}"), "--data-dir"])
            .arg(&self.data_dir)
            .env("PORTOLAN__SECRETS__KEY_FILE", self.data_dir.join(key_file))
            .envs(self.variables.iter().cloned())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("portolan-{name} ({error}): build the whole workspace first"))
    }

    fn start_envoy(&self, places: &[(&'static str, Vec<u16>)], edge: u16) -> Child {
        let envoy = std::env::var("PORTOLAN_TEST_ENVOY").expect("several processes need PORTOLAN_TEST_ENVOY");
        let (config, clusters) = (self.data_dir.join("edge.yaml"), self.data_dir.join("clusters.yaml"));
        std::fs::write(&config, local_edge(&clusters, edge)).unwrap();
        std::fs::write(&clusters, local_clusters(places)).unwrap();
        Command::new(envoy)
            .args(["--log-level", "error", "--use-dynamic-base-id", "--concurrency", "1", "-c"])
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }
}

/// What each service but identity starts with, from the root key.
fn derive_keys(data_dir: &Path) {
    let keys = portolan_runtime::Keys::load(&data_dir.join("secret-key")).unwrap();
    for service in SERVICES.into_iter().chain(["gateway"]).filter(|service| *service != "identity") {
        let text = keys.derived_file(service).unwrap();
        portolan_runtime::write_private(&data_dir.join(format!("{service}.key")), text.as_bytes()).unwrap();
    }
}

/// The edge of the repository on this machine: its listener for TLS without TLS, and without the one that leads to it.
fn local_edge(clusters: &Path, edge: u16) -> String {
    let text = EDGE.split_once("          transport_socket:\n").expect("the edge has a listener for TLS").0;
    text.replace("port_value: 9901", "port_value: 0")
        .replace("port_value: 8443", &format!("port_value: {edge}"))
        .replace("/etc/envoy/clusters.yaml", &clusters.display().to_string())
}

/// Its clusters with addresses of this machine.
fn local_clusters(places: &[(&'static str, Vec<u16>)]) -> String {
    let mut text = CLUSTERS.to_owned();
    let defaults = (50_051..).take(SERVICES.len()).chain([8_080]);
    for ((name, ports), default) in places.iter().zip(defaults) {
        let endpoint = |address: &str, port: u16| {
            format!("{{ endpoint: {{ address: {{ socket_address: {{ address: {address}, port_value: {port} }} }} }} }}")
        };
        let from = endpoint(name, default);
        assert!(text.contains(&from), "the edge has no cluster for {name}");
        let here: Vec<_> = ports.iter().map(|port| endpoint("127.0.0.1", *port)).collect();
        text = text.replace(&from, &here.join(", "));
    }
    text
}
