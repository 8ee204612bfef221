use std::{future::Future, sync::Arc};

use portolan_api::Error;
use sha2::{Digest as _, Sha256};

use super::{copies::Near, kept::Kept};
use crate::{
    Credential, Redis, Scope, api_key_key, news, session_key,
    token::{CallerClaims, now_s},
};

/// Who calls, with the token that says so.
pub(crate) type Checked = (Arc<CallerClaims>, Arc<str>);

/// Copies of checked credentials, by digest: no secret is kept.
#[derive(Clone)]
pub(crate) struct NearCredentials(Near<[u8; 32], Checked>);

impl NearCredentials {
    /// Copies that the changes told through this Redis end early.
    pub fn new(redis: &Redis) -> Self {
        let near = Near::default();
        news::follow(redis, near.forgets());
        Self(near)
    }

    /// Returns who calls, from a copy or by `strictly`, with a token for the service that is called. The use of an organization token is counted exactly, so each is
    /// checked.
    ///
    /// # Errors
    /// Those of the check.
    pub async fn check<F>(
        &self,
        credential: &Credential,
        scope: Scope,
        (client_address, service): (&str, &str),
        strictly: impl Fn() -> F,
    ) -> Result<Checked, Error>
    where
        F: Future<Output = Result<Checked, Error>>,
    {
        if matches!(credential, Credential::OrganizationToken(_)) {
            return strictly().await;
        }
        let keep = || async {
            let (claims, token) = strictly().await?;
            let bytes = size_of::<CallerClaims>() + 2 * token.len();
            Ok(Kept { bytes, names: names(credential, &claims), value: (claims, token) })
        };
        let checked = self.0.read(&key(credential, scope, client_address, service), keep).await?;
        // What ends at a set time ends then, also for a copy.
        let (now, claims) = (now_s(), &checked.0);
        let is_good = claims.exp > now && claims.valid_until.is_none_or(|until| until > now);
        if is_good { Ok(checked) } else { strictly().await }
    }
}

/// Everything that a check looks at.
fn key(credential: &Credential, scope: Scope, client_address: &str, service: &str) -> [u8; 32] {
    let (kind, parts) = match credential {
        Credential::ApiKey(key) => ("key", [key.as_str(), ""]),
        Credential::Session { session, access_token } => ("session", [session.as_str(), access_token]),
        Credential::CapabilitiesToken(token) => ("capabilities", [token.as_str(), ""]),
        Credential::OrganizationToken(token) => ("organization", [token.as_str(), ""]),
    };
    let mut digest = Sha256::new();
    for part in [kind, scope.name(), client_address, service].into_iter().chain(parts) {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// By what the end of a credential is told.
fn names(credential: &Credential, claims: &CallerClaims) -> Vec<String> {
    match credential {
        Credential::ApiKey(key) => {
            let digest: String = Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
            vec![api_key_key(&digest)]
        }
        Credential::Session { .. } => vec![session_key(claims.user_id)],
        Credential::CapabilitiesToken(_) | Credential::OrganizationToken(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_a_request_makes_another_key() {
        let session = |session: &str, token: &str| Credential::Session {
            session: session.to_owned(),
            access_token: token.to_owned(),
        };
        let all = [
            key(&Credential::ApiKey("a".into()), Scope::Api, "1.1.1.1", "identity"),
            key(&Credential::ApiKey("a".into()), Scope::Api, "1.1.1.1", "imports"),
            key(&Credential::ApiKey("b".into()), Scope::Api, "1.1.1.1", "identity"),
            key(&Credential::ApiKey("a".into()), Scope::Mcp, "1.1.1.1", "identity"),
            key(&Credential::ApiKey("a".into()), Scope::Api, "1.1.1.2", "identity"),
            key(&Credential::CapabilitiesToken("a".into()), Scope::Api, "1.1.1.1", "identity"),
            key(&session("a", "b"), Scope::Api, "1.1.1.1", "identity"),
            key(&session("ab", ""), Scope::Api, "1.1.1.1", "identity"),
            key(&session("", "ab"), Scope::Api, "1.1.1.1", "identity"),
        ];
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
