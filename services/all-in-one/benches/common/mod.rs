//! What the benches share: a product as a child process, yardsticks as child processes, and a generator of load.

// Each bench takes a part of this.
#![allow(dead_code)]

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How often a ratio is measured; its median counts.
const ROUNDS: usize = 3;

/// A size of a bench, from a variable.
pub fn size(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// A child process that ends with its handle.
pub struct Process(pub Child);

impl Process {
    /// MiB, of a field of `/proc/PID/status`.
    pub fn memory(&self, field: &str) -> Result<f64, BoxError> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find(|line| line.starts_with(field)).ok_or("no such field")?;
        let kib: f64 = line.split_whitespace().nth(1).ok_or("no figure")?.parse()?;
        Ok(kib / 1024.0)
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// The line that says that the process is ready.
    pub fn first_line(&mut self) -> Result<String, BoxError> {
        let mut line = String::new();
        BufReader::new(self.0.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        if line.is_empty() { Err("the process ended before it was ready".into()) } else { Ok(line) }
    }
}

/// Seconds of CPU time that a process has taken, in the program and in the kernel for it.
pub fn cpu_s(pid: u32) -> Result<f64, BoxError> {
    /// Of `/proc`, on every Linux.
    const TICKS_PER_S: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name of the program stands in parentheses and may hold anything.
    let fields: Vec<_> = stat.rsplit_once(')').ok_or("no name")?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).ok_or("no figure");
    Ok((ticks(11)? + ticks(12)?) / TICKS_PER_S)
}

impl Drop for Process {
    fn drop(&mut self) {
        // A process that is gone already is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The one process.
pub struct Portolan {
    pub process: Process,
    pub http: SocketAddr,
    pub grpc: SocketAddr,
    pub api_key: String,
    pub data: PathBuf,
    pub started_in: Duration,
}

impl Portolan {
    pub fn start(directory: &Path, variables: &[(&str, &str)]) -> Result<Self, BoxError> {
        let data = directory.join("data");
        let started = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_portolan"))
            .args(["up", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--data-dir"])
            .arg(&data)
            .env("RUST_LOG", "warn")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut process = Process(child);
        let line = process.first_line()?;
        let started_in = started.elapsed();
        let part = |name: &str| {
            let rest = line.split_once(name).map_or("", |(_, rest)| rest);
            rest.split_whitespace().next().unwrap_or_default().to_owned()
        };
        let api_key = std::fs::read_to_string(data.join("admin-api-key"))?;
        let (http, grpc) = (part("http=http://").parse()?, part("grpc=").parse()?);
        Ok(Self { process, http, grpc, api_key, data, started_in })
    }
}

/// This program again, in another role. It prints an address when it is ready.
pub fn spawn_self(role: &str, variables: &[(&str, &str)]) -> Result<(Process, String), BoxError> {
    let mut command = Command::new(std::env::current_exe()?);
    let mut process = Process(command.arg(role).envs(variables.iter().copied()).stdout(Stdio::piped()).spawn()?);
    let line = process.first_line()?.trim().to_owned();
    Ok((process, line))
}

/// Envoy, ready.
pub fn start_envoy(program: &str, directory: &Path, config: &str, address: SocketAddr) -> Result<Process, BoxError> {
    let file = directory.join("envoy.yaml");
    std::fs::write(&file, config)?;
    let child = Command::new(program)
        .args(["--log-level", "error", "--use-dynamic-base-id", "--concurrency", "2", "-c"])
        .arg(&file)
        .stdout(Stdio::null())
        .spawn()?;
    let process = Process(child);
    for _ in 0..200 {
        if std::net::TcpStream::connect(address).is_ok() {
            return Ok(process);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err("Envoy does not listen".into())
}

pub fn free_address() -> Result<SocketAddr, BoxError> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// What a generator of load saw.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    pub per_s: f64,
    pub p99_ms: f64,
    /// Requests that were answered, with those of the beginning.
    pub answered: usize,
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.0}/s, p99 {:.1} ms", self.per_s, self.p99_ms)
    }
}

/// A request that is sent over and over, and must be answered with 200.
#[derive(Clone)]
pub struct Load {
    pub address: SocketAddr,
    pub request: Vec<u8>,
    pub connections: usize,
    pub time: Duration,
}

impl Load {
    pub fn post(address: SocketAddr, path: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\n{headers}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        Self::of(address, request)
    }

    pub fn get(address: SocketAddr, path: &str, headers: &str) -> Self {
        Self::of(address, format!("GET {path} HTTP/1.1\r\n{headers}\r\n"))
    }

    fn of(address: SocketAddr, request: String) -> Self {
        Self { address, request: request.into_bytes(), connections: 16, time: Duration::from_secs(4) }
    }

    /// Keeps the connections busy, one request at a time on each. The first half second is not counted.
    pub async fn run(&self) -> Result<Figure, BoxError> {
        let begin = Instant::now() + Duration::from_millis(500);
        let connections: Vec<_> = (0..self.connections).map(|_| tokio::spawn(drive(self.clone(), begin))).collect();
        let (mut latencies, mut answered) = (Vec::new(), 0);
        for connection in connections {
            let (counted, all) = connection.await??;
            latencies.extend(counted);
            answered += all;
        }
        latencies.sort_unstable();
        let p99 = latencies.get(latencies.len() * 99 / 100).ok_or("nothing was answered")?;
        Ok(Figure {
            per_s: latencies.len() as f64 / self.time.as_secs_f64(),
            p99_ms: p99.as_secs_f64() * 1e3,
            answered,
        })
    }
}

/// Returns how long each counted request took, and how many there were with those of the beginning.
async fn drive(load: Load, begin: Instant) -> Result<(Vec<Duration>, usize), BoxError> {
    let mut stream = TcpStream::connect(load.address).await?;
    stream.set_nodelay(true)?;
    let (mut latencies, mut answered, mut buffer) = (Vec::new(), 0, Vec::with_capacity(16 * 1024));
    let end = begin + load.time;
    loop {
        let started = Instant::now();
        if started >= end {
            return Ok((latencies, answered));
        }
        stream.write_all(&load.request).await?;
        buffer.clear();
        while !is_whole(&buffer) {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Err("the connection ended".into());
            }
        }
        if !buffer.starts_with(b"HTTP/1.1 200") {
            return Err(String::from_utf8_lossy(&buffer).into_owned().into());
        }
        answered += 1;
        if started >= begin {
            latencies.push(started.elapsed());
        }
    }
}

/// Whether a response with a content length, or one in chunks, has arrived.
fn is_whole(response: &[u8]) -> bool {
    let Some(head) = response.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let headers = String::from_utf8_lossy(&response[..head]).to_ascii_lowercase();
    let length = headers.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    match length.and_then(|length| length.parse::<usize>().ok()) {
        Some(length) => response.len() >= head + 4 + length,
        None => headers.contains("chunked") && response.ends_with(b"0\r\n\r\n"),
    }
}

/// Measures a thing and its yardstick by turns; of the rounds the one with the median ratio.
pub async fn against(measured: &Load, yardstick: &Load) -> Result<(Figure, Figure), BoxError> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push((measured.run().await?, yardstick.run().await?));
    }
    rounds.sort_by(|a, b| (a.0.per_s / a.1.per_s).total_cmp(&(b.0.per_s / b.1.per_s)));
    Ok(rounds[ROUNDS / 2])
}

/// The processes through which requests go: that which is measured, and all of them with it.
pub struct Way {
    pub load: Load,
    pub own: u32,
    pub whole: Vec<u32>,
}

impl Way {
    /// Microseconds of CPU time a request, of the measured process and of all.
    async fn cost_us(&self) -> Result<[f64; 2], BoxError> {
        let time =
            || Ok::<_, BoxError>([cpu_s(self.own)?, self.whole.iter().map(|pid| cpu_s(*pid)).sum::<Result<f64, _>>()?]);
        let before = time()?;
        let answered = self.load.run().await?.answered as f64;
        let after = time()?;
        Ok([0, 1].map(|i| (after[i] - before[i]) * 1e6 / answered))
    }
}

/// Prints what a request costs on two ways, by turns; of the rounds the one with the median ratio.
pub async fn costs(what: &str, measured: &Way, yardstick: &Way, goals: [&str; 2]) -> Result<(), BoxError> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push((measured.cost_us().await?, yardstick.cost_us().await?));
    }
    for (i, part) in ["its process alone", "with every process behind it"].into_iter().enumerate() {
        rounds.sort_by(|a, b| (a.0[i] / a.1[i]).total_cmp(&(b.0[i] / b.1[i])));
        let (own, other) = rounds[ROUNDS / 2];
        let (own, other, goal) = (own[i], other[i], goals[i]);
        println!(
            "| CPU time a request, {what}, {part} | {own:.0} µs | Envoy grpc_json_transcoder {other:.0} µs | {:.2} × | {goal} |",
            own / other
        );
    }
    Ok(())
}

/// A row of the table, for figures of load.
pub fn row(what: &str, measured: Figure, against: &str, yardstick: Figure, goal: &str) {
    println!("| {what} | {measured} | {against} {yardstick} | {:.2} × | {goal} |", measured.per_s / yardstick.per_s);
}
