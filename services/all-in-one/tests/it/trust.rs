//! What comes of processes that do not trust each other: a 503 for the client, and lines in the logs of both sides that
//! name the other and the cause.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use portolan_authz::{PEER_FAULT_HEADER, SERVICE_HEADER, ServiceAuth};
use portolan_testkit::{Certificates, TestDb};
use tokio::process::{Child, Command};
use tonic::Code;

use crate::server::{PATIENCE, Server};

/// A gateway beside a running installation, with a store and settings of its own.
struct Gateway {
    _child: Child,
    http: String,
    metrics: String,
    log: PathBuf,
}

impl Gateway {
    async fn start(folder: &Path, server: &Server, scheme: &str, variables: &[(&str, String)]) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        portolan_runtime::Keys::load_or_create(&folder.join("secret-key")).unwrap();
        let log = folder.join("gateway.log");
        let [port, metrics] = std::array::from_fn(|_| portolan_testkit::free_port());
        let binary = Path::new(env!("CARGO_BIN_EXE_portolan")).with_file_name("portolan-gateway");
        let mut command = Command::new(binary);
        command.args(["--http", &format!("127.0.0.1:{port}"), "--data-dir"]).arg(folder);
        for service in crate::six::SERVICES {
            let port = server.grpc.rsplit_once(':').unwrap().1;
            command.env(format!("PORTOLAN__PEERS__{}", service.to_uppercase()), format!("{scheme}://127.0.0.1:{port}"));
        }
        command.env("PORTOLAN__STORE__URL", format!("sqlite:{}", folder.display()));
        command.env("PORTOLAN__METRICS__ADDR", format!("127.0.0.1:{metrics}"));
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command.stdout(Stdio::null()).stderr(std::fs::File::create(&log).unwrap()).kill_on_drop(true);
        let at = |port: u16| format!("http://127.0.0.1:{port}");
        let gateway = Self { _child: command.spawn().unwrap(), http: at(port), metrics: at(metrics), log };
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while reqwest::get(format!("{}/healthz", gateway.metrics)).await.is_err() {
            assert!(tokio::time::Instant::now() < deadline, "{}", std::fs::read_to_string(&gateway.log).unwrap());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        gateway
    }

    /// A call with the key of the administrator.
    async fn status(&self, server: &Server) -> u16 {
        let request = reqwest::Client::new().post(format!("{}/api/getAllCollections", self.http)).body("{}");
        let request = request.header("content-type", "application/json").header("x-api-key", &server.api_key);
        request.send().await.unwrap().status().as_u16()
    }

    async fn metrics(&self) -> String {
        reqwest::get(format!("{}/metrics", self.metrics)).await.unwrap().text().await.unwrap()
    }
}

/// Waits for an ERROR line with all of these words.
async fn expect_line(log: &Path, words: &[&str]) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let text = std::fs::read_to_string(log).unwrap();
        if text.lines().any(|line| line.contains("ERROR") && words.iter().all(|word| line.contains(word))) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "no line with {words:?} in {text}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Of a path that belongs to no service, any will do.
fn audience(path: &str) -> &str {
    Some(portolan_authz::service_of(path)).filter(|service| !service.is_empty()).unwrap_or("tokens")
}

async fn start(test: &TestDb, log: &Path, variables: &[(&str, &str)]) -> Server {
    let data_dir = tempfile::tempdir().unwrap().keep();
    let file = std::fs::File::create(log).unwrap();
    Server::start_program(env!("CARGO_BIN_EXE_portolan"), test, data_dir, variables, file.into()).await
}

