//! How callers of protected APIs prove who they are, and which collections they reach. The settings of a profile of the
//! first generation, of a client of the second.

use portolan_ids::NamedCollectionId;
use portolan_jwks::Key;

use super::{
    networks,
    violations::{BLANK, Violations},
};

const NOT_INCLUDED: &str = "is not included in the list";
const LIST_MAX: usize = 1000;

/// How a caller proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthType {
    /// An opaque secret.
    Token,
    /// A signed token under a key that is known here.
    Jwt,
    /// An access token from the token endpoint.
    Oauth2,
    /// A signed token under a key that its issuer publishes.
    Oidc,
}

impl AuthType {
    /// As the contract spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Jwt => "jwt",
            Self::Oauth2 => "oauth2",
            Self::Oidc => "oidc",
        }
    }

    /// The type of a documented name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Token, Self::Jwt, Self::Oauth2, Self::Oidc].into_iter().find(|kind| kind.name() == name)
    }

    /// Whether the credential is a secret that is made here.
    pub fn has_own_secret(self) -> bool {
        matches!(self, Self::Token | Self::Oauth2)
    }
}

/// The settings. Those that another kind of authentication needs are kept and not looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuthSettings {
    /// `None` on a client of the first generation.
    pub auth_type: Option<AuthType>,
    /// Which collections may be called.
    pub collection_ids: Vec<NamedCollectionId>,
    /// `hmac` or `rsa`.
    pub jwt_method: Option<String>,
    /// An HMAC secret or an RSA public key.
    pub jwt_secret: Option<String>,
    /// The stored form of a secret that cannot be opened. It stays until another secret takes its place.
    pub unopened_secret: Option<Vec<u8>>,
    /// Whose tokens count.
    pub oidc_issuer: Option<String>,
    /// Where the issuer's keys are; found by discovery where it is not set.
    pub oidc_jwks_uri: Option<String>,
    /// The claim that finds the profile.
    pub access_profile_claim: Option<String>,
    /// Claims that a token must have.
    pub required_claims: Vec<String>,
    /// Whose tokens count; empty for everybody's.
    pub allowed_issuers: Vec<String>,
    /// Preflight requests for the collections pass without a credential.
    pub allow_preflight: bool,
}

/// What a request sets; `None` stays, an inner `None` clears.
#[derive(Clone, Debug, Default)]
pub struct AuthPatch {
    /// Of each member: `None` leaves it as it is, `Some(None)` is a null in the request.
    pub auth_type: Option<Option<String>>,
    /// As of [`AuthSettings`], here and below.
    pub collection_ids: Option<Vec<NamedCollectionId>>,
    /// As of [`AuthSettings`].
    pub jwt_method: Option<Option<String>>,
    /// As of [`AuthSettings`].
    pub jwt_secret: Option<Option<String>>,
    /// As of [`AuthSettings`].
    pub oidc_issuer: Option<Option<String>>,
    /// As of [`AuthSettings`].
    pub oidc_jwks_uri: Option<Option<String>>,
    /// As of [`AuthSettings`].
    pub access_profile_claim: Option<Option<String>>,
    /// As of [`AuthSettings`].
    pub required_claims: Option<Vec<String>>,
    /// As of [`AuthSettings`].
    pub allowed_issuers: Option<Vec<String>>,
    /// As of [`AuthSettings`].
    pub allow_preflight: Option<Option<bool>>,
}

