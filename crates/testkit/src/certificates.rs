use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Certificates for this machine and their authority, as PEM files.
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Writes `ca.crt`, `tls.crt` and `tls.key`; what is there is replaced by those of another authority.
    pub fn write(folder: &Path) -> Self {
        let named = |name: &str, hosts: Vec<String>| {
            // Each with a name of its own: OpenSSL finds authorities by their names.
            let mut params = CertificateParams::new(hosts).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params
        };
        let mut authority = named(&format!("authority of {}", folder.display()), Vec::new());
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = named("portolan", vec!["127.0.0.1".to_owned()]).signed_by(&key, &authority).unwrap();
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("ca.crt"), authority.pem()).unwrap();
        std::fs::write(folder.join("tls.crt"), leaf.pem()).unwrap();
        std::fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
        Self { folder: folder.to_owned() }
    }

    /// The file of the authority.
    pub fn ca(&self) -> String {
        self.file("ca.crt")
    }

    /// The file of the certificate.
    pub fn cert(&self) -> String {
        self.file("tls.crt")
    }

    /// The file of its key.
    pub fn key(&self) -> String {
        self.file("tls.key")
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}
