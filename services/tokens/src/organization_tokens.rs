//! Organization tokens: who has one acts for the organization within its scopes.
//!
//! # Invariants
//! - One secret works at a time: a regeneration replaces the digest in one statement, so it works or it does not.
//! - Nobody hands out a scope that they lack, neither by making or changing a token nor by regenerating one.
//! - A token is known in the account in which it was made; anywhere else it answers as a missing one does.
//! - A credential with bounds makes, changes and ends only tokens that are bounded as tightly.

use portolan_api::{Error, Reason, Result};
use portolan_authz::{Caller, FailedAuthentication};
use portolan_outbox::Change;
use portolan_runtime::{digest, now_s};
use serde_json::json;

use crate::{
    Deps, bounds, changes,
    model::{
        networks,
        organization_tokens::TokenAccount,
        organizations::{Organization, State},
        secret::{self, Kind},
    },
    peers,
    store::organization_tokens as store,
};

pub use crate::model::organization_tokens::{Annotation, Lookup, Page, Properties, Shown, Token};

/// Random characters of an id after its prefix.
const ID_CHARS: usize = 16;
const PER_PAGE_DEFAULT: i64 = 30;
const PER_PAGE_MAX: i64 = 200;

/// # Errors
/// `INVALID_ARGUMENT` for a page out of range; those of [`find_organization`].
pub async fn list(
    deps: &Deps,
    caller: &Caller,
    lookup: Lookup,
    page: Option<i64>,
    per_page: Option<i64>,
    having: &[Annotation],
) -> Result<Page> {
    let (number, per_page) = (page.unwrap_or(1), per_page.unwrap_or(PER_PAGE_DEFAULT));
    if number < 1 {
        return Err(out_of_range("page", "greater_than_zero"));
    }
    if per_page < 1 {
        return Err(out_of_range("per_page", "greater_than_zero"));
    }
    if per_page > PER_PAGE_MAX {
        // The documented name of the rule; its limit is 200.
        return Err(out_of_range("per_page", "less_than_or_equal_to_one_hundred"));
    }
    let organization = find_organization(deps, caller, lookup).await?;
    let account = TokenAccount::of(caller.account_id, &organization);
    let offset = (number - 1).saturating_mul(per_page);
    let (tokens, total) = if having.is_empty() {
        let total = store::count(&deps.db, &account).await?;
        (store::list(&deps.db, &account, per_page, offset).await?, total)
    } else {
        let all = store::list(&deps.db, &account, i64::MAX, 0).await?;
        let has = |token: &Token| having.iter().all(|wanted| token.annotations.iter().any(|own| own.matches(wanted)));
        let found: Vec<_> = all.into_iter().filter(has).collect();
        let total = found.len() as i64;
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
        (found.into_iter().skip(skipped).take(per_page as usize).collect(), total)
    };
    Ok(Page { tokens, organization: organization.public_id, number, per_page, total })
}

/// # Errors
/// Those of [`find_organization`]; `PERMISSION_DENIED` for a scope that the caller lacks; `VALIDATION_ERROR`.
pub async fn create(deps: &Deps, caller: &Caller, lookup: Lookup, properties: Properties) -> Result<Shown> {
    let organization = find_organization(deps, caller, lookup).await?;
    let wanted = properties.scopes.clone().unwrap_or_default();
    let own = bounds::of(deps, caller).await?;
    allow_scopes(caller, &wanted)?;
    let now = now_s();
    let token = Token {
        id: format!("tok_{}", secret::random_text(ID_CHARS)),
        organization_id: organization.id.clone(),
        account_id: caller.account_id,
        name: properties.name.unwrap_or_default(),
        scopes: wanted,
        networks: properties.networks.unwrap_or_default(),
        expires_at: properties.expires_at.flatten(),
        // A limited token makes what is limited as it is.
        rate_limit: own.rate_limit,
        annotations: properties.annotations.unwrap_or_default(),
        created_at: now,
        secret_write_id: caller.info.write_id.clone(),
    };
    let mut violations = token.violations();
    if token.expires_at.is_some_and(|at| at <= now) {
        violations.push("Expires at must be in the future".to_owned());
    }
    refuse(violations)?;
    own.must_cover(&token)?;
    let secret = secret::generate(Kind::OrganizationToken);
    let mut tx = deps.db.begin().await?;
    if let Some(made) = store::find_by_write(&mut tx, &organization.id, &caller.info.write_id).await? {
        return Ok(Shown { token: made, organization: organization.public_id, secret: None });
    }
    let version = changes::next(&mut tx).await?;
    store::insert(&mut tx, &token, &digest(&secret), &caller.info.write_id, version).await?;
    portolan_outbox::audit(&mut tx, caller, change(&token).after(&token.described())).await?;
    tx.commit().await?;
    Ok(Shown { token, organization: organization.public_id, secret: Some(secret) })
}

