//! The whole product, measured from outside against a yardstick of the same run. Prints a Markdown table.
//!
//! A ratio compares two figures taken one after the other on this machine; absolute figures are for orientation.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const CONNECTIONS: usize = 16;
const LOAD_TIME: Duration = Duration::from_secs(5);
const HAR_BYTES: u64 = 300 * 1024 * 1024;
const HAR_ENDPOINTS: u64 = 1000;

type BoxError = Box<dyn std::error::Error>;

fn main() -> Result<(), BoxError> {
    if std::env::args().any(|argument| argument == "echo") {
        return runtime()?.block_on(echo());
    }
    // The client wants a provider even for plain HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let directory = tempfile::tempdir()?;
    println!("| what | measured | against | ratio | goal |\n|---|---|---|---|---|");
    let server = Server::start(directory.path())?;
    println!("| start to ready, first start | {:.0} ms | – | – | – |", server.started_in.as_secs_f64() * 1e3);
    drop(server);
    let server = Server::start(directory.path())?;
    let ready = server.started_in.as_secs_f64();
    println!("| start to ready | {:.0} ms | – | – | ≤ 500 ms |", ready * 1e3);
    std::thread::sleep(Duration::from_secs(2));
    println!("| idle memory | {:.0} MiB | – | – | ≤ 60 MiB |", server.memory("VmRSS:")?);

    let runtime = runtime()?;
    requests(&runtime, &server)?;
    import(&runtime, server, directory.path())
}

/// Requests a second of the cheapest authenticated documented POST against a bare echo.
fn requests(runtime: &tokio::runtime::Runtime, server: &Server) -> Result<(), BoxError> {
    let body = r#"{"apiCollectionId":0}"#;
    let mut echo = Command::new(std::env::current_exe()?).arg("echo").stdout(Stdio::piped()).spawn()?;
    let address = first_line(&mut echo)?.trim().parse()?;
    let bare = runtime.block_on(load(address, request("/", "", body)));
    echo.kill()?;
    let authenticated = request("/api/saveCollectionDescription", &server.api_key, "{}");
    let refused = runtime.block_on(load(server.address, authenticated));
    let read = runtime.block_on(load(server.address, request("/api/getCollection", &server.api_key, body)));
    let (bare, refused, read) = (bare?, refused?, read?);
    for (name, figure) in [("POST that is refused after authorization", refused), ("POST /api/getCollection", read)] {
        println!(
            "| {name} | {:.0}/s, p99 {:.1} ms | bare axum echo {:.0}/s, p99 {:.1} ms | {:.2} × | ≥ 0.35 × |",
            figure.per_s,
            figure.p99_ms,
            bare.per_s,
            bare.p99_ms,
            figure.per_s / bare.per_s
        );
    }
    Ok(())
}

/// A generated capture through `POST /v1/imports` into the inventory against serde_json on the same bytes.
fn import(runtime: &tokio::runtime::Runtime, server: Server, directory: &Path) -> Result<(), BoxError> {
    let file = directory.join("generated.har");
    let entries = generate_har(&file, HAR_BYTES)?;
    let bytes = std::fs::read(&file)?;
    let megabytes = bytes.len() as f64 / 1e6;
    // The best of three: the first one pays for memory that the process does not have yet.
    let mut parsed_in = f64::MAX;
    for _ in 0..3 {
        let started = Instant::now();
        let value: serde_json::Value = serde_json::from_slice(&bytes)?;
        parsed_in = parsed_in.min(started.elapsed().as_secs_f64());
        drop(value);
    }
    drop(bytes);

    let started = Instant::now();
    let job = runtime.block_on(import_file(&server, &file))?;
    let imported_in = started.elapsed().as_secs_f64();
    if job["importedItems"] != entries {
        return Err(format!("imported {} of {entries} entries", job["importedItems"]).into());
    }
    println!(
        "| HAR import, {megabytes:.0} MB, end to end | {:.0} MB/s | serde_json to Value {:.0} MB/s | {:.2} × | ≥ 0.3 × |",
        megabytes / imported_in,
        megabytes / parsed_in,
        parsed_in / imported_in
    );
    println!("| peak memory of that import | {:.0} MiB | – | – | ≤ 200 MiB |", server.memory("VmHWM:")?);
    Ok(())
}

struct Server {
    child: Child,
    address: SocketAddr,
    api_key: String,
    started_in: Duration,
}

