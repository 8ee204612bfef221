//! The end of credentials whose owner lost the right to have any.

use portolan_api::{Error, Result};
use portolan_authz::api_key_key;
use portolan_ids::{AccountId, UserId};
use portolan_outbox::AuditEvent;
use portolan_runtime::now_s;
use portolan_store::Tx;

use crate::{
    Deps, changes,
    clock::now_ms,
    model::api_keys::ApiKey,
    store::{access_tokens, api_keys, clients, organization_tokens, profiles, slack_webhooks},
};

pub use crate::model::revocations::Ended;

/// Owners of one call.
pub const OWNERS_MAX: usize = 1_000;
const ACTION: &str = "credentials.revoke";

/// Deletes the API keys and Slack webhooks of these owners, and the organization tokens, clients, profiles and access
/// tokens of an account that ended; returns how many credentials there were. They are dead with the answer, also at the edge and at those who cache
/// the owners of keys.
///
/// # Errors
/// `INTERNAL` for more than [`OWNERS_MAX`]; `UNAVAILABLE` when the readers of keys cannot be told.
pub async fn revoke(deps: &Deps, owners: &[Ended]) -> Result<i32> {
    if owners.len() > OWNERS_MAX {
        return Err(Error::internal(format!("{} owners at once", owners.len())));
    }
    // One change of all keys, so that its answer waits once.
    let mut digests = Vec::new();
    for ended in owners {
        digests.extend(api_keys::list_digests_of_owner(&deps.db, ended).await?);
    }
    let change = deps.key_changes.begin(digests.iter().map(|digest| api_key_key(digest))).await?;
    let (mut revoked, mut profiles) = (0, 0);
    for ended in owners {
        let (credentials, ended_profiles) = revoke_one(deps, ended).await?;
        revoked += credentials + ended_profiles;
        profiles += ended_profiles;
    }
    let ended = change.end().await?;
    let settle_edge = async {
        match profiles {
            0 => Ok(()),
            _ => deps.edge.settle().await,
        }
    };
    let ((), settled) = tokio::join!(ended.settle(), settle_edge);
    settled?;
    Ok(revoked)
}

/// The API keys of these owners that work at this moment, masked.
///
/// # Errors
/// `INTERNAL` for more than [`OWNERS_MAX`].
pub async fn live_keys(deps: &Deps, owners: &[(AccountId, UserId)]) -> Result<Vec<String>> {
    if owners.len() > OWNERS_MAX {
        return Err(Error::internal(format!("{} owners at once", owners.len())));
    }
    let mut live = Vec::new();
    for (account_id, user_id) in owners {
        let keys = api_keys::list(&deps.db, *account_id, *user_id).await?;
        live.extend(keys.iter().filter(|key| key.expires_at.is_none_or(|at| now_s() < at)).map(ApiKey::masked));
    }
    Ok(live)
}

/// Returns how many credentials there were, and how many profiles beside them.
async fn revoke_one(deps: &Deps, ended: &Ended) -> Result<(i32, i32)> {
    let mut tx = deps.db.begin().await?;
    let mut revoked = 0;
    let ended_profiles = match ended.user_id {
        None => {
            let version = changes::next(&mut tx).await?;
            revoked += end_organization_tokens(&mut tx, ended, version).await?;
            end_profiles(&mut tx, ended.account_id, version).await?
        }
        // They belong to the account, whoever made them.
        Some(_) => 0,
    };
    for (user_id, key_id) in api_keys::delete_of_owner(&mut tx, ended).await? {
        record(&mut tx, ended.account_id, user_id, "apiKey", &key_id.to_string()).await?;
        revoked += 1;
    }
    for (user_id, webhook_id) in slack_webhooks::delete_of_owner(&mut tx, ended).await? {
        record(&mut tx, ended.account_id, user_id, "slackWebhook", &webhook_id.to_string()).await?;
        revoked += 1;
    }
    tx.commit().await?;
    Ok((revoked, ended_profiles))
}

/// Ends the tokens that act in an account; returns how many there were.
async fn end_organization_tokens(tx: &mut Tx, ended: &Ended, version: i64) -> Result<i32> {
    let tokens = organization_tokens::delete_of_account(tx, ended, version).await?;
    for token_id in &tokens {
        record(tx, ended.account_id, UserId(0), "organizationToken", token_id).await?;
    }
    i32::try_from(tokens.len()).map_err(Error::internal)
}

/// Ends what callers of protected APIs show in the name of an account; returns how many profiles there were.
async fn end_profiles(tx: &mut Tx, account_id: AccountId, version: i64) -> Result<i32> {
    access_tokens::delete_of_account(tx, account_id).await?;
    let profiles = profiles::delete_of_account(tx, account_id, now_ms(), version).await?;
    clients::delete_of_account(tx, account_id, now_ms(), version).await?;
    for profile_id in &profiles {
        record(tx, account_id, UserId(0), "accessProfile", &profile_id.to_string()).await?;
    }
    i32::try_from(profiles.len()).map_err(Error::internal)
}

/// Tells the audit whose credential ended; who ended the membership stands there already.
async fn record(tx: &mut Tx, account_id: AccountId, user_id: UserId, what: &str, id: &str) -> Result<()> {
    let event = AuditEvent {
        event_id: uuid::Uuid::now_v7().to_string(),
        account_id: account_id.into(),
        user_id: user_id.into(),
        action: ACTION.to_owned(),
        outcome: "DONE".to_owned(),
        resource: what.to_owned(),
        resource_id: id.to_owned(),
        time_ms: now_ms(),
        count: 1,
        ..AuditEvent::default()
    };
    Ok(portolan_outbox::put_event(tx, event).await?)
}
