use std::sync::Arc;

use portolan_api::{
    Error,
    identity::v1::{
        AuthenticateRequest, GetGrantRequest, ListVerificationKeysRequest, SessionCredential, authenticate_request,
    },
};
use portolan_authz::{Cache, Credential, Grant, Identities, Scope, VerifyingKeys, grant_key};
use portolan_ids::{AccountId, UserId};

use crate::Peers;

/// Identity as other services and the gateway ask it, with a cache of grants in front.
pub struct RemoteIdentities {
    peers: Peers,
    grants: Cache<Grant>,
}

impl RemoteIdentities {
    /// `grants` must be the cache through which identity announces changes, or off.
    pub fn new(peers: Peers, grants: Cache<Grant>) -> Self {
        Self { peers, grants }
    }
}

type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Identities for RemoteIdentities {
    fn authenticate<'a>(
        &'a self,
        credential: &'a Credential,
        scope: Scope,
        client_address: &'a str,
        service: &'a str,
    ) -> BoxFuture<'a, Result<String, Error>> {
        Box::pin(async move {
            let credential = match credential.clone() {
                Credential::ApiKey(key) => authenticate_request::Credential::ApiKey(key),
                Credential::CapabilitiesToken(token) => authenticate_request::Credential::CapabilitiesToken(token),
                Credential::OrganizationToken(token) => authenticate_request::Credential::OrganizationToken(token),
                Credential::Session { session, access_token } => {
                    authenticate_request::Credential::Session(SessionCredential { session, access_token })
                }
            };
            let request = AuthenticateRequest {
                credential: Some(credential),
                scope: scope.name().to_owned(),
                client_address: client_address.to_owned(),
                service: service.to_owned(),
            };
            Ok(self.peers.identity().authenticate(request).await?.into_inner().caller_token)
        })
    }

    fn grant(&self, account_id: AccountId, user_id: UserId, scope: Scope) -> BoxFuture<'_, Result<Arc<Grant>, Error>> {
        Box::pin(async move {
            let owner = || async {
                let request = GetGrantRequest {
                    account_id: account_id.into(),
                    user_id: user_id.into(),
                    scope: scope.name().to_owned(),
                };
                Ok(Grant::from(self.peers.identity().get_grant(request).await?.into_inner()))
            };
            let key = grant_key(account_id, user_id, scope);
            self.grants.read(&key, owner, |grant: &Grant| grant.basis(account_id)).await
        })
    }

    fn verifying_keys(&self) -> BoxFuture<'_, Result<VerifyingKeys, Error>> {
        Box::pin(async move {
            let answer = self.peers.identity().list_verification_keys(ListVerificationKeysRequest {}).await?;
            Ok(answer.into_inner().keys.into_iter().map(|key| (key.id, key.public_key)).collect())
        })
    }
}
