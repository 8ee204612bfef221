use std::{collections::HashMap, net::IpAddr};

use portolan_api::Reason;
use portolan_ids::{AccountId, ApiClientId, ProfileId};

use super::credential::Removed;

/// A request as the proxy describes it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// As it was sent.
    pub method: &'a str,
    /// As it was sent, with or without a port.
    pub host: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// By lower-case name.
    pub headers: &'a HashMap<String, String>,
    /// The address of the connection.
    pub peer: Option<IpAddr>,
    /// Of the caller, in PEM; empty without one.
    pub certificate: &'a str,
    /// The account that the proxy names for the route.
    pub bound_account: Option<AccountId>,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the text of each variant says what its fields are")]
pub enum Verdict {
    /// The call passes.
    Pass {
        /// None for a resource outside the inventory.
        caller: Option<Caller>,
        removed: Removed,
    },
    /// It does not.
    Refuse(Refusal),
}

/// Who calls, for the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The credential that opened.
    pub profile_id: ProfileId,
    /// Whose it is.
    pub client_id: ApiClientId,
    /// Verified claims as base64url JSON; none when the credential carries none.
    pub claims: Option<String>,
}

/// Why a request is refused. What callers see of it is the status alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the documented refusal of its name")]
pub enum Refusal {
    /// Proxy and upstream might read the request in two ways.
    Ambiguous,
    /// There are more of them than is read (RFC 6585, 5).
    Headers,
    Unknown,
    Inactive,
    /// Its account is closed, or the organization of it is not active.
    TenantShut,
    /// Several accounts name the host, and it is bound to none of them.
    HostContested,
    NoCredential,
    CredentialUnknown,
    ProfileDisabled,
    Address,
    Proof,
    Claims,
    Collection,
    /// With the seconds after which the next call may be made.
    Limit(u64),
    Certificate,
    /// The knowledge to decide is missing or too old.
    NotReady,
    KeysUnavailable,
    LimiterUnavailable,
}

/// A call to an endpoint outside the profile's collections. The older documentation says 401; 403 is what callers expect.
const STATUS_OUTSIDE_COLLECTIONS: u16 = 403;

impl Refusal {
    /// The HTTP status that the caller gets.
    pub fn status(self) -> u16 {
        match self {
            Self::Ambiguous => 400,
            Self::Headers => 431,
            Self::Unknown | Self::Inactive | Self::TenantShut => 404,
            Self::NoCredential | Self::CredentialUnknown | Self::ProfileDisabled | Self::Proof | Self::Claims => 401,
            Self::Address | Self::Certificate | Self::HostContested => 403,
            Self::Collection => STATUS_OUTSIDE_COLLECTIONS,
            Self::Limit(_) => 429,
            Self::NotReady | Self::KeysUnavailable | Self::LimiterUnavailable => 503,
        }
    }

    /// What callers may know beside the status: reasons that the operator has to mend.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::HostContested => Some("EDGE_HOST_CONTESTED"),
            _ => None,
        }
    }

    /// What the audit says of a refusal whose reason is the credential; nothing for another.
    pub fn of_credential(self) -> Option<Reason> {
        match self {
            Self::NoCredential | Self::CredentialUnknown | Self::ProfileDisabled | Self::Proof | Self::Claims => {
                Some(Reason::Unauthenticated)
            }
            Self::Address | Self::Certificate => Some(Reason::PermissionDenied),
            _ => None,
        }
    }

    /// For logs and counters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ambiguous => "ambiguous",
            Self::Headers => "headers",
            Self::Unknown => "unknown",
            Self::Inactive => "inactive",
            Self::TenantShut => "tenant_shut",
            Self::HostContested => "host_contested",
            Self::NoCredential => "no_credential",
            Self::CredentialUnknown => "credential_unknown",
            Self::ProfileDisabled => "profile_disabled",
            Self::Address => "address",
            Self::Proof => "proof",
            Self::Claims => "claims",
            Self::Collection => "collection",
            Self::Limit(_) => "limit",
            Self::Certificate => "certificate",
            Self::NotReady => "not_ready",
            Self::KeysUnavailable => "keys_unavailable",
            Self::LimiterUnavailable => "limiter_unavailable",
        }
    }
}
