//! What identity asks other services: the one place here that speaks their messages.

use portolan_api::{
    Reason, Result,
    billing::v1::GetEntitlementsRequest,
    inventory::v1::{CountEndpointsRequest, ListBasicCollectionsRequest},
    tokens::v1::{
        AuthenticateOrganizationTokenRequest, CreateFirstApiKeyRequest, CredentialOwner, ListLiveKeysRequest,
        RecordApiKeyUseRequest, RevokeCredentialsRequest, VerifyApiKeyRequest,
    },
};
use portolan_authz::{Caller, CredentialKind};
use portolan_ids::{AccountId, CollectionId, UserId};
use portolan_runtime::Peers;

use crate::model::{
    departures::Departure,
    known_keys::{KeyOwner, TokenOwner},
};

/// Whose an API key is.
///
/// # Errors
/// `UNAUTHENTICATED` for a key that is not good, `UNAVAILABLE`.
pub async fn key_owner(peers: &Peers, key: &str) -> Result<KeyOwner> {
    let owner = peers.tokens().verify_api_key(VerifyApiKeyRequest { key: key.to_owned() }).await?.into_inner();
    Ok(KeyOwner {
        kind: CredentialKind::of_key(owner.utility()).ok_or(Reason::Unauthenticated)?,
        id: owner.id.into(),
        account_id: owner.account_id.into(),
        user_id: owner.user_id.into(),
        valid_until: owner.valid_until,
    })
}

/// Tells tokens when a key was used, in Unix seconds.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn record_key_use(peers: &Peers, account_id: AccountId, api_key_id: i32, used_at: i64) -> Result<()> {
    let request = RecordApiKeyUseRequest { account_id: account_id.into(), api_key_id, used_at };
    peers.api_keys().record_api_key_use(request).await?;
    Ok(())
}

/// Whose an organization token is; the request counts in its rate limit.
///
/// # Errors
/// Those of tokens, `UNAVAILABLE`.
pub async fn organization_token(peers: &Peers, secret: &str, client_address: &str) -> Result<TokenOwner> {
    let (secret, client_address) = (secret.to_owned(), client_address.to_owned());
    let request = AuthenticateOrganizationTokenRequest { secret, client_address };
    let token = peers.organization_tokens().authenticate_organization_token(request).await?.into_inner();
    Ok(TokenOwner {
        id: token.id,
        organization_id: token.organization_id.into(),
        account_id: token.account_id.into(),
        scopes: token.scopes,
        valid_until: token.valid_until,
        has_networks: token.has_networks,
    })
}

/// Has the credentials of members who left deleted.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn revoke_credentials(peers: &Peers, departures: &[Departure]) -> Result<()> {
    let owner = |Departure { account_id, user_id, ended_at }: &Departure| CredentialOwner {
        account_id: (*account_id).into(),
        user_id: (*user_id).into(),
        ended_at: *ended_at,
    };
    let owners = departures.iter().map(owner).collect();
    peers.revocations().revoke_credentials(RevokeCredentialsRequest { owners }).await?;
    Ok(())
}

/// The API keys of a user in accounts, by account and user, that work at this moment: masked.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn live_keys(peers: &Peers, owners: &[(AccountId, UserId)]) -> Result<Vec<String>> {
    let owner = |(account_id, user_id): &(AccountId, UserId)| CredentialOwner {
        account_id: (*account_id).into(),
        user_id: (*user_id).into(),
        ended_at: 0,
    };
    let owners = owners.iter().map(owner).collect();
    Ok(peers.revocations().list_live_keys(ListLiveKeysRequest { owners }).await?.into_inner().api_keys)
}

/// Makes the first API key of the installation.
///
/// # Errors
/// Those of tokens, `UNAVAILABLE`.
pub async fn create_first_key(peers: &Peers, account_id: AccountId, user_id: UserId, username: &str) -> Result<String> {
    let request = CreateFirstApiKeyRequest {
        account_id: account_id.into(),
        user_id: user_id.into(),
        username: username.to_owned(),
    };
    Ok(peers.tokens().create_first_api_key(request).await?.into_inner().key)
}

/// The features that the plan of an account says no to.
///
/// # Errors
/// Those of billing, `UNAVAILABLE`.
pub async fn denied_features(peers: &Peers, account_id: AccountId) -> Result<Vec<String>> {
    let plan =
        peers.metering().get_entitlements(GetEntitlementsRequest { account_id: account_id.into() }).await?.into_inner();
    let denied = plan.entitlements.into_iter().filter(|one| !one.is_granted);
    Ok(denied.map(|one| one.feature).collect())
}

/// The collections of the caller's account, as the caller sees them.
///
/// # Errors
/// Those of inventory, `UNAVAILABLE`.
pub async fn collection_ids(peers: &Peers, caller: &Caller) -> Result<Vec<CollectionId>> {
    let answer = peers.collections_as(caller).list_basic_collections(ListBasicCollectionsRequest {}).await?;
    Ok(answer.into_inner().api_collections.iter().map(|collection| CollectionId(collection.id)).collect())
}

/// How many endpoints an account has.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn count_endpoints(peers: &Peers, account_id: AccountId) -> Result<i64> {
    Ok(peers
        .endpoints()
        .count_endpoints(CountEndpointsRequest { account_id: account_id.into() })
        .await?
        .into_inner()
        .endpoints)
}