impl AuthSettings {
    /// Applies what is given, and lists what is wrong with it or with the result. Whether the collections exist is asked
    /// elsewhere.
    pub(crate) fn apply(&mut self, patch: AuthPatch, violations: &mut Violations) {
        match patch.auth_type.map(Option::unwrap_or_default) {
            None => {}
            Some(name) if name.is_empty() => violations.add("auth_type", BLANK),
            Some(name) => match AuthType::parse(&name) {
                Some(kind) => self.auth_type = Some(kind),
                None => violations.add("auth_type", NOT_INCLUDED),
            },
        }
        let is_given = |value: &Option<Option<String>>| value.as_ref().is_some_and(|value| text(value).is_some());
        match (is_given(&patch.oidc_issuer), is_given(&patch.oidc_jwks_uri)) {
            (true, true) => {
                violations.add("oidc_issuer", "can't be used together with oidc_jwks_uri");
                violations.add("oidc_jwks_uri", "can't be used together with oidc_issuer");
            }
            // One takes the place of the other.
            (true, false) => self.oidc_jwks_uri = None,
            (false, true) => self.oidc_issuer = None,
            (false, false) => {}
        }
        set(&mut self.jwt_method, patch.jwt_method);
        if patch.jwt_secret.is_some() {
            self.unopened_secret = None;
        }
        set(&mut self.jwt_secret, patch.jwt_secret);
        set(&mut self.oidc_issuer, patch.oidc_issuer);
        set(&mut self.oidc_jwks_uri, patch.oidc_jwks_uri);
        set(&mut self.access_profile_claim, patch.access_profile_claim);
        self.required_claims = patch.required_claims.unwrap_or_else(|| std::mem::take(&mut self.required_claims));
        self.allowed_issuers = patch.allowed_issuers.unwrap_or_else(|| std::mem::take(&mut self.allowed_issuers));
        if let Some(allow) = patch.allow_preflight {
            self.allow_preflight = allow.unwrap_or_default();
        }
        if let Some(mut ids) = patch.collection_ids {
            ids.sort_unstable();
            ids.dedup();
            self.collection_ids = ids.into_iter().collect();
        }
        self.check(violations);
    }

    fn check(&self, violations: &mut Violations) {
        let method = self.jwt_method.as_deref();
        if method.is_some_and(|method| !matches!(method, "hmac" | "rsa")) {
            violations.add("jwt_method", NOT_INCLUDED);
        }
        let has_url = self.oidc_issuer.is_some() || self.oidc_jwks_uri.is_some();
        match self.auth_type {
            Some(AuthType::Jwt) => {
                if method.is_none() {
                    violations.add("jwt_method", BLANK);
                }
                let has_secret = self.jwt_secret.is_some() || self.unopened_secret.is_some();
                if !has_secret && (method == Some("hmac") || !has_url) {
                    violations.add("jwt_secret", BLANK);
                }
            }
            Some(AuthType::Oidc) if !has_url => {
                violations.add("oidc_issuer", BLANK);
                violations.add("oidc_jwks_uri", BLANK);
            }
            _ => {}
        }
        let key = match (method, &self.jwt_secret) {
            (Some("rsa"), Some(text)) => Key::rsa_text(text).map(drop),
            (Some("hmac"), Some(text)) => Key::hmac(text.as_bytes()).map(drop),
            _ => Ok(()),
        };
        if let Err(error) = key {
            violations.add("jwt_secret", error.to_string());
        }
        for (field, url) in [("oidc_issuer", &self.oidc_issuer), ("oidc_jwks_uri", &self.oidc_jwks_uri)] {
            if url.as_deref().is_some_and(|url| !is_url(url)) {
                violations.add(field, "is not a valid URL");
            }
        }
        if let Some(claim) = &self.access_profile_claim {
            violations.length("access_profile_claim", claim);
        }
        for (field, list) in [("required_claims", &self.required_claims), ("allowed_issuers", &self.allowed_issuers)] {
            if list.len() > LIST_MAX {
                violations.add(field, format!("has too many entries (maximum is {LIST_MAX})"));
            }
            if list.iter().any(|entry| entry.trim().is_empty()) {
                violations.add(field, "has an entry that is blank");
            }
        }
        if self.collection_ids.len() > LIST_MAX {
            violations.add("api_collection_ids", format!("has too many entries (maximum is {LIST_MAX})"));
        }
    }
}

/// Lists what is wrong with a list of addresses and ranges.
pub(crate) fn check_addresses(field: &'static str, list: &[String], violations: &mut Violations) {
    if list.len() > LIST_MAX {
        violations.add(field, format!("has too many entries (maximum is {LIST_MAX})"));
    }
    for entry in list.iter().filter(|entry| networks::parse(entry).is_none()) {
        violations.add(field, format!("has an entry that is no IP address or range: {entry}"));
    }
}

