//! Secrets that are somewhere where they should not be: whoever shows one ends it.

use portolan_api::Result;
use portolan_authz::{RequestInfo, api_key_key};
use portolan_ids::{AccountId, UserId};
use portolan_outbox::AuditEvent;
use portolan_runtime::{digest, now_s};
use portolan_store::Tx;

use crate::{
    Deps, changes,
    clock::now_ms,
    model::{api_keys::FoundKey, secret::Kind},
    store::{api_keys, organization_tokens, profiles},
};

const ACTION: &str = "leakedKey.revoke";

/// What was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the kind of credential of its name")]
pub enum Revoked {
    ApiKey,
    OrganizationToken,
    AccessProfile,
}

impl Revoked {
    /// As notices spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ApiKey => "API_KEY",
            Self::OrganizationToken => "ORGANIZATION_TOKEN",
            Self::AccessProfile => "ACCESS_PROFILE",
        }
    }
}

/// Ends the credential with this secret; `None` when there is none.
pub async fn revoke(deps: &Deps, info: &RequestInfo, secret: &str) -> Result<Option<Revoked>> {
    let digest = digest(secret);
    match Kind::of(secret) {
        Some(Kind::ApiKey) => revoke_api_key(deps, info, &digest).await,
        Some(Kind::OrganizationToken) => revoke_organization_token(deps, info, &digest).await,
        None if secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            revoke_profile(deps, info, &digest).await
        }
        None => Ok(None),
    }
}

async fn revoke_api_key(deps: &Deps, info: &RequestInfo, digest: &str) -> Result<Option<Revoked>> {
    // A secret that is past its time opens nothing, so who shows it proves nothing about the one after it.
    let found = api_keys::find_by_digest(&deps.db, digest).await?.filter(|found| found.is_alive(now_s()));
    let Some(FoundKey { key, .. }) = found else { return Ok(None) };
    let keys = api_keys::list_digests(&deps.db, key.account_id, key.user_id, key.id).await?;
    let change = deps.key_changes.begin(keys.iter().map(|digest| api_key_key(digest))).await?;
    let mut tx = deps.db.begin().await?;
    api_keys::delete(&mut tx, key.account_id, key.user_id, key.id).await?;
    record(&mut tx, info, key.account_id, key.user_id.into(), "apiKey", &key.id.to_string()).await?;
    tx.commit().await?;
    change.finish().await?;
    Ok(Some(Revoked::ApiKey))
}

async fn revoke_organization_token(deps: &Deps, info: &RequestInfo, digest: &str) -> Result<Option<Revoked>> {
    let Some(token) = organization_tokens::find_by_digest(&deps.db, digest).await? else { return Ok(None) };
    let mut tx = deps.db.begin().await?;
    let version = changes::next(&mut tx).await?;
    organization_tokens::delete(&mut tx, &token, now_ms() / 1000, version).await?;
    record(&mut tx, info, AccountId(0), UserId(0).into(), "organizationToken", &token.id).await?;
    tx.commit().await?;
    Ok(Some(Revoked::OrganizationToken))
}

/// The key of a profile whose callers sign for themselves stands in their tokens and is no secret.
async fn revoke_profile(deps: &Deps, info: &RequestInfo, digest: &str) -> Result<Option<Revoked>> {
    let mut tx = deps.db.begin().await?;
    let version = changes::next(&mut tx).await?;
    let found = profiles::find_by_digest(&mut tx, &deps.secrets, digest).await?;
    let Some(mut profile) = found.filter(|profile| profile.auth_type().has_own_secret()) else { return Ok(None) };
    profile.updated_at = now_ms();
    profile.set_active(false, profile.updated_at);
    profiles::update(&mut tx, &profile, None, &deps.secrets, version).await?;
    record(&mut tx, info, profile.account_id, 0, "accessProfile", &profile.id.to_string()).await?;
    deps.edge.commit(tx).await?;
    Ok(Some(Revoked::AccessProfile))
}

/// The audit of whose credential it was; nobody is known who did it.
async fn record(
    tx: &mut Tx,
    info: &RequestInfo,
    account_id: AccountId,
    owner: i64,
    what: &str,
    id: &str,
) -> Result<()> {
    let event = AuditEvent {
        event_id: uuid::Uuid::now_v7().to_string(),
        account_id: account_id.into(),
        user_id: owner,
        credential: "LEAKED".to_owned(),
        credential_id: id.to_owned(),
        client_address: info.client_address.clone(),
        request_id: info.request_id.clone(),
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
