//! API keys: each belongs to a user in an account and acts with that user's role of the moment.

use portolan_api::{KeyUtility, Reason, Result, identity::v1::GetUserRequest};
use portolan_authz::Caller;
use portolan_outbox::Change;
use portolan_runtime::now_s;
use serde_json::json;

use crate::{Deps, secret, store};

/// A key as it is listed.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiKey {
    pub id: i32,
    pub account_id: i64,
    pub user_id: i64,
    pub username: String,
    pub utility: Utility,
    /// First 3 and last 4 characters.
    pub start: String,
    pub end: String,
    /// Unix seconds.
    pub created_at: i64,
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Utility {
    Burp,
    Cicd,
    ExternalApi,
}

impl Utility {
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

impl From<Utility> for KeyUtility {
    fn from(utility: Utility) -> Self {
        match utility {
            Utility::Burp => Self::Burp,
            Utility::Cicd => Self::Cicd,
            Utility::ExternalApi => Self::ExternalApi,
        }
    }
}

/// Makes a key for the caller. The second part is the whole key, absent when this write was answered before.
///
/// # Errors
/// `TOKEN_UTILITY_INVALID`.
pub async fn create(deps: &Deps, caller: &Caller, utility: &str) -> Result<(ApiKey, Option<String>)> {
    let utility = Utility::parse(utility)?;
    let owner = GetUserRequest { account_id: caller.account_id, user_id: caller.user_id };
    let username = deps.peers.identity().get_user(owner).await?.into_inner().login;
    let owner = Owner { account_id: caller.account_id, user_id: caller.user_id, username };
    let mut tx = deps.db.begin().await?;
    if let Some(made) = store::find_by_write(&mut tx, caller.account_id, &caller.info.write_id).await? {
        return Ok((made, None));
    }
    let (key, secret) = new_key(&mut tx, owner, utility).await?;
    store::insert(&mut tx, &key, &portolan_runtime::digest(&secret), &caller.info.write_id).await?;
    let change = Change::of("apiKey", key.id).after(&json!({ "utility": utility.name() }));
    portolan_outbox::audit(&mut tx, caller, change).await?;
    tx.commit().await?;
    Ok((key, Some(secret)))
}

/// Makes the first key of an installation; one that an interrupted start made before is replaced.
pub async fn create_first(deps: &Deps, owner: Owner) -> Result<String> {
    const WRITE: &str = "first start";
    let mut tx = deps.db.begin().await?;
    store::delete_by_write(&mut tx, owner.account_id, WRITE).await?;
    let (key, secret) = new_key(&mut tx, owner, Utility::ExternalApi).await?;
    store::insert(&mut tx, &key, &portolan_runtime::digest(&secret), WRITE).await?;
    tx.commit().await?;
    Ok(secret)
}

/// Whose a key is.
pub struct Owner {
    pub account_id: i64,
    pub user_id: i64,
    pub username: String,
}

/// The caller's keys in the current account, the oldest first.
pub async fn list(deps: &Deps, caller: &Caller) -> Result<Vec<ApiKey>> {
    store::list(&deps.db, caller.account_id, caller.user_id).await
}

/// Deletes one of the caller's keys; answers false when the caller owns none with this id.
pub async fn delete(deps: &Deps, caller: &Caller, key_id: i32) -> Result<bool> {
    let Some(digest) = store::find_digest(&deps.db, caller.account_id, caller.user_id, key_id).await? else {
        return Ok(false);
    };
    let change = deps.key_changes.begin([portolan_authz::api_key_key(&digest)]).await?;
    let deleted = store::delete(&deps.db, caller.account_id, caller.user_id, key_id).await?;
    change.finish().await?;
    Ok(deleted)
}

/// Finds the key with this text.
///
/// # Errors
/// `UNAUTHENTICATED` for a text that is no key or is not known.
pub async fn verify(deps: &Deps, key: &str) -> Result<ApiKey> {
    if secret::Kind::of(key) != Some(secret::Kind::ApiKey) {
        return Err(Reason::Unauthenticated.into());
    }
    Ok(store::find_by_digest(&deps.db, &portolan_runtime::digest(key)).await?.ok_or(Reason::Unauthenticated)?)
}

async fn new_key(tx: &mut portolan_store::Tx, owner: Owner, utility: Utility) -> Result<(ApiKey, String)> {
    let secret = secret::generate(secret::Kind::ApiKey);
    let key = ApiKey {
        id: store::next_id(tx).await?,
        account_id: owner.account_id,
        user_id: owner.user_id,
        username: owner.username,
        utility,
        start: secret[..3].to_owned(),
        end: secret[secret.len() - 4..].to_owned(),
        created_at: now_s(),
    };
    Ok((key, secret))
}