impl Server {
    fn start(directory: &Path) -> Result<Self, BoxError> {
        let data = directory.join("data");
        let started = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_portolan"))
            .args(["up", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--data-dir"])
            .arg(&data)
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let line = first_line(&mut child)?;
        let started_in = started.elapsed();
        let address = line.split("http=http://").nth(1).and_then(|rest| rest.split(' ').next()).ok_or("no address")?;
        let address = address.parse()?;
        let api_key = std::fs::read_to_string(data.join("admin-api-key"))?;
        Ok(Self { child, address, api_key, started_in })
    }

    /// MiB.
    fn memory(&self, field: &str) -> Result<f64, BoxError> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with(field)).ok_or("no such field")?;
        let kib: f64 = line.split_whitespace().nth(1).ok_or("no figure")?.parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A process that is gone already is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Figure {
    per_s: f64,
    p99_ms: f64,
}

/// Keeps `CONNECTIONS` connections busy for `LOAD_TIME`, one request at a time on each.
async fn load(address: SocketAddr, request: Vec<u8>) -> Result<Figure, std::io::Error> {
    let until = Instant::now() + LOAD_TIME;
    let connections = (0..CONNECTIONS).map(|_| tokio::spawn(drive(address, request.clone(), until)));
    let mut latencies = Vec::new();
    for connection in connections.collect::<Vec<_>>() {
        latencies.extend(connection.await??);
    }
    latencies.sort_unstable();
    let p99 = latencies[latencies.len() * 99 / 100];
    Ok(Figure { per_s: latencies.len() as f64 / LOAD_TIME.as_secs_f64(), p99_ms: p99.as_secs_f64() * 1e3 })
}

async fn drive(address: SocketAddr, request: Vec<u8>, until: Instant) -> Result<Vec<Duration>, std::io::Error> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut latencies, mut buffer) = (Vec::new(), Vec::with_capacity(16 * 1024));
    while Instant::now() < until {
        let started = Instant::now();
        stream.write_all(&request).await?;
        buffer.clear();
        while !is_whole(&buffer) {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        latencies.push(started.elapsed());
    }
    Ok(latencies)
}

/// Whether a response with a content length has arrived.
fn is_whole(response: &[u8]) -> bool {
    let Some(head) = response.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let headers = String::from_utf8_lossy(&response[..head]).to_ascii_lowercase();
    let length = headers.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    length.and_then(|length| length.parse::<usize>().ok()).is_some_and(|length| response.len() >= head + 4 + length)
}

fn request(path: &str, api_key: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {api_key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The yardstick: axum, a JSON body in and out.
async fn echo() -> Result<(), BoxError> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let router = axum::Router::new().fallback(async |body: bytes::Bytes| {
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        ([("content-type", "application/json")], value.to_string())
    });
    Ok(axum::serve(listener, router).await?)
}

async fn import_file(server: &Server, file: &Path) -> Result<serde_json::Value, BoxError> {
    let client = reqwest::Client::new();
    let base = format!("http://{}", server.address);
    let body = reqwest::Body::from(tokio::fs::File::open(file).await?);
    let upload =
        client.post(format!("{base}/v1/imports?collectionName=Generated")).header("x-api-key", &server.api_key);
    let answer: serde_json::Value = upload.body(body).send().await?.error_for_status()?.json().await?;
    let url = format!("{base}/v1/jobs/{}", answer["jobId"].as_str().ok_or("no job")?);
    loop {
        let job = client.get(&url).header("x-api-key", &server.api_key).send().await?;
        let job: serde_json::Value = job.error_for_status()?.json().await?;
        match job["state"].as_str() {
            Some("SUCCEEDED") => return Ok(job),
            Some("PENDING" | "RUNNING") => tokio::time::sleep(Duration::from_millis(20)).await,
            _ => return Err(job.to_string().into()),
        }
    }
}

/// Calls of about 2 KB to 1,000 endpoints. Answers the number of entries.
fn generate_har(file: &Path, size: u64) -> Result<u64, BoxError> {
    let mut out = std::io::BufWriter::new(std::fs::File::create(file)?);
    write!(out, r#"{{"log":{{"version":"1.2","creator":{{"name":"bench","version":"1"}},"entries":["#)?;
    let (mut entries, mut written) = (0_u64, 0);
    while written < size {
        let (resource, id) = (entries % HAR_ENDPOINTS, entries * 7919 % 1_000_003);
        let items: Vec<String> = (0..12)
            .map(|n| {
                format!(
                    r#"{{\"sku\":\"item {n}\",\"quantity\":{},\"price\":{}.5,\"note\":\"left at the door\"}}"#,
                    id % 9,
                    id % 97
                )
            })
            .collect();
        let entry = format!(
            r#"{{"startedDateTime":"2026-01-02T03:04:05.000Z","time":12,"request":{{"method":"POST","url":"https://api.bench.test/area{resource}/orders/{id}?page={}","httpVersion":"HTTP/1.1","cookies":[],"headers":[{{"name":"Host","value":"api.bench.test"}},{{"name":"Content-Type","value":"application/json"}},{{"name":"Authorization","value":"Bearer abcdefghij"}},{{"name":"User-Agent","value":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"}}],"queryString":[],"postData":{{"mimeType":"application/json","text":"{{\"customer\":{id},\"express\":true}}"}},"headersSize":-1,"bodySize":-1}},"response":{{"status":200,"statusText":"OK","httpVersion":"HTTP/1.1","cookies":[],"headers":[{{"name":"Content-Type","value":"application/json"}}],"content":{{"size":-1,"mimeType":"application/json","text":"{{\"id\":{id},\"items\":[{}]}}"}},"redirectURL":"","headersSize":-1,"bodySize":-1}},"cache":{{}},"timings":{{"send":0,"wait":0,"receive":0}}}}"#,
            entries % 50,
            items.join(",")
        );
        let separator = if entries == 0 { "" } else { "," };
        write!(out, "{separator}{entry}")?;
        written += entry.len() as u64 + 1;
        entries += 1;
    }
    write!(out, "]}}}}")?;
    out.flush()?;
    Ok(entries)
}

fn first_line(child: &mut Child) -> Result<String, BoxError> {
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    if line.is_empty() { Err("the process ended before it was ready".into()) } else { Ok(line) }
}

fn runtime() -> Result<tokio::runtime::Runtime, std::io::Error> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}
