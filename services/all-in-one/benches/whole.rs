//! The whole product, measured from outside against a yardstick of the same run. Prints rows of a Markdown table.
//!
//! A ratio compares two figures taken one after the other on this machine; absolute figures are for orientation.

use std::{
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

mod common;
use common::{BoxError, Load, Portolan, against, row, size, spawn_self};

const HAR_ENDPOINTS: u64 = 1000;
/// How often a start is measured; the median counts.
const STARTS: usize = 5;

fn main() -> Result<(), BoxError> {
    if std::env::args().any(|argument| argument == "echo") {
        return portolan_testkit::runtime().block_on(echo());
    }
    // The client wants a provider even for plain HTTP.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let directory = tempfile::tempdir()?;
    let runtime = portolan_testkit::runtime();
    start(directory.path())?;
    let server = Portolan::start(directory.path(), &[])?;
    runtime.block_on(requests(&server))?;
    // Beside the values of serde_json a larger file would not fit everywhere.
    let bytes = size("PORTOLAN_BENCH_HAR_MB", 300) * 1_000_000;
    runtime.block_on(import(&server, directory.path(), bytes))?;
    drop(server);

    let directory = tempfile::tempdir()?;
    let server = Portolan::start(directory.path(), &[])?;
    let bytes = size("PORTOLAN_BENCH_LARGE_HAR_MB", 1_000) * 1_000_000;
    runtime.block_on(import_large(&server, directory.path(), bytes))
}

/// The time until the product is ready, and its memory while nobody asks anything.
fn start(directory: &Path) -> Result<(), BoxError> {
    let first = Portolan::start(directory, &[])?.started_in.as_secs_f64() * 1e3;
    let mut times = Vec::new();
    for _ in 0..STARTS {
        times.push(Portolan::start(directory, &[])?.started_in.as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let server = Portolan::start(directory, &[])?;
    std::thread::sleep(Duration::from_secs(2));
    println!("| idle memory of the one process | {:.0} MiB | – | – | ≤ 60 MiB |", server.process.memory("VmRSS:")?);
    println!("| start to ready | {:.0} ms (the first start {first:.0} ms) | – | – | ≤ 500 ms |", times[STARTS / 2]);
    Ok(())
}

/// Requests a second of the cheapest authenticated documented POST, which reads no table, and of one that reads a row,
/// against a bare echo.
async fn requests(server: &Portolan) -> Result<(), BoxError> {
    let (_echo, address) = spawn_self("echo", &[])?;
    let key = format!("x-api-key: {}\r\n", server.api_key);
    for (path, body, goal) in [
        ("/api/getRoleHierarchy", r#"{"userRole":"ADMIN"}"#, "≥ 0.35 ×"),
        ("/api/getCollection", r#"{"apiCollectionId":0}"#, "–"),
    ] {
        let echo = Load::post(address.parse()?, "/", "", body);
        let (measured, yardstick) = against(&Load::post(server.http, path, &key, body), &echo).await?;
        row(&format!("one process, POST {path}"), measured, "bare axum JSON echo", yardstick, goal);
    }
    Ok(())
}

/// A generated capture through `POST /v1/imports` into the inventory against serde_json on the same bytes.
async fn import(server: &Portolan, directory: &Path, bytes: u64) -> Result<(), BoxError> {
    let file = directory.join("generated.har");
    let entries = generate_har(&file, bytes)?;
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
    let imported_in = import_file(server, &file, entries).await?;
    println!(
        "| HAR import, {megabytes:.0} MB, end to end | {:.0} MB/s | serde_json to Value {:.0} MB/s | {:.2} × | ≥ 0.3 × |",
        megabytes / imported_in,
        megabytes / parsed_in,
        parsed_in / imported_in
    );
    Ok(())
}

/// The memory of the whole process at its peak during the import of a large file.
async fn import_large(server: &Portolan, directory: &Path, bytes: u64) -> Result<(), BoxError> {
    let file = directory.join("large.har");
    let entries = generate_har(&file, bytes)?;
    import_file(server, &file, entries).await?;
    let peak = server.process.memory("VmHWM:")?;
    println!("| peak memory while importing a HAR of {} MB | {peak:.0} MiB | – | – | ≤ 200 MiB |", bytes / 1_000_000);
    Ok(())
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

/// Seconds until every entry of the file is in the inventory.
async fn import_file(server: &Portolan, file: &Path, entries: u64) -> Result<f64, BoxError> {
    let started = Instant::now();
    let client = reqwest::Client::new();
    let base = format!("http://{}", server.http);
    let body = reqwest::Body::from(tokio::fs::File::open(file).await?);
    let upload =
        client.post(format!("{base}/v1/imports?collectionName=Generated")).header("x-api-key", &server.api_key);
    let answer: serde_json::Value = upload.body(body).send().await?.error_for_status()?.json().await?;
    let url = format!("{base}/v1/jobs/{}", answer["jobId"].as_str().ok_or("no job")?);
    loop {
        let job = client.get(&url).header("x-api-key", &server.api_key).send().await?;
        let job: serde_json::Value = job.error_for_status()?.json().await?;
        match job["state"].as_str() {
            Some("SUCCEEDED") if job["importedItems"] == entries => return Ok(started.elapsed().as_secs_f64()),
            Some("PENDING" | "RUNNING") => tokio::time::sleep(Duration::from_millis(20)).await,
            _ => return Err(format!("of {entries} entries: {job}").into()),
        }
    }
}

/// Calls of about 2 KB to 1,000 endpoints. Returns the number of entries.
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
