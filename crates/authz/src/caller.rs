use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use portolan_api::{Error, KeyUtility, Reason};
use portolan_ids::{AccountId, OrganizationId, UserId};
use serde::{Deserialize, Serialize};

use crate::{Grant, Scope};

/// What the caller presented at the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is the credential of its name")]
pub enum CredentialKind {
    Session,
    ExternalApiKey,
    BurpKey,
    CicdKey,
    /// A token of the organization: no user stands behind it, its scopes say what it may do.
    OrganizationToken,
}

impl CredentialKind {
    /// In caller tokens and in the audit.
    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "SESSION",
            Self::ExternalApiKey => "EXTERNAL_API",
            Self::BurpKey => "BURP",
            Self::CicdKey => "CICD",
            Self::OrganizationToken => "ORGANIZATION_TOKEN",
        }
    }

    /// The kind of a key that was made for this use; `None` for an unknown one.
    pub fn of_key(utility: KeyUtility) -> Option<Self> {
        match utility {
            KeyUtility::ExternalApi => Some(Self::ExternalApiKey),
            KeyUtility::Burp => Some(Self::BurpKey),
            KeyUtility::Cicd => Some(Self::CicdKey),
            KeyUtility::Unspecified => None,
        }
    }

    /// Whether it is an API key, in contrast to a session or an organization token.
    pub fn is_key(self) -> bool {
        self != Self::Session
    }

    /// The utility of a user's key; `None` for a session and for an organization token.
    pub fn utility(self) -> Option<KeyUtility> {
        match self {
            Self::Session | Self::OrganizationToken => None,
            Self::ExternalApiKey => Some(KeyUtility::ExternalApi),
            Self::BurpKey => Some(KeyUtility::Burp),
            Self::CicdKey => Some(KeyUtility::Cicd),
        }
    }
}

/// What is known of a request, whoever sent it.
#[derive(Clone, Debug, Default)]
pub struct RequestInfo {
    /// For logs and answers.
    pub request_id: String,
    /// A write under an id that was seen before changes nothing.
    pub write_id: String,
    /// Empty when the peer is a service of the installation.
    pub client_address: String,
    /// The service that speaks; empty when a client does.
    pub speaker: String,
    /// Unix seconds from which on the secret that was presented is refused, which may be before its credential ends;
    /// `None` for never, and where nobody presented one.
    pub valid_until: Option<i64>,
    /// The audit name of the RPC under way; empty when it changes nothing.
    pub action: &'static str,
    /// Whether the write under way stands in the audit already, as far as it changed anything.
    pub audited: Audited,
}

/// A flag that all clones share.
#[derive(Clone, Debug, Default)]
pub struct Audited(Arc<AtomicBool>);

impl Audited {
    /// Notes that the handler has recorded the call itself, or that it changed nothing.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether there is nothing left to record.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A user who was authenticated, with what they may do at this moment.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The account that the call acts in.
    pub account_id: AccountId,
    /// The user that calls; 0 for an organization token.
    pub user_id: UserId,
    /// The organization of the account, a UUID.
    pub organization_id: OrganizationId,
    /// The product scope that the call names.
    pub scope: Scope,
    /// What the caller showed.
    pub credential: CredentialKind,
    /// Tells credentials of one kind apart; never a secret.
    pub credential_id: String,
    /// What is known of the request.
    pub info: RequestInfo,
    /// What the caller may do and see in the scope.
    pub grant: Arc<Grant>,
    /// The signed token, to be passed on to other services.
    pub token: Arc<str>,
}

impl Caller {
    /// The caller that the guard put beside the message.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` when no guard stood before the handler.
    pub fn split<T>(request: tonic::Request<T>) -> Result<(Self, T), Error> {
        let (_, mut extensions, message) = request.into_parts();
        let caller = extensions.remove::<Self>().ok_or(Reason::Unauthenticated)?;
        Ok((caller, message))
    }
}
