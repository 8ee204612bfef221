use portolan_api::{Reason, Result};
use portolan_ids::{AccountId, ApiKeyId, UserId};

/// A key as it is listed.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiKey {
    /// Unique in the installation.
    pub id: ApiKeyId,
    /// The account that it acts in.
    pub account_id: AccountId,
    /// Whose rights it has.
    pub user_id: UserId,
    /// Their login.
    pub username: String,
    /// What it is for.
    pub utility: Utility,
    /// First 3 and last 4 characters.
    pub start: String,
    /// The last characters, to be shown.
    pub end: String,
    /// Unix seconds.
    pub created_at: i64,
    /// From which moment on it is refused.
    pub expires_at: Option<i64>,
    /// 0 before the first use.
    pub last_used_at: i64,
    /// The write that made the secret, when that was a rotation.
    pub rotation_write_id: String,
}

impl ApiKey {
    /// As it is shown to those who may know that it exists.
    pub fn masked(&self) -> String {
        format!("{}*********{}", self.start, self.end)
    }
}

/// A key that was found by a secret.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundKey {
    /// The key.
    pub key: ApiKey,
    /// From which moment on this secret is refused: the key expires, or a grace period ends.
    pub valid_until: Option<i64>,
}

impl FoundKey {
    pub(crate) fn is_alive(&self, now_s: i64) -> bool {
        self.valid_until.is_none_or(|until| now_s < until)
    }
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the documented use of its name")]
pub enum Utility {
    Burp,
    Cicd,
    ExternalApi,
}

impl Utility {
    /// As the contract spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Burp => "BURP",
            Self::Cicd => "CICD",
            Self::ExternalApi => "EXTERNAL_API",
        }
    }

    /// The feature that a plan must include for such a key.
    pub fn plan_feature(self) -> Option<&'static str> {
        match self {
            Self::Burp => None,
            Self::Cicd => Some("CI_CD_INTEGRATION"),
            Self::ExternalApi => Some("AKTO_EXTERNAL_API"),
        }
    }

    /// # Errors
    /// `TOKEN_UTILITY_INVALID` for any other name.
    pub fn parse(name: &str) -> Result<Self> {
        let known = [Self::Burp, Self::Cicd, Self::ExternalApi];
        Ok(known.into_iter().find(|utility| utility.name() == name).ok_or(Reason::TokenUtilityInvalid)?)
    }
}

/// Whose a key is.
pub struct Owner {
    /// The account that their keys act in.
    pub account_id: AccountId,
    /// Whose rights their keys have.
    pub user_id: UserId,
    /// Their login.
    pub username: String,
}
