use std::{
    fs,
    net::TcpStream,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::ports::free_port;
use crate::{Certificates, process::Process};

const START_MAX: Duration = Duration::from_secs(60);

/// A Postgres of this test alone, which takes connections over TLS only, from clients that show a certificate of its
/// authority and know the password of the user `postgres`.
pub struct PostgresServer {
    port: u16,
    /// Before the directory, so that it ends before its files go.
    _process: Process,
    _directory: TempDir,
}

impl PostgresServer {
    /// Of its user, with characters that a URL must escape.
    pub const PASSWORD: &str = "p@ss:word";

    /// Starts the programs of the folder that the environment names.
    pub async fn start_secured(certificates: &Certificates) -> Self {
        let programs =
            std::env::var("PORTOLAN_TEST_POSTGRES_BIN").expect("the case runs only with a Postgres to start");
        let port = free_port();
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path();
        fs::set_permissions(place, fs::Permissions::from_mode(0o755)).unwrap();
        for (name, from) in
            [("ca.crt", certificates.ca()), ("tls.crt", certificates.cert()), ("tls.key", certificates.key())]
        {
            fs::copy(from, place.join(name)).unwrap();
        }
        fs::write(place.join("password"), Self::PASSWORD).unwrap();
        fs::set_permissions(place.join("tls.key"), fs::Permissions::from_mode(0o600)).unwrap();
        let user = user();
        if let Some((uid, gid)) = user {
            for path in fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path()).chain([place.to_owned()]) {
                chown(path, Some(uid), Some(gid)).unwrap();
            }
        }
        let command = |name: &str| {
            let mut command = Command::new(Path::new(&programs).join(name));
            command.current_dir(place).arg("-D").arg(place.join("data")).stdout(Stdio::null()).stderr(Stdio::null());
            if let Some((uid, gid)) = user {
                command.uid(uid).gid(gid);
            }
            command
        };
        let mut made = command("initdb");
        made.args(["--no-sync", "--auth=scram-sha-256", "--username=postgres", "--encoding=UTF8"]);
        assert!(made.arg("--pwfile").arg(place.join("password")).status().unwrap().success(), "initdb failed");
        let rule = "hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n";
        fs::write(place.join("data/pg_hba.conf"), rule).unwrap();
        let mut settings = vec!["fsync=off".to_owned(), "listen_addresses=127.0.0.1".to_owned()];
        settings.extend(["unix_socket_directories=".to_owned(), "ssl=on".to_owned()]);
        for (name, file) in [("ssl_ca_file", "ca.crt"), ("ssl_cert_file", "tls.crt"), ("ssl_key_file", "tls.key")] {
            settings.push(format!("{name}={}", place.join(file).display()));
        }
        let mut server = command("postgres");
        server.args(["-p", &port.to_string()]).args(settings.iter().flat_map(|setting| ["-c", setting.as_str()]));
        let process = Process::spawn(&mut server).unwrap();
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < START_MAX, "Postgres does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Self { port, _process: process, _directory: directory }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// With the user and the password.
    pub fn url(&self) -> String {
        format!("postgres://postgres:p%40ss%3Aword@127.0.0.1:{}/postgres", self.port)
    }
}

/// The server refuses to run as root: then the user `postgres` runs it.
fn user() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("postgres:")).expect("a user postgres");
    let mut ids = line.split(':').skip(2).map(|id| id.parse().unwrap());
    Some((ids.next().unwrap(), ids.next().unwrap()))
}
