//! Mutual TLS between the processes of an installation, from files that may be replaced while it runs.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use crate::{Config, process::BoxError};

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
        let path = |key: &str| PathBuf::from(config.get(key));
        if config.get("tls.cert").is_empty() {
            return Ok(None);
        }
        let (cert, key, ca) = (path("tls.cert"), path("tls.key"), path("tls.ca"));
        let (server, client) = load(&cert, &key, &ca)?;
        let current = Current {
            looked_at: Instant::now(),
            changed_at: changed_at([&cert, &key, &ca]),
            generation: 0,
            server,
            client,
        };
        Ok(Some(Arc::new(Self { cert, key, ca, current: Mutex::new(current) })))
    }

    /// What the next accepted connection speaks. Only peers with a certificate of the authority are let in.
    pub fn server(&self) -> Arc<ServerConfig> {
        self.refreshed(|current| current.server.clone())
    }

    /// What the next opened connection speaks, with a number that changes when the files do.
    pub fn client(&self) -> (u64, ClientTlsConfig) {
        self.refreshed(|current| (current.generation, current.client.clone()))
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

fn changed_at(files: [&PathBuf; 3]) -> Vec<SystemTime> {
    let time =
        |path: &PathBuf| std::fs::metadata(path).and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    files.map(time).to_vec()
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