/// # Errors
/// `API_TOKEN_NOT_FOUND`; `PERMISSION_DENIED` for a scope that the caller lacks, before or after the change, and for a
/// token that reaches further than the calling credential; `VALIDATION_ERROR`.
pub async fn update(deps: &Deps, caller: &Caller, id: &str, properties: Properties) -> Result<Shown> {
    let organization = own_organization(deps, caller).await?;
    let own = bounds::of(deps, caller).await?;
    let mut tx = deps.db.begin().await?;
    let version = changes::next(&mut tx).await?;
    let before = find(&mut tx, &TokenAccount::of(caller.account_id, &organization), id).await?;
    allow_scopes(caller, &before.scopes)?;
    own.must_cover(&before)?;
    let mut token = before.clone();
    if let Some(scopes) = properties.scopes {
        allow_scopes(caller, &scopes)?;
        token.scopes = scopes;
    }
    token.name = properties.name.unwrap_or(token.name);
    token.networks = properties.networks.unwrap_or(token.networks);
    token.expires_at = properties.expires_at.unwrap_or(token.expires_at);
    token.annotations = properties.annotations.unwrap_or(token.annotations);
    refuse(token.violations())?;
    own.must_cover(&token)?;
    store::update(&mut tx, &token, now_s(), version).await?;
    let change = change(&token).before(&before.described()).after(&token.described());
    portolan_outbox::audit(&mut tx, caller, change).await?;
    tx.commit().await?;
    Ok(Shown { token, organization: organization.public_id, secret: None })
}

/// Deletes a token; answers it as it was.
///
/// # Errors
/// `API_TOKEN_NOT_FOUND`; `PERMISSION_DENIED` for one that reaches further than the calling credential.
pub async fn delete(deps: &Deps, caller: &Caller, id: &str) -> Result<Token> {
    let organization = own_organization(deps, caller).await?;
    let own = bounds::of(deps, caller).await?;
    let mut tx = deps.db.begin().await?;
    let version = changes::next(&mut tx).await?;
    let token = find(&mut tx, &TokenAccount::of(caller.account_id, &organization), id).await?;
    allow_scopes(caller, &token.scopes)?;
    own.must_cover(&token)?;
    store::delete(&mut tx, &token, now_s(), version).await?;
    portolan_outbox::audit(&mut tx, caller, change(&token).before(&token.described())).await?;
    tx.commit().await?;
    Ok(token)
}

/// Gives a token a new secret; the old one is dead from the same moment. Of two that race the later commit counts.
///
/// # Errors
/// `API_TOKEN_NOT_FOUND`; `PERMISSION_DENIED` when the token has a scope that the caller lacks.
pub async fn regenerate(deps: &Deps, caller: &Caller, id: &str) -> Result<Shown> {
    let organization = own_organization(deps, caller).await?;
    let own = bounds::of(deps, caller).await?;
    let write_id = &caller.info.write_id;
    let secret = secret::generate(Kind::OrganizationToken);
    let mut tx = deps.db.begin().await?;
    let version = changes::next(&mut tx).await?;
    let token = find(&mut tx, &TokenAccount::of(caller.account_id, &organization), id).await?;
    allow_scopes(caller, &token.scopes)?;
    own.must_cover(&token)?;
    if token.secret_write_id == *write_id {
        return Ok(Shown { token, organization: organization.public_id, secret: None });
    }
    store::update_secret(&mut tx, &token, &digest(&secret), write_id, now_s(), version).await?;
    portolan_outbox::audit(&mut tx, caller, change(&token)).await?;
    tx.commit().await?;
    Ok(Shown { token, organization: organization.public_id, secret: Some(secret) })
}

