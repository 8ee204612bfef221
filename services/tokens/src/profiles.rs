//! Profiles: one credential of a client each. An access profile of the first generation and a key of the second are the
//! same thing; what differs is where its settings stand.
//!
//! # Invariants
//! - Of a secret only the digest is kept; it is answered once.
//! - Each change takes the next number of the change feed.
//! - A disabled or refreshed profile has another grant version, which ends its access tokens.

use portolan_api::{Reason, Result};
use portolan_authz::Caller;
use portolan_outbox::Change;
use portolan_runtime::digest;
use portolan_store::Tx;
use serde_json::json;

use crate::{
    Deps,
    auth_settings::{AuthSettings, AuthType},
    changes, now_ms, secret,
    store::profiles as store,
};

#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    pub id: i64,
    pub account_id: i64,
    pub client_id: i64,
    /// Its settings are its own; else they are those of its client.
    pub is_legacy: bool,
    pub name: String,
    pub active: bool,
    /// Unix milliseconds, as the other times.
    pub active_since: Option<i64>,
    pub ip_allow_list: Vec<String>,
    pub ip_deny_list: Vec<String>,
    pub auth: AuthSettings,
    pub oauth_client_id: Option<String>,
    pub grant_version: i64,
    pub created_at: i64,
    pub updated_at: i64,
    /// The write that made the secret.
    pub secret_write_id: String,
}

/// A credential that was just made.
#[derive(Clone, Debug, PartialEq)]
pub struct Issued {
    pub secret: String,
    /// `oauth2` only.
    pub oauth_client_id: Option<String>,
}

/// An issued secret under the members that answers have for it.
#[derive(Default)]
pub struct IssuedMembers {
    /// Of a profile without OAuth2.
    pub secret: Option<String>,
    pub oauth_client_id: Option<String>,
    pub oauth_client_secret: Option<String>,
}

impl IssuedMembers {
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
    pub profile: Profile,
    pub issued: Option<Issued>,
}

/// Which profile of an account, and of which generation or client.
#[derive(Clone, Copy, Debug)]
pub struct Which {
    pub account_id: i64,
    pub id: i64,
    pub within: Within,
}

#[derive(Clone, Copy, Debug)]
pub enum Within {
    /// Access profiles of the first generation.
    Legacy,
    /// The keys of this client, whatever its generation.
    Client(i64),
}

impl Profile {
    pub fn auth_type(&self) -> AuthType {
        self.auth.auth_type.unwrap_or(AuthType::Token)
    }

    /// Puts a new credential in the place of the old one.
    pub(crate) fn issue(&mut self, write_id: &str) -> Issued {
        let oauth_client_id = (self.auth_type() == AuthType::Oauth2).then(secret::random_hex);
        self.oauth_client_id.clone_from(&oauth_client_id);
        self.grant_version += 1;
        write_id.clone_into(&mut self.secret_write_id);
        Issued { secret: secret::random_hex(), oauth_client_id }
    }

    pub(crate) fn set_active(&mut self, active: bool) {
        if active == self.active {
            return;
        }
        self.active = active;
        self.active_since = active.then(now_ms);
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

/// Keeps a new profile with its first credential, and ends the transaction.
pub(crate) async fn insert(
    deps: &Deps,
    caller: &Caller,
    mut tx: Tx,
    mut profile: Profile,
    version: i64,
) -> Result<Shown> {
    profile.id = crate::store::next_number(&mut tx, "api_profile").await?;
    let issued = profile.issue(&caller.info.write_id);
    store::insert(&mut tx, &profile, &digest(&issued.secret), &deps.secrets, version).await?;
    let change = Change::of("accessProfile", profile.id).after(&profile.described());
    portolan_outbox::audit(&mut tx, caller, change).await?;
    changes::commit(deps, tx).await?;
    Ok(Shown { profile, issued: Some(issued) })
}

/// # Errors
/// `NOT_FOUND`.
pub async fn set_active(deps: &Deps, caller: &Caller, which: Which, active: bool) -> Result<Profile> {
    let mut tx = deps.db.begin().await?;
    let version = changes::next(&mut tx).await?;
    let before = find(deps, &mut tx, which).await?;
    if before.active == active {
        return Ok(before);
    }
    let mut profile = before.clone();
    profile.set_active(active);
    profile.updated_at = now_ms();
    store::update(&mut tx, &profile, None, &deps.secrets, version).await?;
    record(&mut tx, caller, &before, &profile).await?;
    changes::commit(deps, tx).await?;
    Ok(profile)
}

/// Gives a profile a new secret; the old one is dead from the same moment.
///
/// # Errors
/// `NOT_FOUND`; `REFRESH_NOT_POSSIBLE` for callers that sign for themselves.
pub async fn refresh(deps: &Deps, caller: &Caller, which: Which) -> Result<Shown> {
    let write_id = &caller.info.write_id;
    let mut tx = deps.db.begin().await?;
    let version = changes::next(&mut tx).await?;
    let before = find(deps, &mut tx, which).await?;
    if !before.auth_type().has_own_secret() {
        return Err(Reason::RefreshNotPossible.into());
    }
    if before.secret_write_id == *write_id {
        return Ok(Shown { profile: before, issued: None });
    }
    let mut profile = before.clone();
    let issued = profile.issue(write_id);
    profile.updated_at = now_ms();
    store::update(&mut tx, &profile, Some(&digest(&issued.secret)), &deps.secrets, version).await?;
    record(&mut tx, caller, &before, &profile).await?;
    changes::commit(deps, tx).await?;
    Ok(Shown { profile, issued: Some(issued) })
}

/// # Errors
/// `NOT_FOUND`.
pub(crate) async fn find(deps: &Deps, tx: &mut Tx, which: Which) -> Result<Profile> {
    let found = store::find(tx, &deps.secrets, which.account_id, which.id).await?;
    let found = found.filter(|profile| match which.within {
        Within::Legacy => profile.is_legacy,
        Within::Client(id) => profile.client_id == id,
    });
    Ok(found.ok_or(Reason::NotFound)?)
}

pub(crate) async fn record(tx: &mut Tx, caller: &Caller, before: &Profile, after: &Profile) -> Result<()> {
    let change = Change::of("accessProfile", after.id).before(&before.described()).after(&after.described());
    Ok(portolan_outbox::audit(tx, caller, change).await?)
}