/// A service with another secret key, and one whose clock is off, gets UNAVAILABLE from every RPC, and its clients 503;
/// a user who calls what is not for users still gets the refusal for that.
pub async fn a_peer_with_another_key_or_clock_is_a_fault_of_the_operator(test: TestDb) {
    let folder = tempfile::tempdir().unwrap().keep();
    let log = folder.join("server.log");
    let server = start(&test, &log, &[]).await;

    let gateway = Gateway::start(&folder.join("foreign"), &server, "http", &[]).await;
    assert_eq!(gateway.status(&server).await, 503);
    expect_line(&log, &["portolan-gateway at 127.0.0.1", "another secret key"]).await;
    expect_line(&gateway.log, &[&server.grpc, "secret key or clock"]).await;
    assert!(gateway.metrics().await.contains("portolan_peer_faults_total{fault=\"key\"}"));

    let keys = portolan_runtime::Keys::load(&server.data_dir.join("secret-key")).unwrap();
    let ours = keys.auth("installation").named("portolan-late");
    let foreign = ServiceAuth::new(&[7; 32]).named("portolan-foreign");
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", server.grpc)).unwrap().connect().await;
    let channel = channel.unwrap();
    let call = async |path: &'static str, token: Option<String>| {
        let mut client = tonic::client::Grpc::new(channel.clone());
        client.ready().await.unwrap();
        let mut request = tonic::Request::new(());
        if let Some(token) = token {
            request.metadata_mut().insert(SERVICE_HEADER, token.parse().unwrap());
        }
        let codec: tonic_prost::ProstCodec<(), ()> = tonic_prost::ProstCodec::default();
        let path = path.parse().unwrap();
        match client.unary(request, path, codec).await {
            Ok(_) => (Code::Ok, String::new()),
            Err(status) => {
                let fault = status.metadata().get(PEER_FAULT_HEADER).map(|fault| fault.to_str().unwrap().to_owned());
                (status.code(), fault.unwrap_or_default())
            }
        }
    };
    let internal = "/portolan.identity.v1.IdentityService/ListVerificationKeys";
    for path in [internal, "/portolan.inventory.v1.CollectionService/ListCollections", "/grpc.health.v1.Health/Check"] {
        assert_eq!(
            call(path, Some(foreign.token_at(audience(path), now_s).unwrap())).await,
            (Code::Unavailable, "key".into()),
            "{path}"
        );
        for skew_s in [-600, -50, 50, 600] {
            let token = ours.token_at(audience(path), now_s + skew_s).unwrap();
            assert_eq!(call(path, Some(token)).await, (Code::Unavailable, "clock".into()), "{path} {skew_s} s");
        }
    }
    expect_line(&log, &["portolan-late at 127.0.0.1", "behind this one"]).await;
    for skew_s in [-20, 0, 20] {
        assert_eq!(
            call(internal, Some(ours.token_at("identity", now_s + skew_s).unwrap())).await.0,
            Code::Ok,
            "{skew_s} s"
        );
    }
    for nobody in [None, Some("guess".to_owned())] {
        assert_eq!(call(internal, nobody).await, (Code::PermissionDenied, String::new()));
    }

    let doctor = async |key_file: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portolan"));
        command.args(["doctor", "--data-dir"]).arg(&server.data_dir).env("PORTOLAN__STORE__URL", &test.url);
        command.env("PORTOLAN__HTTP__ADDR", server.http.trim_start_matches("http://"));
        command.env("PORTOLAN__GRPC__ADDR", &server.grpc).env("PORTOLAN__SECRETS__KEY_FILE", key_file);
        let output = command.output().await.unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (_, text) = doctor(&server.data_dir.join("secret-key")).await;
    assert!(text.contains("ok    identity at"), "{text}");
    let (well, text) = doctor(&folder.join("foreign/secret-key")).await;
    assert!(!well && text.contains("it runs with another secret key"), "{text}");
}

/// Certificates of another authority keep both sides apart: 503, and a line at each.
pub async fn a_foreign_certificate_is_a_fault_of_the_operator(test: TestDb) {
    let folder = tempfile::tempdir().unwrap().keep();
    let files = |name: &str| {
        let place = folder.join(name);
        std::fs::create_dir(&place).unwrap();
        Certificates::write(&place);
        [("CERT", "tls.crt"), ("KEY", "tls.key"), ("CA", "ca.crt")]
            .map(|(key, file)| (format!("PORTOLAN__TLS__{key}"), place.join(file).display().to_string()))
    };
    let (own, foreign) = (files("own"), files("foreign"));
    let log = folder.join("server.log");
    let variables = own.each_ref().map(|(name, value)| (name.as_str(), value.as_str()));
    let server = start(&test, &log, &variables).await;
    let mut variables = foreign.each_ref().map(|(name, value)| (name.as_str(), value.clone())).to_vec();
    variables.push(("PORTOLAN__SECRETS__KEY_FILE", server.data_dir.join("secret-key").display().to_string()));
    let gateway = Gateway::start(&folder.join("gateway"), &server, "https", &variables).await;
    assert_eq!(gateway.status(&server).await, 503);
    expect_line(&gateway.log, &[&server.grpc, "certificate"]).await;
    assert!(gateway.metrics().await.contains("portolan_peer_faults_total{fault=\"certificate\"}"));

    // The gateway takes the server's certificate, and the server does not take the gateway's.
    let mixed = [foreign[0].clone(), foreign[1].clone(), own[2].clone()];
    let mut variables = mixed.each_ref().map(|(name, value)| (name.as_str(), value.clone())).to_vec();
    variables.push(("PORTOLAN__SECRETS__KEY_FILE", server.data_dir.join("secret-key").display().to_string()));
    let gateway = Gateway::start(&folder.join("mixed"), &server, "https", &variables).await;
    assert_eq!(gateway.status(&server).await, 503);
    expect_line(&log, &["peer=127.0.0.1", "certificate"]).await;
}

