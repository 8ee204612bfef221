//! What the edge decides by and counts, as it is stored and told.

use portolan_ids::{AccountId, ApiClientId, CollectionId, EndpointId, PolicyId, ProfileId};
use portolan_runtime::sealed::SealedPlace;

/// SHA-256 of a credential.
pub type Digest = [u8; 32];

/// A digest from its hex form.
pub fn parse_digest(text: &str) -> Option<Digest> {
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest).ok()?;
    Some(digest)
}

/// SHA-256, by which secrets are found.
pub fn digest_of(secret: &str) -> Digest {
    use sha2::Digest as _;
    sha2::Sha256::digest(secret).into()
}

/// A profile and its client as they are stored, with opened secrets.
#[derive(Clone, Debug, Default)]
pub struct ProfileRow {
    /// The profile.
    pub profile_id: ProfileId,
    /// The account that it belongs to.
    pub account_id: AccountId,
    /// The client whose credential it is.
    pub client_id: ApiClientId,
    /// Whether anything passes with it.
    pub active: bool,
    /// As the table spells it.
    pub auth_type: String,
    /// Hex.
    pub secret_digest: Option<String>,
    /// Addresses and ranges; empty allows every one.
    pub ip_allow_list: Vec<String>,
    /// Addresses and ranges; they win.
    pub ip_deny_list: Vec<String>,
    /// Which collections may be called.
    pub collection_ids: Vec<CollectionId>,
    /// `hmac` or `rsa`.
    pub jwt_method: Option<String>,
    /// Sealed.
    pub jwt_secret: Option<Vec<u8>>,
    /// As of the profile, here and below; of its client in the second generation.
    pub oidc_issuer: Option<String>,
    /// Where the issuer's keys are.
    pub oidc_jwks_uri: Option<String>,
    /// The claim that finds the profile.
    pub access_profile_claim: Option<String>,
    /// Claims that a token must have.
    pub required_claims: Vec<String>,
    /// Whose tokens count; empty for everybody's.
    pub allowed_issuers: Vec<String>,
    /// Preflight requests pass without a credential.
    pub allow_preflight: bool,
    /// How many calls it may make.
    pub policy_id: Option<PolicyId>,
    /// Access tokens of another number do not count.
    pub grant_version: i64,
    /// Callers must show a certificate.
    pub mtls_enabled: bool,
    /// What the certificate must fulfill.
    pub validation_formula: Option<String>,
}

/// A profile as it was at its last change, before its secret is opened.
pub struct ProfileChange {
    /// Of the profile in the change feed.
    pub version: i64,
    /// Of its client in the change feed.
    pub client_version: i64,
    /// Neither it nor its client was deleted.
    pub is_there: bool,
    /// The place that the secret in `row.jwt_secret` is sealed for.
    pub place: SealedPlace,
    /// What it is since.
    pub row: ProfileRow,
}

/// A token that the OAuth2 endpoint gave out.
#[derive(Clone, Copy, Debug)]
pub struct AccessToken {
    /// The profile that it opens with.
    pub profile_id: ProfileId,
    /// It counts while its profile has this number.
    pub grant_version: i64,
    /// Unix seconds.
    pub expires_at: i64,
}

/// The state of an endpoint, as the inventory tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The endpoint.
    pub endpoint_id: EndpointId,
    /// The account that it belongs to.
    pub account_id: AccountId,
    /// The collection that it is in.
    pub collection_id: CollectionId,
    /// Empty for every host of the account.
    pub host: String,
    /// In capital letters.
    pub method: String,
    /// A template.
    pub path: String,
    /// Whether calls of the collection pass.
    pub active: bool,
}

/// A change of the inventory's feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointChange {
    /// It is new, or is this since.
    Put(Endpoint),
    /// With the id of the endpoint.
    Removed(EndpointId),
}

/// A part of that feed.
#[derive(Debug)]
pub struct EndpointChanges {
    /// In the order of their numbers.
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
    /// The number up to which they are told.
    pub last_version: i64,
}

/// Shadow endpoints that are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ShadowKey {
    /// 0 when the host belongs to no account.
    pub account_id: AccountId,
    /// In lower case.
    pub host: String,
    /// In capital letters.
    pub method: String,
    /// With identifiers replaced by their kinds.
    pub path: String,
}

/// How often an unknown endpoint was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShadowCount {
    /// How often.
    pub calls: i64,
    /// Unix seconds.
    pub last_seen: i64,
}

/// A shadow endpoint as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShadowEndpoint {
    /// In lower case.
    pub host: String,
    /// In capital letters.
    pub method: String,
    /// As it was asked for.
    pub path: String,
    /// How often.
    pub calls: i64,
    /// Unix seconds.
    pub first_seen: i64,
    /// Unix seconds.
    pub last_seen: i64,
}

/// What a replica needs to know before it reads changes.
pub struct FeedPosition {
    /// Of the last change.
    pub version: i64,
    /// What the replica's row says; none when it is gone.
    pub applied: Option<i64>,
}
