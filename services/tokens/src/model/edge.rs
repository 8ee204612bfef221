//! What the edge decides by and counts, as it is stored and told.

use portolan_ids::{AccountId, ApiClientId, CollectionId, EndpointId, PolicyId, ProfileId};
use portolan_runtime::sealed::Place;

/// SHA-256 of a credential.
pub type Digest = [u8; 32];

/// A digest from its hex form.
pub fn parse_digest(text: &str) -> Option<Digest> {
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest).ok()?;
    Some(digest)
}

pub fn digest_of(secret: &str) -> Digest {
    use sha2::Digest as _;
    sha2::Sha256::digest(secret).into()
}

/// A profile and its client as they are stored, with opened secrets.
#[derive(Clone, Debug, Default)]
pub struct ProfileRow {
    pub profile_id: ProfileId,
    pub account_id: AccountId,
    pub client_id: ApiClientId,
    pub active: bool,
    pub auth_type: String,
    /// Hex.
    pub secret_digest: Option<String>,
    pub ip_allow_list: Vec<String>,
    pub ip_deny_list: Vec<String>,
    pub collection_ids: Vec<CollectionId>,
    pub jwt_method: Option<String>,
    pub jwt_secret: Option<Vec<u8>>,
    pub oidc_issuer: Option<String>,
    pub oidc_jwks_uri: Option<String>,
    pub access_profile_claim: Option<String>,
    pub required_claims: Vec<String>,
    pub allowed_issuers: Vec<String>,
    pub allow_preflight: bool,
    pub policy_id: Option<PolicyId>,
    pub grant_version: i64,
    pub mtls_enabled: bool,
    pub validation_formula: Option<String>,
}

/// A profile as it was at its last change, before its secret is opened.
pub struct ProfileChange {
    pub version: i64,
    pub client_version: i64,
    /// Neither it nor its client was deleted.
    pub is_there: bool,
    /// The place that the secret in `row.jwt_secret` is sealed for.
    pub place: Place,
    pub row: ProfileRow,
}

/// A token that the OAuth2 endpoint gave out.
#[derive(Clone, Copy, Debug)]
pub struct AccessToken {
    pub profile_id: ProfileId,
    pub grant_version: i64,
    /// Unix seconds.
    pub expires_at: i64,
}

/// The state of an endpoint, as the inventory tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub endpoint_id: EndpointId,
    pub account_id: AccountId,
    pub collection_id: CollectionId,
    /// Empty for every host of the account.
    pub host: String,
    pub method: String,
    pub path: String,
    pub active: bool,
}

/// A change of the inventory's feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointChange {
    Put(Endpoint),
    /// With the id of the endpoint.
    Removed(EndpointId),
}

/// A part of that feed.
#[derive(Debug)]
pub struct EndpointChanges {
    pub changes: Vec<EndpointChange>,
    /// After which the next part begins.
    pub last_version: i64,
    /// Nothing is left after this part.
    pub is_complete: bool,
}

/// What changed of the states of accounts.
#[derive(Debug)]
pub struct TenantStates {
    /// Accounts, each with whether it is open.
    pub tenants: Vec<(AccountId, bool)>,
    pub last_version: i64,
}

/// Shadow endpoints that are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ShadowKey {
    /// 0 when the host belongs to no account.
    pub account_id: AccountId,
    pub host: String,
    pub method: String,
    /// With identifiers replaced by their kinds.
    pub path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShadowCount {
    pub calls: i64,
    /// Unix seconds.
    pub last_seen: i64,
}

/// A shadow endpoint as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShadowEndpoint {
    pub host: String,
    pub method: String,
    pub path: String,
    pub calls: i64,
    /// Unix seconds.
    pub first_seen: i64,
    pub last_seen: i64,
}

/// What a replica needs to know before it reads changes.
pub struct FeedPosition {
    /// Of the last change.
    pub version: i64,
    /// What the replica's row says; none when it is gone.
    pub applied: Option<i64>,
}
