//! API keys: each belongs to a user in an account and acts with that user's role of the moment.

use portolan_api::{Error, Reason, Result};
use portolan_authz::{Caller, FailedAuthentication};
use portolan_ids::{AccountId, ApiKeyId};
use portolan_outbox::Change;
use portolan_runtime::now_s;
use serde_json::json;

use crate::{
    Deps, bounds,
    model::{bounds::Bounds, secret},
    peers,
    store::{api_keys as store, sequences},
};

pub use crate::model::api_keys::{ApiKey, FoundKey, Owner, Utility};

/// Longest grace period of a rotation: a week.
const GRACE_MAX_S: i64 = 7 * 24 * 60 * 60;

/// Makes a key for the caller. The second part is the whole key, absent when this write was answered before.
///
/// # Errors
/// `TOKEN_UTILITY_INVALID`; `API_KEY_TIME_INVALID` for an expiry in the past; `CREDENTIAL_BOUNDED` when the calling key
/// ends earlier.
pub async fn create(
    deps: &Deps,
    caller: &Caller,
    utility: &str,
    expires_at: Option<i64>,
) -> Result<(ApiKey, Option<String>)> {
    let utility = Utility::parse(utility)?;
    if expires_at.is_some_and(|at| at <= now_s()) {
        return Err(time_invalid("expiresAt", "must be in the future"));
    }
    let own = bounds::of(deps, caller).await?;
    must_cover(&own, expires_at)?;
    let username = peers::login(&deps.peers, caller.account_id, caller.user_id).await?;
    let owner = Owner { account_id: caller.account_id, user_id: caller.user_id, username };
    let mut tx = deps.db.begin().await?;
    if let Some(made) = store::find_by_write(&mut tx, caller.account_id, &caller.info.write_id).await? {
        return Ok((made, None));
    }
    let (key, secret) = new_key(&mut tx, owner, utility, expires_at).await?;
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
    let (key, secret) = new_key(&mut tx, owner, Utility::ExternalApi, None).await?;
    store::insert(&mut tx, &key, &portolan_runtime::digest(&secret), WRITE).await?;
    tx.commit().await?;
    Ok(secret)
}

/// Makes a key for somebody at an operator's demand, without a running service.
///
/// # Errors
/// When the store cannot be reached.
pub async fn create_for(db: &portolan_store::Db, owner: Owner) -> Result<String> {
    let write_id = format!("operator {:032x}", rand::random::<u128>());
    let mut tx = db.begin().await?;
    let (key, secret) = new_key(&mut tx, owner, Utility::ExternalApi, None).await?;
    store::insert(&mut tx, &key, &portolan_runtime::digest(&secret), &write_id).await?;
    tx.commit().await?;
    Ok(secret)
}

/// The caller's keys in the current account, the oldest first.
pub async fn list(deps: &Deps, caller: &Caller) -> Result<Vec<ApiKey>> {
    store::list(&deps.db, caller.account_id, caller.user_id).await
}

/// Deletes one of the caller's keys; answers false when the caller owns none with this id.
///
/// # Errors
/// `CREDENTIAL_BOUNDED` when the calling key ends earlier.
pub async fn delete(deps: &Deps, caller: &Caller, key_id: ApiKeyId) -> Result<bool> {
    let digests = store::list_digests(&deps.db, caller.account_id, caller.user_id, key_id).await?;
    if digests.is_empty() {
        return Ok(false);
    }
    let own = bounds::of(deps, caller).await?;
    let mut tx = deps.db.begin_read().await?;
    let found = store::find(&mut tx, caller.account_id, caller.user_id, key_id).await?;
    drop(tx);
    must_cover(&own, found.and_then(|key| key.expires_at))?;
    let change = deps.key_changes.begin(digests.iter().map(|digest| portolan_authz::api_key_key(digest))).await?;
    let mut tx = deps.db.begin().await?;
    let deleted = store::delete(&mut tx, caller.account_id, caller.user_id, key_id).await?;
    if deleted {
        portolan_outbox::audit(&mut tx, caller, Change::of("apiKey", key_id)).await?;
    }
    tx.commit().await?;
    change.finish().await?;
    Ok(deleted)
}

