use portolan_api::{Error, Reason};
use portolan_ids::{AccountId, UserId};
use sha2::{Digest as _, Sha256};

/// What kind of credential was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the credential of its name")]
pub enum Shown {
    Password,
    ApiKey,
    Session,
    CapabilitiesToken,
    OrganizationToken,
    /// Between services.
    CallerToken,
    ServiceToken,
    /// Single sign-on.
    Oidc,
    PasswordReset,
    Invitation,
    /// At the token endpoint.
    OauthClient,
    /// At the edge: a token, an access token, one that the caller or its provider signed, and the secret of a proxy.
    EdgeToken,
    EdgeAccessToken,
    EdgeSignedToken,
    EdgeProxy,
    /// Something that stands in the place of a credential and is none.
    Unreadable,
}

impl Shown {
    /// In the audit.
    pub fn name(self) -> &'static str {
        match self {
            Self::Password => "PASSWORD",
            Self::ApiKey => "API_KEY",
            Self::Session => "SESSION",
            Self::CapabilitiesToken => "CAPABILITIES_TOKEN",
            Self::OrganizationToken => "ORGANIZATION_TOKEN",
            Self::CallerToken => "CALLER_TOKEN",
            Self::ServiceToken => "SERVICE_TOKEN",
            Self::Oidc => "OIDC",
            Self::PasswordReset => "PASSWORD_RESET",
            Self::Invitation => "INVITATION",
            Self::OauthClient => "OAUTH_CLIENT",
            Self::EdgeToken => "EDGE_TOKEN",
            Self::EdgeAccessToken => "EDGE_ACCESS_TOKEN",
            Self::EdgeSignedToken => "EDGE_SIGNED_TOKEN",
            Self::EdgeProxy => "EDGE_PROXY",
            Self::Unreadable => "UNREADABLE",
        }
    }
}

/// A credential that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedAuthentication {
    /// The kind of credential that was refused.
    pub shown: Shown,
    /// SHA-256 in hex of what names the credential: a login, a client's id, or the credential itself. Never anything of a
    /// password.
    pub subject: String,
    /// From where it came.
    pub client_address: String,
    /// Why it was refused.
    pub reason: Reason,
    /// Whose it was or would have been; 0 where nobody is known.
    pub account_id: AccountId,
    /// As `account_id`.
    pub user_id: UserId,
}

/// Under which an error carries the account of a credential from where it is known to where the refusal is noted.
const ACCOUNT: &str = "account_of_credential";

impl FailedAuthentication {
    /// Of nobody who is known. `subject` is what names the credential; its digest alone is kept.
    pub fn new(shown: Shown, subject: &str, client_address: &str, reason: Reason) -> Self {
        let subject = Sha256::digest(subject).iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            shown,
            subject,
            client_address: client_address.to_owned(),
            reason,
            account_id: AccountId(0),
            user_id: UserId(0),
        }
    }

    /// The same failure, of a credential that belongs to this account.
    #[must_use]
    pub fn of(self, account_id: AccountId) -> Self {
        Self { account_id, ..self }
    }

    /// An error that carries whose credential was refused.
    pub fn of_account(error: impl Into<Error>, account_id: AccountId) -> Error {
        error.into().with(ACCOUNT, account_id)
    }

    /// Takes the account out of an error, so that callers do not get it; 0 for none.
    pub fn take_account(error: &mut Error) -> AccountId {
        error.take(ACCOUNT).and_then(|id| id.parse().ok()).unwrap_or_default()
    }

    /// Whether a refusal says something of the credential, and not of us or of how often it was used.
    pub fn is_failure(reason: Reason) -> bool {
        !matches!(reason, Reason::Unavailable | Reason::Internal | Reason::RateLimitReached | Reason::RateLimited)
    }
}
