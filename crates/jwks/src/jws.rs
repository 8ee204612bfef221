use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::{Algorithm, Key, json::unambiguous_object};

/// A longer token is refused unread.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Of the decoded header.
const HEADER_BYTES_MAX: usize = 4 * 1024;

/// A JWS in compact form that has been read and not yet verified; the payload may be anything.
#[derive(Clone, Debug)]
pub struct Compact {
    /// What the header names.
    pub algorithm: Algorithm,
    /// Picks one key of a configured set; otherwise only a text.
    pub kid: Option<String>,
    /// What the header says that it is.
    pub typ: Option<String>,
    /// What is signed, decoded.
    pub payload: Vec<u8>,
    signing_input: String,
    signature: String,
}

/// A [`Compact`] whose payload is a set of claims.
#[derive(Clone, Debug)]
pub struct Jws {
    /// Its parts, not verified yet.
    pub compact: Compact,
    /// True only after [`Compact::verify`]; before that they may look up which profile is meant and nothing more.
    pub claims: Map<String, Value>,
}

/// Why a text is no acceptable token. Callers of the edge see none of this, the log does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the text of each variant says when it occurs")]
pub enum JwsError {
    #[error("the token is too long")]
    TooLong,
    #[error("a token has three segments")]
    Segments,
    #[error("a segment is not base64url")]
    Base64,
    #[error("the header cannot be read")]
    Header,
    #[error("the algorithm is not known")]
    AlgorithmUnknown,
    #[error("the header asks for an extension")]
    Extension,
    #[error("the payload is no JSON object of distinct names")]
    Claims,
    #[error("the algorithm does not belong to the key")]
    AlgorithmNotOfKey,
    #[error("the signature does not fit")]
    Signature,
}

impl Jws {
    /// Whether a text looks like a token in compact form: three segments.
    pub fn is_compact(text: &str) -> bool {
        text.bytes().filter(|byte| *byte == b'.').count() == 2
    }

    /// # Errors
    /// As [`Compact::parse`], and when the payload is no object or holds a name twice.
    pub fn parse(token: &str) -> Result<Self, JwsError> {
        let compact = Compact::parse(token)?;
        let claims = unambiguous_object(&compact.payload).ok_or(JwsError::Claims)?;
        Ok(Self { compact, claims })
    }
}

impl Compact {
    /// # Errors
    /// Everything but [`JwsError::AlgorithmNotOfKey`] and [`JwsError::Signature`].
    pub fn parse(token: &str) -> Result<Self, JwsError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(JwsError::TooLong);
        }
        let mut segments = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(JwsError::Segments);
        };
        let header_bytes = decode(header)?;
        if header_bytes.len() > HEADER_BYTES_MAX {
            return Err(JwsError::TooLong);
        }
        let header_object = unambiguous_object(&header_bytes).ok_or(JwsError::Header)?;
        // No extension is understood here, so each one that must be understood is a reason to refuse (RFC 7515, 4.1.11;
        // RFC 7797 changes what is signed).
        if header_object.contains_key("crit") || header_object.contains_key("b64") {
            return Err(JwsError::Extension);
        }
        let text = |name: &str| match header_object.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(JwsError::Header),
        };
        let algorithm = text("alg")?.ok_or(JwsError::Header)?;
        let algorithm = Algorithm::parse(&algorithm).ok_or(JwsError::AlgorithmUnknown)?;
        // Read here so that a stray bit in the signature is refused like one in the other segments.
        if decode(signature)?.is_empty() {
            return Err(JwsError::Signature);
        }
        Ok(Self {
            algorithm,
            kid: text("kid")?,
            typ: text("typ")?,
            payload: decode(payload)?,
            signing_input: token[..header.len() + 1 + payload.len()].to_owned(),
            signature: signature.to_owned(),
        })
    }

    /// # Errors
    /// When the token's algorithm is none of the key's, or the signature is not of this key.
    pub fn verify(&self, key: &Key) -> Result<(), JwsError> {
        if !key.algorithms().contains(&self.algorithm) {
            return Err(JwsError::AlgorithmNotOfKey);
        }
        let input = self.signing_input.as_bytes();
        let fits = jsonwebtoken::crypto::verify(&self.signature, input, key.decoding(), self.algorithm.of_library());
        if fits.unwrap_or(false) { Ok(()) } else { Err(JwsError::Signature) }
    }

    /// Whether `typ` allows use as an access token: absent, `JWT` or `at+jwt`, each also with `application/` before it
    /// (RFC 9068, 4). A logout token or a proof of possession is none.
    pub fn is_access_token(&self) -> bool {
        let Some(typ) = &self.typ else { return true };
        let typ = typ.to_ascii_lowercase();
        ["jwt", "at+jwt"].contains(&typ.strip_prefix("application/").unwrap_or(&typ))
    }
}

fn decode(segment: &str) -> Result<Vec<u8>, JwsError> {
    URL_SAFE_NO_PAD.decode(segment).map_err(|_| JwsError::Base64)
}
