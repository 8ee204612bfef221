use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::DecodingKey;
use serde_json::Value;
use x509_parser::{
    certificate::X509Certificate,
    pem::Pem,
    prelude::FromDer as _,
    public_key::{PublicKey, RSAPublicKey},
    x509::SubjectPublicKeyInfo,
};

use crate::Algorithm;

/// RFC 7518, 3.3 asks for 2048; more than 4096 costs more at each request than it brings.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;
/// A longer text is no public key.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// A longer name makes a key unknown; the ones of providers have up to 64 bytes.
const KID_BYTES_MAX: usize = 1024;

const RSA_ALL: &[Algorithm] = &[Algorithm::Rs256, Algorithm::Rs384, Algorithm::Rs512];

/// A key that verifies signatures, with the algorithms that it is for.
#[derive(Clone)]
pub struct Key {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    decoding: DecodingKey,
    /// Of the key itself, so that a key that was replaced under the same `kid` is noticed.
    fingerprint: [u8; 32],
}

/// Why a text or a JSON Web Key is no usable key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the text of each variant says when it occurs")]
pub enum KeyError {
    #[error("is not a public key: expected a PEM public key, a PEM certificate or an ssh-rsa line")]
    Form,
    #[error("is a private key")]
    Private,
    #[error("is not an RSA key")]
    NotRsa,
    #[error("must have 2048 to 4096 bits")]
    RsaBits,
    #[error("is of a type or an algorithm that is not known")]
    Unknown,
    #[error("is not for verifying signatures")]
    Use,
    #[error("must have at least 32 bytes")]
    Short,
    #[error("is the mask of a secret, not a secret")]
    Mask,
}

/// As long as what HS256 makes of it.
const HMAC_BYTES_MIN: usize = 32;

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).field("algorithms", &self.algorithms).finish_non_exhaustive()
    }
}

impl Key {
    /// A shared secret for HS256. Its bytes are those of the text as given, not of what base64 it may be.
    ///
    /// # Errors
    /// For less than 32 bytes (RFC 7518, 3.2), which are found by trying, and for a mask, which everybody knows.
    pub fn hmac(secret: &[u8]) -> Result<Self, KeyError> {
        if !secret.is_empty() && secret.iter().all(|byte| *byte == b'*') {
            return Err(KeyError::Mask);
        }
        if secret.len() < HMAC_BYTES_MIN {
            return Err(KeyError::Short);
        }
        Ok(Self::new(vec![Algorithm::Hs256], DecodingKey::from_secret(secret), &[b"oct", secret]))
    }

    /// An RSA public key from what people paste: a PEM public key (SPKI or PKCS #1), a PEM X.509 certificate, or an
    /// OpenSSH line `ssh-rsa AAAA… comment`. It verifies RS256, RS384 and RS512.
    ///
    /// # Errors
    /// What is wrong, worded as the rest of a sentence about the field.
    pub fn rsa_text(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.len() > TEXT_BYTES_MAX {
            return Err(KeyError::Form);
        }
        let (n, e) = if text.starts_with("ssh-") { open_ssh(text)? } else { pem(text)? };
        Self::rsa(&n, &e, RSA_ALL.to_vec())
    }

