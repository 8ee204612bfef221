//! The guard against real servers on this machine, reached by names that only the test's resolver knows.

use std::{
    collections::HashMap,
    future::Future,
    io::Write as _,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::Request as Received,
    http::{Response, StatusCode, header},
    routing::any,
};
use portolan_fetch::{Fetch, FetchError, Policy, Request, Resolve};

/// Answers, name by name, one list of addresses after the other; the last one stays.
#[derive(Default)]
struct Script {
    answers: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    asked: Mutex<Vec<String>>,
}

impl Script {
    fn name(self, host: &str, answers: &[&[&str]]) -> Self {
        let answers = answers.iter().map(|list| list.iter().map(|ip| ip.parse().unwrap()).collect()).collect();
        self.answers.lock().unwrap().insert(host.to_owned(), answers);
        self
    }
}

impl Resolve for Script {
    fn resolve(&self, host: &str) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send + '_>> {
        self.asked.lock().unwrap().push(host.to_owned());
        let mut answers = self.answers.lock().unwrap();
        let found = answers.get_mut(host).map(|list| if list.len() > 1 { list.remove(0) } else { list[0].clone() });
        Box::pin(std::future::ready(found.ok_or_else(|| std::io::Error::other("no such name"))))
    }
}

/// A server that answers by path and writes down the headers and bodies it was sent.
struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        let router = Router::new().fallback(any(move |request: Received| {
            let log = log.clone();
            async move { answer(request, &log).await }
        }));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, seen }
    }

    fn url(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.address.port())
    }

    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

async fn answer(request: Received, log: &Mutex<Vec<String>>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let names: Vec<_> = parts.headers.keys().filter(|name| *name != "host").map(|name| name.as_str()).collect();
    let line = format!("{} {} {names:?} {}", parts.method, parts.uri, String::from_utf8_lossy(&body));
    log.lock().unwrap().push(line);
    let respond = |status: u16| Response::builder().status(status);
    let query = parts.uri.query().unwrap_or_default().to_owned();
    match parts.uri.path() {
        "/to" => respond(302).header(header::LOCATION, query).body(Body::empty()).unwrap(),
        "/to307" => respond(307).header(header::LOCATION, query).body(Body::empty()).unwrap(),
        "/loop" => respond(302).header(header::LOCATION, "/loop").body(Body::empty()).unwrap(),
        "/large" => respond(200).body(Body::from(vec![b'x'; 5000])).unwrap(),
        "/stream" => {
            let pieces = futures::stream::iter((0..1000).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 100])));
            respond(200).body(Body::from_stream(pieces)).unwrap()
        }
        "/bomb" => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            gzip.write_all(&vec![b'0'; 4_000_000]).unwrap();
            respond(200).header("content-encoding", "gzip").body(gzip.finish().unwrap().into()).unwrap()
        }
        "/gzip" => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(b"plain").unwrap();
            respond(200).header("content-encoding", "gzip").body(gzip.finish().unwrap().into()).unwrap()
        }
        "/br" => respond(200).header("content-encoding", "br").body(Body::from("x")).unwrap(),
        "/slow" => {
            tokio::time::sleep(Duration::from_secs(30)).await;
            respond(200).body(Body::empty()).unwrap()
        }
        _ => respond(StatusCode::OK.as_u16()).body(Body::from("hello")).unwrap(),
    }
}

fn local(script: Script) -> (Fetch, Arc<Script>) {
    let script = Arc::new(script);
    let policy = Policy { allow_private: true, ..Policy::default() };
    (Fetch::with_resolver(policy, script.clone()), script)
}

#[tokio::test]
async fn connects_to_the_address_that_was_checked() {
    let server = Server::start().await;
    // A second look-up would lead elsewhere: the call must not make one.
    let (fetch, script) = local(Script::default().name("once.test", &[&["127.0.0.1"], &["169.254.169.254"]]));
    let response = fetch.send(Request::get(server.url("once.test", "/"))).await.unwrap();
    assert_eq!(response.text(), "hello");
    assert_eq!(*script.asked.lock().unwrap(), ["once.test"]);
}