/// A caller token opens the service that it was made for, when the service that it was made for speaks; a service token
/// opens the service that it names.
pub async fn a_token_opens_one_service(test: TestDb) {
    let server = Server::start(&test).await;
    let keys = portolan_runtime::Keys::load(&server.data_dir.join("secret-key")).unwrap();
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", server.grpc)).unwrap().connect().await;
    let channel = channel.unwrap();
    let lists = "/portolan.imports.v1.ImportsService/ListJobs";
    let usage = "/portolan.billing.v1.BillingService/GetUsage";
    let collections = "/portolan.inventory.v1.CollectionService/ListCollections";
    let paths = [lists, usage, collections];
    assert!(paths.iter().all(|path| portolan_api::policy(path).is_some()), "an RPC has another name");
    let ask = async |path: &'static str, speaker: &str, audience: &str, caller: &str| {
        let mut headers = vec![(portolan_authz::CALLER_HEADER, caller.to_owned())];
        if !speaker.is_empty() {
            headers.push((SERVICE_HEADER, keys.auth(speaker).token(audience).unwrap().as_ref().to_owned()));
        }
        let answer = crate::guards::call(&channel, path, &headers, Vec::new()).await;
        answer.map_or_else(|status| status.code(), |_| Code::Ok)
    };

    let caller = async |speaker: &str, service: &str| {
        let mut client =
            portolan_api::identity::v1::identity_service_client::IdentityServiceClient::new(channel.clone());
        let mut request = tonic::Request::new(portolan_api::identity::v1::AuthenticateRequest {
            credential: Some(portolan_api::identity::v1::authenticate_request::Credential::ApiKey(
                server.api_key.clone(),
            )),
            scope: "API".to_owned(),
            client_address: "127.0.0.1".to_owned(),
            service: service.to_owned(),
        });
        let token = keys.auth(speaker).token("identity").unwrap();
        request.metadata_mut().insert(SERVICE_HEADER, token.parse().unwrap());
        client.authenticate(request).await.unwrap().into_inner().caller_token
    };
    let for_imports = caller("gateway", "imports").await;
    for (path, service) in [(lists, "imports"), (usage, "billing"), (collections, "inventory")] {
        let token = caller("gateway", service).await;
        assert_eq!(ask(path, "gateway", service, &token).await, Code::Ok, "{path}");
        assert_eq!(ask(path, "tokens", service, &token).await, Code::Unauthenticated, "{path} by tokens");
        assert_eq!(ask(path, "", service, &token).await, Code::Unauthenticated, "{path} by a client");
        assert_eq!(ask(path, "gateway", "tokens", &token).await, Code::Unavailable, "{path} meant for tokens");
        let foreign = caller("gateway", "tokens").await;
        assert_eq!(ask(path, "gateway", service, &foreign).await, Code::Unauthenticated, "{path} with another's");
    }
    assert_eq!(ask(usage, "gateway", "billing", &for_imports).await, Code::Unauthenticated);
    // Imports passes it on to the inventory, and nowhere else.
    assert_eq!(ask(collections, "imports", "inventory", &for_imports).await, Code::Ok);
    assert_eq!(ask(usage, "imports", "billing", &for_imports).await, Code::Unauthenticated);
}