    /// A public key of a JSON Web Key Set. Shared secrets are refused: a published one is none.
    ///
    /// # Errors
    /// When the key is not for verifying, or of a type that is not known here.
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyError> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if text("use").is_some_and(|usage| usage != "sig") {
            return Err(KeyError::Use);
        }
        if let Some(operations) = jwk.get("key_ops").and_then(Value::as_array)
            && !operations.iter().any(|operation| operation == "verify")
        {
            return Err(KeyError::Use);
        }
        let bytes = |name: &str| {
            let text = text(name).ok_or(KeyError::Form)?;
            URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| KeyError::Form)
        };
        let point = |coordinate_bytes: usize| {
            let (x, y) = (bytes("x")?, bytes("y")?);
            if x.len() != coordinate_bytes || y.len() != coordinate_bytes {
                return Err(KeyError::Form);
            }
            Ok([&[4], x.as_slice(), y.as_slice()].concat())
        };
        let mut key = match (text("kty"), text("crv")) {
            (Some("RSA"), _) => {
                let pss = [Algorithm::Ps256, Algorithm::Ps384, Algorithm::Ps512];
                Self::rsa(&bytes("n")?, &bytes("e")?, RSA_ALL.iter().copied().chain(pss).collect())?
            }
            (Some("EC"), Some("P-256")) => {
                let point = point(32)?;
                Self::new(vec![Algorithm::Es256], DecodingKey::from_ec_der(&point), &[b"P-256", &point])
            }
            (Some("EC"), Some("P-384")) => {
                let point = point(48)?;
                Self::new(vec![Algorithm::Es384], DecodingKey::from_ec_der(&point), &[b"P-384", &point])
            }
            (Some("OKP"), Some("Ed25519")) => {
                let x = bytes("x")?;
                Self::new(vec![Algorithm::EdDsa], DecodingKey::from_ed_der(&x), &[b"Ed25519", &x])
            }
            _ => return Err(KeyError::Unknown),
        };
        if let Some(name) = text("alg") {
            let only = Algorithm::parse(name).filter(|algorithm| key.algorithms.contains(algorithm));
            key.algorithms = vec![only.ok_or(KeyError::Unknown)?];
        }
        key.kid = text("kid").map(str::to_owned);
        match key.kid.as_ref().is_some_and(|kid| kid.len() > KID_BYTES_MAX) {
            true => Err(KeyError::Unknown),
            false => Ok(key),
        }
    }

    fn rsa(n: &[u8], e: &[u8], algorithms: Vec<Algorithm>) -> Result<Self, KeyError> {
        let n = &n[n.iter().take_while(|byte| **byte == 0).count()..];
        let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
        if !RSA_BITS.contains(&bits) {
            return Err(KeyError::RsaBits);
        }
        let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
        if !odd(n) || !odd(e) || e.len() > 8 || e.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte)) < 3 {
            return Err(KeyError::Form);
        }
        Ok(Self::new(algorithms, DecodingKey::from_rsa_raw_components(n, e), &[b"RSA", n, e]))
    }

    fn new(algorithms: Vec<Algorithm>, decoding: DecodingKey, material: &[&[u8]]) -> Self {
        use sha2::Digest as _;
        let mut digest = sha2::Sha256::new();
        for part in material {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Self { kid: None, algorithms, decoding, fingerprint: digest.finalize().into() }
    }

    /// The id that its set gives it.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// What it verifies.
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Equal for equal key material, whatever its `kid`.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// At most how much memory it takes, in bytes: that of the largest RSA key, and its name.
    pub(crate) fn bytes(&self) -> usize {
        const ALONE: usize = 1024;
        ALONE + self.kid.as_ref().map_or(0, String::len)
    }

    pub(crate) fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }
}

type Components = (Vec<u8>, Vec<u8>);

fn pem(text: &str) -> Result<Components, KeyError> {
    let block = Pem::iter_from_buffer(text.as_bytes()).next().ok_or(KeyError::Form)?.map_err(|_| KeyError::Form)?;
    if block.label.ends_with("PRIVATE KEY") {
        return Err(KeyError::Private);
    }
    let components = |key: &RSAPublicKey<'_>| (key.modulus.to_vec(), key.exponent.to_vec());
    let of_spki = |key: &SubjectPublicKeyInfo<'_>| match key.parsed() {
        Ok(PublicKey::RSA(key)) => Ok(components(&key)),
        _ => Err(KeyError::NotRsa),
    };
    match block.label.as_str() {
        "PUBLIC KEY" => {
            let (rest, key) = SubjectPublicKeyInfo::from_der(&block.contents).map_err(|_| KeyError::Form)?;
            if rest.is_empty() { of_spki(&key) } else { Err(KeyError::Form) }
        }
        "RSA PUBLIC KEY" => {
            let (rest, key) = RSAPublicKey::from_der(&block.contents).map_err(|_| KeyError::Form)?;
            if rest.is_empty() { Ok(components(&key)) } else { Err(KeyError::Form) }
        }
        "CERTIFICATE" => {
            let (_, certificate) = X509Certificate::from_der(&block.contents).map_err(|_| KeyError::Form)?;
            of_spki(certificate.public_key())
        }
        _ => Err(KeyError::Form),
    }
}

/// RFC 4253, 6.6: the text `ssh-rsa`, then e, then n, each with its length before it.
fn open_ssh(line: &str) -> Result<Components, KeyError> {
    let mut words = line.split_ascii_whitespace();
    if words.next() != Some("ssh-rsa") {
        return Err(KeyError::NotRsa);
    }
    let blob = STANDARD.decode(words.next().ok_or(KeyError::Form)?).map_err(|_| KeyError::Form)?;
    let mut rest = blob.as_slice();
    let mut field = || {
        let (length, after) = rest.split_first_chunk::<4>().ok_or(KeyError::Form)?;
        let (field, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or(KeyError::Form)?;
        rest = after;
        Ok(field)
    };
    let (name, e, n) = (field()?, field()?, field()?);
    if name != b"ssh-rsa" || !rest.is_empty() {
        return Err(KeyError::Form);
    }
    Ok((n.to_vec(), e.iter().copied().skip_while(|byte| *byte == 0).collect()))
}