/// Finds the token with this secret and checks what is checked at each use, in the documented order. Counts one request.
///
/// # Errors
/// `INVALID_API_TOKEN`, `UNAUTHORIZED_NETWORK_FOR_API_TOKEN`, `RATE_LIMIT_REACHED`.
pub async fn authenticate(deps: &Deps, secret: &str, address: &str) -> Result<Token> {
    if Kind::of(secret) != Some(Kind::OrganizationToken) {
        return Err(Reason::InvalidApiToken.into());
    }
    let token = store::find_by_digest(&deps.db, &digest(secret)).await?;
    let token = token.ok_or(Reason::InvalidApiToken)?;
    let refused = |error: Error| FailedAuthentication::of_account(error, token.account_id);
    if token.expires_at.is_some_and(|at| now_s() >= at) {
        return Err(refused(Reason::InvalidApiToken.into()));
    }
    if !token.networks.is_empty() && !networks::contain(&token.networks, address) {
        let detail = json!({ "ip_address": address });
        return Err(refused(Error::new(Reason::UnauthorizedNetworkForApiToken).with("detail_json", detail)));
    }
    let limit = token.rate_limit.unwrap_or(deps.rules.organization_rate_limit);
    if let Some(wait_s) = deps.rates.count(&token.id, limit).await? {
        let detail = json!({ "total_permitted": limit });
        let error = Error::new(Reason::RateLimitReached).with("detail_json", detail);
        return Err(error.with("retry_after_seconds", wait_s));
    }
    Ok(token)
}

/// The organization that the caller means, which must be its own.
///
/// # Errors
/// `ORGANIZATION_NOT_FOUND`, also for another's; `ORGANIZATION_SUSPENDED`, `ORGANIZATION_NOT_ACTIVATED`.
async fn find_organization(deps: &Deps, caller: &Caller, lookup: Lookup) -> Result<Organization> {
    let found = peers::find_organization(&deps.peers, lookup).await?;
    let found = found.filter(|found| found.id == caller.organization_id).ok_or(Reason::OrganizationNotFound)?;
    match found.state {
        State::Active => Ok(found),
        State::NotActivated => Err(Reason::OrganizationNotActivated.into()),
        State::Suspended => Err(Reason::OrganizationSuspended.into()),
    }
}

async fn own_organization(deps: &Deps, caller: &Caller) -> Result<Organization> {
    let found = peers::organization(&deps.peers, caller.organization_id.clone()).await?;
    Ok(found.ok_or(Reason::ApiTokenNotFound)?)
}

async fn find(tx: &mut portolan_store::Tx, account: &TokenAccount, id: &str) -> Result<Token> {
    Ok(store::find(tx, account, id).await?.ok_or(Reason::ApiTokenNotFound)?)
}

/// Users administer the organization here and may grant every scope; a token grants, changes and ends what it has.
fn allow_scopes(caller: &Caller, wanted: &[String]) -> Result<()> {
    let Some(own) = caller.grant.token_scopes() else { return Ok(()) };
    match wanted.iter().find(|scope| !own.contains(scope)) {
        None => Ok(()),
        Some(scope) => {
            let details = format!("The calling API token does not have the scope {scope} itself");
            Err(Error::new(Reason::PermissionDenied).with("details", details))
        }
    }
}

fn refuse(violations: Vec<String>) -> Result<()> {
    if violations.is_empty() {
        return Ok(());
    }
    Err(Error::new(Reason::ValidationError).with("detail_json", json!({ "errors": violations })))
}

fn out_of_range(name: &str, rule: &str) -> Error {
    let detail = json!({
        "path": [name],
        "index": null,
        "issue": "validation_errors",
        "issue_description": null,
        "errors": [rule],
        "argument": {"id": format!("ListOrganizationTokensRequest/{name}"), "name": name, "description": null},
    });
    Error::new(Reason::InvalidArgument).with("argument_name", format!("`{name}`")).with("detail_json", detail)
}

fn change(token: &Token) -> Change {
    Change::of("organizationToken", &token.id)
}
