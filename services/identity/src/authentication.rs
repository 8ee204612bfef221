//! From an edge credential to a signed caller token.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicI64, Ordering},
};

use portolan_api::{Reason, Result};
use portolan_authz::{Audience, CallerClaims, Credential, CredentialKind, FailedAuthentication, Scope, api_key_key};
use portolan_ids::{AccountId, OrganizationId, UserId};
use portolan_runtime::now_s;

use crate::{Deps, model::known_keys::KnownKey, peers, sessions, store};

/// A token is handed out again until this much of its life is left.
const REUSE_BEFORE_S: i64 = 20;
/// The use of a key is told to tokens at most this often.
const TELL_USE_EVERY_S: i64 = 60;
/// Tokens kept for one key: one per scope, client address, and service that calls another.
const TOKENS_PER_KEY_MAX: usize = 64;

/// Returns a caller token and its expiry in Unix seconds.
///
/// # Errors
/// `UNAUTHENTICATED` for a credential that is not good; `ORGANIZATION_SUSPENDED`, `ORGANIZATION_NOT_ACTIVATED`; `UNAVAILABLE` when its owner cannot be asked.
pub async fn authenticate(
    deps: &Deps,
    credential: &Credential,
    scope: Scope,
    client_address: &str,
    audience: Audience<'_>,
) -> Result<(String, i64)> {
    match credential {
        Credential::ApiKey(key) => with_key(deps, key, scope, client_address, audience).await,
        Credential::Session { session, access_token } => {
            let session = sessions::verify(deps, session, access_token).await?;
            let claims = CallerClaims {
                account_id: session.account_id,
                user_id: session.user_id,
                organization_id: organization_of(deps, session.account_id).await?,
                scope,
                credential: CredentialKind::Session,
                credential_id: session.digest[..16].to_owned(),
                client_address: client_address.to_owned(),
                scopes: Vec::new(),
                valid_until: None,
                has_networks: false,
                aud: Vec::new(),
                azp: String::new(),
                iat: 0,
                exp: 0,
            };
            check_open(deps, &claims.organization_id, claims.account_id)?;
            deps.signing.sign(claims.to(audience)).await
        }
        Credential::CapabilitiesToken(token) => {
            let claims = deps.signing.verify(token).await?;
            check_open(deps, &claims.organization_id, claims.account_id)?;
            if !claims.is_for(audience.service) {
                return Err(Reason::Unauthenticated.into());
            }
            let end = claims.exp;
            deps.signing.sign_until((*claims).clone().to(audience), end).await
        }
        Credential::OrganizationToken(secret) => {
            with_organization_token(deps, secret, scope, client_address, audience).await
        }
    }
}

async fn with_key(
    deps: &Deps,
    key: &str,
    scope: Scope,
    client_address: &str,
    audience: Audience<'_>,
) -> Result<(String, i64)> {
    let known = find_key(deps, key).await?;
    if known.valid_until.is_some_and(|until| now_s() >= until) {
        return Err(FailedAuthentication::of_account(Reason::Unauthenticated, known.account_id));
    }
    tell_use(deps, &known);
    check_open(deps, &known.organization_id, known.account_id)?;
    let slot = (scope, client_address.to_owned(), format!("{}>{}", audience.speaker, audience.service));
    {
        let tokens = known.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((token, exp)) = tokens.get(&slot).filter(|(_, exp)| exp - now_s() > REUSE_BEFORE_S) {
            return Ok((token.clone(), *exp));
        }
    }
    let claims = CallerClaims {
        account_id: known.account_id,
        user_id: known.user_id,
        organization_id: known.organization_id.clone(),
        scope,
        credential: known.kind,
        credential_id: known.id.clone(),
        client_address: client_address.to_owned(),
        scopes: Vec::new(),
        valid_until: known.valid_until,
        has_networks: false,
        aud: Vec::new(),
        azp: String::new(),
        iat: 0,
        exp: 0,
    };
    let (token, exp) = deps.signing.sign(claims.to(audience)).await?;
    let mut tokens = known.tokens.lock().unwrap_or_else(PoisonError::into_inner);
    if tokens.len() >= TOKENS_PER_KEY_MAX {
        tokens.clear();
    }
    tokens.insert(slot, (token.clone(), exp));
    Ok((token, exp))
}

/// Tells tokens that a key is used, at most once a minute. Nobody waits for it, and a use that is not told is told with
/// the next one.
fn tell_use(deps: &Deps, known: &KnownKey) {
    let now = now_s();
    let told_at = known.told_at.load(Ordering::Relaxed);
    let is_due = now - told_at >= TELL_USE_EVERY_S
        && known.told_at.compare_exchange(told_at, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
    let Some(api_key_id) = known.id.parse().ok().filter(|_| is_due) else { return };
    let (peers, account_id) = (deps.peers.clone(), known.account_id);
    tokio::spawn(async move {
        if let Err(error) = peers::record_key_use(&peers, account_id, api_key_id, now).await {
            tracing::warn!(%error, "the use of an API key was not recorded");
        }
    });
}

/// Asked of tokens each time: the request counts in the token's rate limit, and a secret that was regenerated is dead at
/// once. The token acts in the account in which it was made, and ends with that account.
async fn with_organization_token(
    deps: &Deps,
    secret: &str,
    scope: Scope,
    client_address: &str,
    audience: Audience<'_>,
) -> Result<(String, i64)> {
    let token = peers::organization_token(&deps.peers, secret, client_address).await?;
    let account = match token.account_id {
        AccountId(0) => store::find_first_account_of_organization(&deps.db, &token.organization_id).await?,
        made_in => store::find_own_account(&deps.db, &token.organization_id, made_in).await?,
    };
    let claims = CallerClaims {
        account_id: account.ok_or(Reason::Unauthenticated)?,
        user_id: UserId(0),
        organization_id: token.organization_id,
        scope,
        credential: CredentialKind::OrganizationToken,
        credential_id: token.id,
        client_address: client_address.to_owned(),
        scopes: token.scopes,
        valid_until: token.valid_until,
        has_networks: token.has_networks,
        aud: Vec::new(),
        azp: String::new(),
        iat: 0,
        exp: 0,
    };
    check_open(deps, &claims.organization_id, claims.account_id)?;
    deps.signing.sign(claims.to(audience)).await
}

/// Refuses the credentials of an organization that is not active.
fn check_open(deps: &Deps, organization_id: &OrganizationId, account_id: AccountId) -> Result<()> {
    deps.suspended.check(organization_id).map_err(|error| FailedAuthentication::of_account(error, account_id))
}

async fn find_key(deps: &Deps, key: &str) -> Result<Arc<KnownKey>> {
    let owner = || async {
        let owner = peers::key_owner(&deps.peers, key).await?;
        Ok(KnownKey {
            kind: owner.kind,
            organization_id: organization_of(deps, owner.account_id).await?,
            id: owner.id.to_string(),
            account_id: owner.account_id,
            user_id: owner.user_id,
            valid_until: owner.valid_until,
            told_at: AtomicI64::new(0),
            tokens: Mutex::default(),
        })
    };
    // Strictly: those who ask copy what they are told.
    deps.keys.read_strictly(&api_key_key(&portolan_runtime::digest(key)), owner, |_| None).await
}

async fn organization_of(deps: &Deps, account_id: AccountId) -> Result<OrganizationId> {
    Ok(store::find_organization_of_account(&deps.db, account_id).await?.ok_or(Reason::Unauthenticated)?)
}
