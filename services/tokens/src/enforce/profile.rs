use std::collections::HashSet;

use portolan_ids::{AccountId, ApiClientId, CollectionId, PolicyId, ProfileId};
use portolan_jwks::{Key, Rules, Source};

use portolan_proxies::Ranges;

use super::mtls::SubjectFormula;
use crate::model::edge::{Digest, ProfileRow, parse_digest};

/// One credential of a client as the edge needs it: what finds it, what verifies it, what it may call.
#[derive(Debug)]
pub struct Profile {
    /// The profile.
    pub id: ProfileId,
    /// The account that it belongs to.
    pub account_id: AccountId,
    /// The client whose credential it is.
    pub client_id: ApiClientId,
    /// Whether anything passes with it.
    pub active: bool,
    /// Of the token, or of the key that a claim carries. None for OAuth2, whose secret only buys access tokens.
    pub digest: Option<Digest>,
    /// How callers prove who they are.
    pub auth: Auth,
    /// Empty allows every address.
    pub allow: Ranges,
    /// Addresses that are refused, whatever is allowed.
    pub deny: Ranges,
    /// Sorted.
    pub collection_ids: Vec<CollectionId>,
    /// Preflight requests for the collections pass without a credential.
    pub allow_preflight: bool,
    /// How many calls it may make.
    pub policy_id: Option<PolicyId>,
    /// Access tokens of another number are dead.
    pub grant_version: i64,
    /// Set when the caller must show a certificate.
    pub mtls: Option<SubjectFormula>,
}

/// How a caller proves to be the profile's.
#[derive(Debug)]
pub enum Auth {
    /// By a secret, which stands for the profile.
    Token,
    /// By an access token of the token endpoint.
    OAuth2,
    /// By a signed token of their own.
    Signed(Box<Signed>),
    /// What is stored cannot be used; nobody gets in.
    Unusable,
}

/// How tokens of a `jwt` or `oidc` profile are verified.
#[derive(Debug)]
pub struct Signed {
    /// What signatures are verified by.
    pub keys: Keys,
    /// The claim that carries the profile's key; none means the usual ones.
    pub claim: Option<String>,
    /// Claims that a token must have.
    pub required: Vec<String>,
    /// Whose tokens count; empty for everybody's.
    pub allowed_issuers: Vec<String>,
}

/// Where the keys of signed tokens come from.
#[derive(Debug)]
pub enum Keys {
    /// One key, which stands in the profile.
    Own(Key),
    /// A key set at a URL.
    Published(Source),
}

impl Profile {
    /// What cannot be read makes a profile that refuses: an address list that is half understood, a key of no use.
    pub fn new(row: ProfileRow) -> Self {
        let list = |entries: &[String]| Ranges::parse(entries.iter().map(String::as_str)).ok();
        let mtls =
            row.mtls_enabled.then(|| SubjectFormula::parse(row.validation_formula.as_deref().unwrap_or_default()));
        let (allow, deny) = (list(&row.ip_allow_list), list(&row.ip_deny_list));
        let is_readable = allow.is_some() && deny.is_some() && !matches!(mtls, Some(None));
        let auth = if is_readable { auth(&row) } else { None };
        if auth.is_none() {
            tracing::warn!(profile_id = row.profile_id.get(), "the stored settings of a profile cannot be used");
        }
        let mut collection_ids = row.collection_ids;
        collection_ids.sort_unstable();
        Self {
            id: row.profile_id,
            account_id: row.account_id,
            client_id: row.client_id,
            active: row.active,
            digest: row.secret_digest.filter(|_| row.auth_type != "oauth2").as_deref().and_then(parse_digest),
            auth: auth.unwrap_or(Auth::Unusable),
            allow: allow.unwrap_or_default(),
            deny: deny.unwrap_or_default(),
            collection_ids,
            allow_preflight: row.allow_preflight,
            policy_id: row.policy_id,
            grant_version: row.grant_version,
            mtls: mtls.flatten(),
        }
    }

    /// Whether one of these collections may be called.
    pub fn reaches(&self, collection_ids: &[CollectionId]) -> bool {
        collection_ids.iter().any(|id| self.collection_ids.binary_search(id).is_ok())
    }

    /// The claim that finds the profile, where it is found by one.
    pub fn claim(&self) -> Option<&str> {
        match &self.auth {
            Auth::Signed(signed) => signed.claim.as_deref(),
            _ => None,
        }
    }
}

fn auth(row: &ProfileRow) -> Option<Auth> {
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let published = || match (filled(&row.oidc_issuer), filled(&row.oidc_jwks_uri)) {
        (Some(issuer), None) => Some(Keys::Published(Source::Issuer(issuer))),
        (None, Some(url)) => Some(Keys::Published(Source::Jwks(url))),
        _ => None,
    };
    let secret = row.jwt_secret.as_deref().filter(|secret| !secret.is_empty());
    let keys = match (row.auth_type.as_str(), row.jwt_method.as_deref()) {
        ("token", _) => return Some(Auth::Token),
        ("oauth2", _) => return Some(Auth::OAuth2),
        // The public key is text, and text is what a forger would sign with: a shared secret and a public key never
        // come from the same field without the method that says which it is.
        ("jwt", Some("hmac")) => Keys::Own(Key::hmac(secret?).ok()?),
        ("jwt", Some("rsa")) if secret.is_some() => Keys::Own(Key::rsa_text(std::str::from_utf8(secret?).ok()?).ok()?),
        ("jwt", Some("rsa")) | ("oidc", _) => published()?,
        _ => return None,
    };
    Some(Auth::Signed(Box::new(Signed {
        keys,
        claim: filled(&row.access_profile_claim),
        required: row.required_claims.clone(),
        allowed_issuers: row.allowed_issuers.clone(),
    })))
}

impl Signed {
    /// What is checked in the claims of a token.
    pub fn rules(&self, leeway_s: u32, requires_exp: bool) -> Rules {
        Rules { required: self.required.clone(), allowed_issuers: self.allowed_issuers.clone(), leeway_s, requires_exp }
    }
}

/// The providers that profiles name.
pub fn sources<'a>(profiles: impl Iterator<Item = &'a Profile>) -> HashSet<Source> {
    let of = |profile: &Profile| match &profile.auth {
        Auth::Signed(signed) => match &signed.keys {
            Keys::Published(source) => Some(source.clone()),
            _ => None,
        },
        _ => None,
    };
    profiles.filter_map(of).collect()
}
