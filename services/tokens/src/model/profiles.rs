use portolan_ids::{AccountId, ApiClientId, ProfileId};
use serde_json::json;

use super::{
    auth_settings::{AuthSettings, AuthType},
    secret,
};

/// One credential of a client.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Unique in the installation.
    pub id: ProfileId,
    /// The account that it belongs to.
    pub account_id: AccountId,
    /// The client whose credential it is.
    pub client_id: ApiClientId,
    /// Its settings are its own; else they are those of its client.
    pub is_legacy: bool,
    /// As its vendor calls it.
    pub name: String,
    /// Whether anything passes with it.
    pub active: bool,
    /// Unix milliseconds, as the other times.
    pub active_since: Option<i64>,
    /// Addresses and ranges; empty allows every one.
    pub ip_allow_list: Vec<String>,
    /// Addresses and ranges; they win.
    pub ip_deny_list: Vec<String>,
    /// How callers prove who they are.
    pub auth: AuthSettings,
    /// What the token endpoint knows it by.
    pub oauth_client_id: Option<String>,
    /// Access tokens of another number do not count.
    pub grant_version: i64,
    /// Unix milliseconds.
    pub created_at: i64,
    /// Unix milliseconds.
    pub updated_at: i64,
    /// The write that made the secret.
    pub secret_write_id: String,
    /// How the secret ends.
    pub secret_end: String,
}

/// A credential that was just made.
#[derive(Clone, Debug, PartialEq)]
pub struct Issued {
    /// Shown once.
    pub secret: String,
    /// `oauth2` only.
    pub oauth_client_id: Option<String>,
}

/// An issued secret under the members that answers have for it.
#[derive(Default)]
pub struct IssuedMembers {
    /// Of a profile without OAuth2.
    pub secret: Option<String>,
    /// What the token endpoint knows it by.
    pub oauth_client_id: Option<String>,
    /// Shown once.
    pub oauth_client_secret: Option<String>,
}

impl IssuedMembers {
    /// The members of an answer.
    pub fn of(issued: Option<Issued>) -> Self {
        match issued {
            Some(Issued { secret, oauth_client_id: None }) => Self { secret: Some(secret), ..Self::default() },
            Some(Issued { secret, oauth_client_id }) => {
                Self { secret: None, oauth_client_id, oauth_client_secret: Some(secret) }
            }
            None => Self::default(),
        }
    }
}

/// A profile with its credential when that was just made.
#[derive(Debug)]
pub struct Shown {
    /// The profile.
    pub profile: Profile,
    /// What was made by this call.
    pub issued: Option<Issued>,
}

/// Which profile of an account, and of which generation or client.
#[derive(Clone, Copy, Debug)]
pub struct Which {
    /// The account that it belongs to.
    pub account_id: AccountId,
    /// The profile.
    pub id: ProfileId,
    /// The generation that the caller asks in.
    pub within: Within,
}

/// Where a profile is looked for.
#[derive(Clone, Copy, Debug)]
pub enum Within {
    /// Access profiles of the first generation.
    Legacy,
    /// The keys of this client, whatever its generation.
    Client(ApiClientId),
}

/// Characters of a secret that are shown after it was made.
const SHOWN: usize = 4;

impl Profile {
    /// The secret of a key as lists show it; nothing where callers carry none.
    pub(crate) fn masked_secret(&self) -> String {
        match self.auth_type() {
            AuthType::Token => format!("****{}", self.secret_end),
            _ => String::new(),
        }
    }

    /// How callers prove who they are.
    pub fn auth_type(&self) -> AuthType {
        self.auth.auth_type.unwrap_or(AuthType::Token)
    }

    /// Puts a new credential in the place of the old one.
    pub(crate) fn issue(&mut self, write_id: &str) -> Issued {
        let oauth_client_id = (self.auth_type() == AuthType::Oauth2).then(secret::random_hex);
        self.oauth_client_id.clone_from(&oauth_client_id);
        self.grant_version += 1;
        write_id.clone_into(&mut self.secret_write_id);
        let secret = secret::random_hex();
        self.secret_end = secret[secret.len() - SHOWN..].to_owned();
        Issued { secret, oauth_client_id }
    }

    pub(crate) fn set_active(&mut self, active: bool, now_ms: i64) {
        if active == self.active {
            return;
        }
        self.active = active;
        self.active_since = active.then_some(now_ms);
        if !active {
            self.grant_version += 1;
        }
    }

    /// What the audit keeps: no secret.
    pub(crate) fn described(&self) -> serde_json::Value {
        json!({
            "name": self.name, "api_client_id": self.client_id, "active": self.active,
            "auth_type": self.auth_type().name(), "api_collection_ids": self.auth.collection_ids,
            "ip_allow_list": self.ip_allow_list, "ip_deny_list": self.ip_deny_list,
            "required_claims": self.auth.required_claims, "allowed_issuers": self.auth.allowed_issuers,
        })
    }
}