/// Gives one of the caller's keys a new secret; the old one works for `grace_s` more seconds. Returns the key, the secret
/// (absent when this write was answered before) and until when the old one works.
///
/// Of two rotations within a grace period the second ends the first secret: never do more than two work.
///
/// # Errors
/// `API_KEY_NOT_FOUND`; `API_KEY_TIME_INVALID`; `CREDENTIAL_BOUNDED` when the calling key ends earlier.
pub async fn rotate(
    deps: &Deps,
    caller: &Caller,
    key_id: ApiKeyId,
    grace_s: i64,
) -> Result<(ApiKey, Option<String>, Option<i64>)> {
    if !(0..=GRACE_MAX_S).contains(&grace_s) {
        return Err(time_invalid("gracePeriodSeconds", &format!("must be from 0 to {GRACE_MAX_S}")));
    }
    let digests = store::list_digests(&deps.db, caller.account_id, caller.user_id, key_id).await?;
    let change = deps.key_changes.begin(digests.iter().map(|digest| portolan_authz::api_key_key(digest))).await?;
    let write_id = &caller.info.write_id;
    let own = bounds::of(deps, caller).await?;
    let mut tx = deps.db.begin().await?;
    let found = store::find(&mut tx, caller.account_id, caller.user_id, key_id).await?;
    let mut key = found.ok_or(Reason::ApiKeyNotFound)?;
    let now = now_s();
    if key.rotation_write_id == *write_id {
        let until = store::find_previous_until(&mut tx, &key).await?.filter(|until| now < *until);
        tx.rollback().await?;
        change.finish().await?;
        return Ok((key, None, until));
    }
    must_cover(&own, key.expires_at)?;
    if let Some(ended_at) = key.expires_at.filter(|at| *at <= now) {
        return Err(time_invalid(
            "apiTokenId",
            &format!("names a key that ended at {ended_at}: no secret of it works"),
        ));
    }
    let secret = secret::generate(secret::Kind::ApiKey);
    secret[..3].clone_into(&mut key.start);
    secret[secret.len() - 4..].clone_into(&mut key.end);
    // The old secret does not outlive its key.
    let grace_end = key.expires_at.map_or(now + grace_s, |at| at.min(now + grace_s));
    let previous_until = if grace_s > 0 { grace_end } else { 0 };
    store::rotate(&mut tx, &key, previous_until, &portolan_runtime::digest(&secret), write_id).await?;
    let audited = Change::of("apiKey", key.id).after(&json!({ "gracePeriodSeconds": grace_s }));
    portolan_outbox::audit(&mut tx, caller, audited).await?;
    tx.commit().await?;
    change.finish().await?;
    Ok((key, Some(secret), (previous_until > 0).then_some(previous_until)))
}

/// Notes when a key was used.
pub async fn record_use(deps: &Deps, account_id: AccountId, key_id: ApiKeyId, used_at: i64) -> Result<()> {
    store::record_use(&deps.db, account_id, key_id, used_at).await
}

/// Finds the key with this text.
///
/// # Errors
/// `UNAUTHENTICATED` for a text that is no key, is not known or is past its time.
pub async fn verify(deps: &Deps, key: &str) -> Result<FoundKey> {
    if secret::Kind::of(key) != Some(secret::Kind::ApiKey) {
        return Err(Reason::Unauthenticated.into());
    }
    let found = store::find_by_digest(&deps.db, &portolan_runtime::digest(key)).await?;
    let found = found.ok_or(Reason::Unauthenticated)?;
    match found.is_alive(now_s()) {
        true => Ok(found),
        false => Err(FailedAuthentication::of_account(Reason::Unauthenticated, found.key.account_id)),
    }
}

/// A key with an end makes, renews and ends keys that end with it at the latest.
fn must_cover(own: &Bounds, ends_at: Option<i64>) -> Result<()> {
    bounds::must_cover(own, &Bounds { ends_at, ..Bounds::default() })
}

fn time_invalid(member: &str, detail: &str) -> Error {
    Error::new(Reason::ApiKeyTimeInvalid).with("member", member).with("detail", detail)
}

async fn new_key(
    tx: &mut portolan_store::Tx,
    owner: Owner,
    utility: Utility,
    expires_at: Option<i64>,
) -> Result<(ApiKey, String)> {
    let secret = secret::generate(secret::Kind::ApiKey);
    let key = ApiKey {
        id: sequences::next_key_id(tx).await?,
        account_id: owner.account_id,
        user_id: owner.user_id,
        username: owner.username,
        utility,
        start: secret[..3].to_owned(),
        end: secret[secret.len() - 4..].to_owned(),
        created_at: now_s(),
        expires_at,
        last_used_at: 0,
        rotation_write_id: String::new(),
    };
    Ok((key, secret))
}
