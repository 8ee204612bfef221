//! Mutual TLS between the processes of an installation, from files that may be replaced while it runs.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use crate::{Config, error::BoxError, measures};

/// How often the files are looked at for a change.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Certificate, key and authority of this process.
pub struct Tls {
    cert: PathBuf,
    key: PathBuf,
    ca: PathBuf,
    current: Mutex<Current>,
}

struct Current {
    looked_at: Instant,
    changed_at: Vec<SystemTime>,
    generation: u64,
    server: Arc<ServerConfig>,
    client: ClientTlsConfig,
}

impl Tls {
    /// `None` when `tls.cert` is not set.
    ///
    /// # Errors
    /// The file that cannot be used.
    pub fn open(config: &Config) -> Result<Option<Arc<Self>>, BoxError> {
        let files = &config.shared.tls;
        if files.cert.is_empty() {
            return Ok(None);
        }
        let [cert, key, ca] = [&files.cert, &files.key, &files.ca].map(PathBuf::from);
        let (server, client) = load(&cert, &key, &ca)?;
        let current = Current {
            looked_at: Instant::now(),
            changed_at: changed_at([&cert, &key, &ca]),
            generation: 0,
            server,
            client,
        };
        let made = Arc::new(Self { cert, key, ca, current: Mutex::new(current) });
        let measured = Arc::downgrade(&made);
        measures::also(move || {
            if let Some(tls) = measured.upgrade() {
                tls.tell_ends();
            }
        });
        Ok(Some(made))
    }

    /// What the next accepted connection speaks. Only peers with a certificate of the authority are let in.
    pub fn server(&self) -> Arc<ServerConfig> {
        self.refreshed(|current| current.server.clone())
    }

    /// What the next opened connection speaks, with a number that changes when the files do.
    pub fn client(&self) -> (u64, ClientTlsConfig) {
        self.refreshed(|current| (current.generation, current.client.clone()))
    }

    /// Publishes when the own certificate and the authorities end, whichever of each is first.
    fn tell_ends(&self) {
        for (key, path) in [("tls.cert", &self.cert), ("tls.ca", &self.ca)] {
            tell_end(key, path);
        }
    }

    fn refreshed<T>(&self, read: impl FnOnce(&Current) -> T) -> T {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.looked_at.elapsed() >= LOOK_EVERY {
            current.looked_at = Instant::now();
            let changed_at = changed_at([&self.cert, &self.key, &self.ca]);
            if changed_at != current.changed_at {
                // A pair that is only half replaced does not load; the next look finds the rest.
                match load(&self.cert, &self.key, &self.ca) {
                    Ok((server, client)) => {
                        tracing::info!("the certificates were replaced");
                        *current = Current {
                            looked_at: Instant::now(),
                            changed_at,
                            generation: current.generation + 1,
                            server,
                            client,
                        };
                    }
                    Err(error) => tracing::warn!(%error, "the new certificates cannot be used; the old ones stay"),
                }
            }
        }
        read(&current)
    }
}

/// What is wrong with a certificate, when that is why a connection was not made or ended.
pub fn certificate_fault(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        // An error of input and output, and one of HTTP/2, name what they hold by methods of their own alone.
        let io = error.downcast_ref::<io::Error>();
        let io = io.or_else(|| error.downcast_ref::<h2::Error>().and_then(h2::Error::get_io));
        let held = io.and_then(io::Error::get_ref).and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(found) = held.or_else(|| error.downcast_ref()).filter(|found| is_of_certificate(found)) {
            return Some(found.to_string());
        }
        cause = error.source();
    }
    None
}

fn is_of_certificate(error: &rustls::Error) -> bool {
    use rustls::AlertDescription as Alert;
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => true,
        rustls::Error::AlertReceived(alert) => matches!(
            alert,
            Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::CertificateRequired
                | Alert::UnknownCA
                | Alert::DecryptError
        ),
        _ => false,
    }
}

fn tell_end(key: &'static str, path: &Path) {
    if let Some(end) = first_end(path) {
        metrics::gauge!("portolan_certificate_end_timestamp_seconds", "file" => key).set(end as f64);
    }
}

/// Publishes when the certificates end that servers of others are spoken to with.
pub(crate) fn tell_ends_of_stores(config: &Config) {
    let files: Vec<_> = config.certificate_files().into_iter().filter(|(key, _)| !key.starts_with("tls.")).collect();
    if !files.is_empty() {
        measures::also(move || files.iter().for_each(|(key, path)| tell_end(key, path)));
    }
}

fn changed_at(files: [&PathBuf; 3]) -> Vec<SystemTime> {
    let time =
        |path: &PathBuf| std::fs::metadata(path).and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    files.map(time).to_vec()
}

/// The first end among the certificates of a file, in Unix seconds.
fn first_end(path: &Path) -> Option<i64> {
    certificate_times(path).ok().map(|(_, end)| end)
}

/// From when, and until when, every certificate of a file counts, in Unix seconds.
///
/// # Errors
/// What is wrong with the file, without its name.
pub fn certificate_times(path: &Path) -> Result<(i64, i64), String> {
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let mut times: Option<(i64, i64)> = None;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| format!("no PEM: {error}"))?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate)
            .map_err(|error| format!("a certificate cannot be read: {error}"))?;
        let (start, end) = (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
        times = Some(times.map_or((start, end), |known| (known.0.max(start), known.1.min(end))));
    }
    times.ok_or_else(|| "it holds no certificate in PEM".to_owned())
}

/// Whether a file holds a private key.
///
/// # Errors
/// What is wrong with the file, without its name.
pub fn expect_private_key(path: &Path) -> Result<(), String> {
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    PrivateKeyDer::from_pem_slice(&text).map(drop).map_err(|_| "it holds no private key in PEM".to_owned())
}

fn load(cert: &PathBuf, key: &PathBuf, ca: &PathBuf) -> Result<(Arc<ServerConfig>, ClientTlsConfig), BoxError> {
    let read = |path: &PathBuf| -> Result<Vec<u8>, BoxError> {
        std::fs::read(path).map_err(|error: io::Error| format!("{}: {error}", path.display()).into())
    };
    let (cert_pem, key_pem, ca_pem) = (read(cert)?, read(key)?, read(ca)?);
    let chain = CertificateDer::pem_slice_iter(&cert_pem).collect::<Result<Vec<_>, _>>()?;
    let private = PrivateKeyDer::from_pem_slice(&key_pem)?;
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(&ca_pem) {
        roots.add(authority?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?;
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, private)?;
    server.alpn_protocols = vec![b"h2".to_vec()];
    let client = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(ca_pem))
        .identity(Identity::from_pem(cert_pem, key_pem));
    Ok((Arc::new(server), client))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_certificates_are_found_in_what_holds_them() {
        let fault = || rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let held = io::Error::new(io::ErrorKind::InvalidData, fault());
        assert!(certificate_fault(&held).is_some_and(|text| text.contains("UnknownIssuer")));
        assert!(certificate_fault(&fault()).is_some());
        assert_eq!(certificate_fault(&io::Error::from(io::ErrorKind::ConnectionRefused)), None);
        assert_eq!(certificate_fault(&rustls::Error::HandshakeNotComplete), None, "a port scan is no fault");
    }
}