#[tokio::test]
async fn one_refused_address_among_many_refuses_the_name() {
    let server = Server::start().await;
    let script = Script::default()
        .name("mixed.test", &[&["127.0.0.1", "169.254.169.254"]])
        .name("mapped.test", &[&["::ffff:169.254.169.254"]])
        .name("nat.test", &[&["64:ff9b::a9fe:a9fe"]])
        .name("any.test", &[&["0.0.0.0"]]);
    let (fetch, _) = local(script);
    for host in ["mixed.test", "mapped.test", "nat.test", "any.test"] {
        let error = fetch.send(Request::get(server.url(host, "/"))).await.unwrap_err();
        assert_eq!(error, FetchError::RefusedName, "{host}");
    }
    let guarded =
        Fetch::with_resolver(Policy::default(), Arc::new(Script::default().name("a.test", &[&["127.0.0.1"]])));
    let error = guarded.send(Request::get(server.url("a.test", "/"))).await.unwrap_err();
    assert_eq!(error, FetchError::RefusedName);
    assert_eq!(guarded.send(Request::get(server.url("127.0.0.1", "/"))).await.unwrap_err(), FetchError::RefusedAddress);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_name_that_turns_to_a_refused_address_is_refused_the_second_time() {
    let server = Server::start().await;
    let script = Script::default().name("turns.test", &[&["127.0.0.1"], &["169.254.169.254"]]);
    let (fetch, _) = local(script);
    // Each redirect below goes to another port, so that no open connection is reused.
    let other = Server::start().await;
    let there = other.url("turns.test", "/");
    let error = fetch.send(Request::get(server.url("turns.test", &format!("/to?{there}")))).await.unwrap_err();
    assert_eq!(error, FetchError::RefusedName);
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn redirects_are_checked_and_counted() {
    let server = Server::start().await;
    let script = Script::default().name("a.test", &[&["127.0.0.1"]]).name("bad.test", &[&["169.254.169.254"]]);
    let (fetch, _) = local(script);
    let check = async |target: &str, expected: Result<&str, FetchError>| {
        let response = fetch.send(Request::get(server.url("a.test", target))).await;
        assert_eq!(response.map(|response| response.text()), expected.map(str::to_owned), "{target}");
    };
    check("/to?/plain", Ok("hello")).await;
    check("/to?http://169.254.169.254/", Err(FetchError::RefusedName)).await;
    check("/to?http://0xa9fea9fe/", Err(FetchError::RefusedName)).await;
    check("/to?http://bad.test/", Err(FetchError::RefusedName)).await;
    check("/to?file:///etc/passwd", Err(FetchError::RefusedName)).await;
    check("/to?http://u:p@a.test/", Err(FetchError::RefusedName)).await;
    check("/loop", Err(FetchError::BadRedirect)).await;
    server.seen();
    let response = fetch.send(Request::get(server.url("a.test", "/loop")).redirects_max(0)).await.unwrap();
    assert_eq!((response.status.as_u16(), server.seen().len()), (302, 1));
    assert!(fetch.send(Request::get(server.url("a.test", "/loop")).redirects_max(100)).await.is_err());
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn what_was_meant_for_one_host_reaches_no_other() {
    let (server, other) = (Server::start().await, Server::start().await);
    let (fetch, _) = local(Script::default().name("a.test", &[&["127.0.0.1"]]).name("b.test", &[&["127.0.0.1"]]));
    let request = |path: String| {
        Request::post(server.url("a.test", &path))
            .header("accept", "*/*")
            .secret_header("authorization", "Bearer s3cret")
            .header("x-api-key", "s3cret")
            .header("cookie", "a=s3cret")
            .header("host", "evil.test")
    };
    fetch.send(request(format!("/to?{}", other.url("b.test", "/x"))).json(&"s3cret")).await.unwrap();
    assert_eq!(other.seen(), [r#"GET /x ["accept", "user-agent"] "#]);
    // The same host on another port is another origin.
    fetch.send(request(format!("/to?{}", other.url("a.test", "/x")))).await.unwrap();
    assert_eq!(other.seen(), [r#"GET /x ["accept", "user-agent"] "#]);
    let error = fetch.send(request(format!("/to307?{}", other.url("b.test", "/x"))).json(&"s3cret")).await.unwrap_err();
    assert_eq!((error, other.seen().len()), (FetchError::BadRedirect, 0));
    server.seen();
    fetch.send(request("/to307?/x".to_owned()).body("s3cret")).await.unwrap();
    let seen = server.seen();
    assert!(
        seen[1].starts_with("POST /x") && seen[1].contains("authorization") && seen[1].ends_with("s3cret"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn answers_are_limited_in_size_and_time() {
    let server = Server::start().await;
    let (fetch, _) = local(Script::default().name("a.test", &[&["127.0.0.1"]]));
    let get = |path: &str| Request::get(server.url("a.test", path)).bytes_max(4999);
    for path in ["/large", "/stream", "/bomb"] {
        assert_eq!(fetch.send(get(path)).await.unwrap_err(), FetchError::TooLarge(4999), "{path}");
    }
    assert_eq!(fetch.send(get("/large").bytes_max(5000)).await.unwrap().body.len(), 5000);
    assert_eq!(fetch.send(get("/gzip")).await.unwrap().text(), "plain");
    assert_eq!(fetch.send(get("/br")).await.unwrap_err(), FetchError::BadEncoding);
    let slow = fetch.send(get("/slow").time_max(Duration::from_millis(100))).await;
    assert_eq!(slow.unwrap_err(), FetchError::TooSlow(0));
}

#[tokio::test]
async fn closed_ports_and_missing_names_read_alike() {
    let (fetch, _) = local(Script::default().name("a.test", &[&["127.0.0.1"]]));
    let closed = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    // Something that listens and speaks no HTTP.
    let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = other.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = other.accept().await {
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"SSH-2.0-OpenSSH_9.2\r\n").await.unwrap();
        }
    });
    for url in [
        format!("http://a.test:{closed}/"),
        format!("http://a.test:{port}/"),
        "http://missing.test/".to_owned(),
        format!("https://a.test:{port}/"),
    ] {
        let error = fetch.send(Request::get(&url)).await.unwrap_err();
        assert_eq!(error.to_string(), "the host did not answer", "{url}");
    }
}

#[tokio::test]
async fn the_host_of_a_configured_url_is_trusted_and_no_other() {
    let server = Server::start().await;
    let fetch = Fetch::new(Policy::default());
    let url = server.url("127.0.0.1", "/");
    assert_eq!(fetch.check(&url).unwrap_err(), FetchError::RefusedAddress);
    let trusting = fetch.trusting(&url);
    assert_eq!(trusting.send(Request::get(&url)).await.unwrap().text(), "hello");
    assert_eq!(trusting.check("http://127.0.0.2/").unwrap_err(), FetchError::RefusedAddress);
}