fn is_url(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some())
}

/// A text that says something.
fn text(value: &Option<String>) -> Option<&str> {
    value.as_deref().filter(|text| !text.trim().is_empty())
}

fn set(field: &mut Option<String>, given: Option<Option<String>>) {
    if let Some(given) = given {
        *field = text(&given).map(str::to_owned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "a shared secret of 32 bytes here";
    const URL: &str = "https://idp.example/.well-known/openid-configuration";

    fn check(before: AuthSettings, patch: AuthPatch, fields: &[&str]) -> AuthSettings {
        let (mut after, mut violations) = (before, Violations::default());
        after.apply(patch, &mut violations);
        let mut expected = Violations::default();
        let named = format!("{violations:?}");
        for field in fields {
            assert!(named.contains(&format!("\"{field}\"")), "{field} in {named}");
        }
        if fields.is_empty() {
            assert_eq!(violations, std::mem::take(&mut expected));
        }
        after
    }

    fn patch(auth_type: &str) -> AuthPatch {
        AuthPatch { auth_type: Some(Some(auth_type.to_owned())), ..AuthPatch::default() }
    }

    fn given(text: &str) -> Option<Option<String>> {
        Some(Some(text.to_owned()))
    }

    #[test]
    fn each_kind_needs_its_material() {
        let none = AuthSettings::default;
        check(none(), patch("token"), &[]);
        check(none(), patch("oauth2"), &[]);
        check(none(), patch("basic"), &["auth_type"]);
        check(none(), patch(""), &["auth_type"]);
        check(none(), patch("jwt"), &["jwt_method", "jwt_secret"]);
        check(none(), patch("oidc"), &["oidc_issuer", "oidc_jwks_uri"]);
        check(none(), AuthPatch { jwt_method: given("hmac"), jwt_secret: given(SECRET), ..patch("jwt") }, &[]);
        // What is found by trying is none, and neither is what an answer showed in place of one.
        for bad in ["s", &SECRET[1..], "********", &"*".repeat(40)] {
            let patch = AuthPatch { jwt_method: given("hmac"), jwt_secret: given(bad), ..patch("jwt") };
            check(none(), patch, &["jwt_secret"]);
        }
        check(
            none(),
            AuthPatch { jwt_method: given("HMAC"), jwt_secret: given(SECRET), ..patch("jwt") },
            &["jwt_method"],
        );
        // An HMAC secret has no other source; an RSA key may come from a key set.
        check(
            none(),
            AuthPatch { jwt_method: given("hmac"), oidc_issuer: given(URL), ..patch("jwt") },
            &["jwt_secret"],
        );
        check(none(), AuthPatch { jwt_method: given("rsa"), oidc_issuer: given(URL), ..patch("jwt") }, &[]);
        check(
            none(),
            AuthPatch { jwt_method: given("rsa"), jwt_secret: given("no key"), ..patch("jwt") },
            &["jwt_secret"],
        );
        check(none(), AuthPatch { oidc_issuer: given("idp"), ..patch("oidc") }, &["oidc_issuer"]);
        let both = AuthPatch { oidc_issuer: given(URL), oidc_jwks_uri: given(URL), ..patch("oidc") };
        check(none(), both, &["oidc_issuer", "oidc_jwks_uri"]);
    }

    #[test]
    fn one_source_of_keys_takes_the_place_of_the_other() {
        let before = AuthSettings {
            auth_type: Some(AuthType::Oidc),
            oidc_issuer: Some(URL.to_owned()),
            required_claims: vec!["exp".to_owned()],
            ..AuthSettings::default()
        };
        let patch = AuthPatch { oidc_jwks_uri: given(URL), ..AuthPatch::default() };
        let after = check(before.clone(), patch, &[]);
        assert_eq!((after.oidc_issuer, after.oidc_jwks_uri.as_deref()), (None, Some(URL)));
        assert_eq!(after.required_claims, ["exp"]);
        let cleared = AuthPatch { oidc_issuer: Some(None), ..AuthPatch::default() };
        check(before, cleared, &["oidc_issuer"]);
    }
}
