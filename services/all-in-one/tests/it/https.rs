//! The gateway before clients that it asks for a certificate.

use std::{path::Path, process::Stdio, sync::Arc};

use portolan_testkit::{Certificates, TestDb};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
};
use tokio_rustls::TlsConnector;

use crate::server::{PATIENCE, Server};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portolan");

/// A client that trusts one authority, and shows a certificate or none.
fn client(ca: &str, shown: Option<(&str, &str)>, protocols: &[&str]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots);
    let mut config = match shown {
        None => config.with_no_client_auth(),
        Some((cert, key)) => {
            let chain = vec![CertificateDer::from_pem_file(cert).unwrap()];
            config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap()
        }
    };
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// The status line of what is answered, or why nothing is.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<String> {
    stream.write_all(b"GET /docs HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    // The server may end without saying so.
    let _ = stream.read_to_end(&mut answer).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    match text.lines().next() {
        Some(line) if line.starts_with("HTTP/1.1 ") => Ok(line.to_owned()),
        _ => Err(std::io::Error::other(format!("no HTTP: {} bytes", answer.len()))),
    }
}

async fn over_tls(address: &str, config: &Arc<ClientConfig>) -> std::io::Result<String> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    ask(TlsConnector::from(config.clone()).connect(name, stream).await?).await
}

/// With `http.tls` whoever shows a certificate of the authority is served, over TLS alone; nobody else gets an answer.
/// Certificates that are replaced count without a restart.
pub async fn clients_show_a_certificate_of_the_authority(test: TestDb) {
    if !test.url.starts_with("sqlite") {
        return;
    }
    let folder = tempfile::tempdir().unwrap().keep();
    let place = folder.join("own");
    let (own, foreign) = (Certificates::write(&place), Certificates::write(&folder.join("foreign")));
    let expired = own.issue(&folder.join("expired"), (2020, 1, 1));
    let later = own.issue(&folder.join("later"), (2100, 1, 1));
    let (cert, key, ca) = (own.cert(), own.key(), own.ca());
    let variables = [
        ("PORTOLAN__HTTP__TLS", "true"),
        ("PORTOLAN__TLS__CERT", cert.as_str()),
        ("PORTOLAN__TLS__KEY", key.as_str()),
        ("PORTOLAN__TLS__CA", ca.as_str()),
    ];
    let log = folder.join("server.log");
    let file = std::fs::File::create(&log).unwrap();
    let server = Server::start_program(PROGRAM, &test, folder.join("data"), &variables, file.into()).await;
    let address = server.http.trim_start_matches("https://");
    assert_ne!(address, server.http, "the ready line tells how it is spoken to");

    for (name, shown) in [("its own", (&cert, &key)), ("another of the authority", (&later.0, &later.1))] {
        let config = client(&ca, Some((shown.0, shown.1)), &[]);
        let answer = over_tls(address, &config).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(answer, "HTTP/1.1 200 OK", "{name}");
    }
    let config = client(&ca, Some((&cert, &key)), &["h2"]);
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TlsConnector::from(config).connect(name, stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));

    let (foreign_cert, foreign_key) = (foreign.cert(), foreign.key());
    for (name, config) in [
        ("no certificate", client(&ca, None, &[])),
        ("a foreign one", client(&ca, Some((&foreign_cert, &foreign_key)), &[])),
        ("one that has ended", client(&ca, Some((&expired.0, &expired.1)), &[])),
        ("trusts another authority", client(&foreign.ca(), Some((&cert, &key)), &[])),
    ] {
        let answer = over_tls(address, &config).await;
        assert!(answer.is_err(), "{name}: {answer:?}");
    }
    let plain = ask(TcpStream::connect(address).await.unwrap()).await;
    assert!(plain.is_err(), "plain: {plain:?}");
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.lines().any(|line| line.contains("ERROR") && line.contains("certificate")), "{text}");

    // Another authority takes the place of the first one.
    let config = client(&ca, Some((&cert, &key)), &[]);
    let new = Certificates::write(&place);
    let renewed = client(&new.ca(), Some((&new.cert(), &new.key())), &[]);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while over_tls(address, &renewed).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the new certificates are not used");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(over_tls(address, &config).await.is_err(), "those before them still open");
}

/// Without certificates there is nothing to ask clients for: the process says so and does not serve in clear.
pub async fn certificates_are_needed(test: TestDb) {
    let data_dir = tempfile::tempdir().unwrap();
    let output = Command::new(PROGRAM)
        .args(["up", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--data-dir"])
        .arg(Path::new(data_dir.path()))
        .env("PORTOLAN__STORE__URL", &test.url)
        .env("PORTOLAN__HTTP__TLS", "true")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, output).await.expect("it ends").unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("http.tls needs"), "{text}");
}
