use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Certificates for this machine and their authority, as PEM files.
pub struct Certificates {
    folder: PathBuf,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Certificates {
    /// Writes `ca.crt`, `tls.crt` and `tls.key`; what is there is replaced by those of another authority.
    pub fn write(folder: &Path) -> Self {
        let mut authority = named(&format!("authority of {}", folder.display()), Vec::new());
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("ca.crt"), authority.pem()).unwrap();
        let written = Self { folder: folder.to_owned(), authority };
        written.sign(folder, leaf());
        written
    }

    /// Writes another certificate of the authority, which ends on a day; returns its file and that of its key.
    pub fn issue(&self, folder: &Path, (year, month, day): (i32, u8, u8)) -> (String, String) {
        let mut params = leaf();
        params.not_after = rcgen::date_time_ymd(year, month, day);
        std::fs::create_dir_all(folder).unwrap();
        self.sign(folder, params);
        (file(folder, "tls.crt"), file(folder, "tls.key"))
    }

    fn sign(&self, folder: &Path, params: CertificateParams) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        std::fs::write(folder.join("tls.crt"), certificate.pem()).unwrap();
        std::fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
    }

    /// The file of the authority.
    pub fn ca(&self) -> String {
        file(&self.folder, "ca.crt")
    }

    /// The file of the certificate.
    pub fn cert(&self) -> String {
        file(&self.folder, "tls.crt")
    }

    /// The file of its key.
    pub fn key(&self) -> String {
        file(&self.folder, "tls.key")
    }
}

/// Each with a name of its own: OpenSSL finds authorities by their names.
fn named(name: &str, hosts: Vec<String>) -> CertificateParams {
    let mut params = CertificateParams::new(hosts).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn leaf() -> CertificateParams {
    named("portolan", vec!["127.0.0.1".to_owned()])
}

fn file(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}
