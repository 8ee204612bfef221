//! Organisation tokens: who has one acts for the organisation within its scopes.
//!
//! # Invariants
//! - One secret works at a time: a regeneration replaces the digest in one statement, so it works or it does not.
//! - Nobody hands out a scope that they lack, neither by making or changing a token nor by regenerating one.
//! - A token is known in the account in which it was made; anywhere else it answers as a missing one does.
//! - A credential with bounds makes, changes and ends only tokens that are bounded as tightly.

use portolan_api::{
    Error, Reason, Result,
    identity::v1::{FindOrganizationRequest, OrganizationRecord, OrganizationState, find_organization_request::By},
};
use portolan_authz::Caller;
use portolan_outbox::Change;
use portolan_runtime::{digest, now_s};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Deps,
    bounds::Bounds,
    changes, networks, scopes,
    secret::{self, Kind},
    store::organization_tokens as store,
};

const NAME_CHARS_MAX: usize = 100;
const LIST_MAX: usize = 200;
const ANNOTATION_CHARS_MAX: usize = 1000;
/// Random characters of an id after its prefix.
const ID_CHARS: usize = 16;
const PER_PAGE_DEFAULT: i64 = 30;
const PER_PAGE_MAX: i64 = 200;
/// Above this many tokens the totals are not told.
const LARGE_SET: i64 = 1000;

/// A token as it is known without its secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    pub id: String,
    /// UUID of the owner.
    pub organization_id: String,
    /// The account in which it was made and acts; 0 for the first of the organisation.
    pub account_id: i64,
    pub name: String,
    pub scopes: Vec<String>,
    pub networks: Vec<String>,
    /// Unix seconds.
    pub expires_at: Option<i64>,
    /// Requests a minute; `None` means the configured default.
    pub rate_limit: Option<i64>,
    pub annotations: Vec<Annotation>,
    pub created_at: i64,
    /// The write that made the secret.
    pub secret_write_id: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Annotation {
    pub key: String,
    pub value: Option<String>,
}

/// What is to be set; `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Properties {
    pub name: Option<String>,
    pub networks: Option<Vec<String>>,
    /// The inner `None` means never.
    pub expires_at: Option<Option<i64>>,
    pub scopes: Option<Vec<String>>,
    pub annotations: Option<Vec<Annotation>>,
}

/// Which organisation a caller means.
pub enum Lookup {
    Id(String),
    SubDomain(String),
}

/// One page of tokens.
#[derive(Debug)]
pub struct Page {
    pub tokens: Vec<Token>,
    pub organization: String,
    pub number: i64,
    pub per_page: i64,
    pub total: i64,
}

impl Page {
    pub fn is_large(&self) -> bool {
        self.total > LARGE_SET
    }
}

/// A token with the public id of its organisation, and its secret when it was just made.
#[derive(Debug)]
pub struct Shown {
    pub token: Token,
    pub organization: String,
    pub secret: Option<String>,
}

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
    let place = Place::of(caller, &organization);
    let offset = (number - 1).saturating_mul(per_page);
    let (tokens, total) = if having.is_empty() {
        let total = store::count(&deps.db, &place).await?;
        (store::list(&deps.db, &place, per_page, offset).await?, total)
    } else {
        let all = store::list(&deps.db, &place, i64::MAX, 0).await?;
        let has = |token: &Token| having.iter().all(|wanted| token.annotations.iter().any(|a| matches(wanted, a)));
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
    let own = Bounds::of(deps, caller).await?;
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
        rate_limit: None,
        annotations: properties.annotations.unwrap_or_default(),
        created_at: now,
        secret_write_id: caller.info.write_id.clone(),
    };
    let mut faults = faults(&token);
    if token.expires_at.is_some_and(|at| at <= now) {
        faults.push("Expires at must be in the future".to_owned());
    }
    refuse(faults)?;
    own.must_cover(&token)?;
    let secret = secret::generate(Kind::OrganizationToken);
    let mut tx = deps.db.begin().await?;
    if let Some(made) = store::find_by_write(&mut tx, &organization.id, &caller.info.write_id).await? {
        return Ok(Shown { token: made, organization: organization.public_id, secret: None });
    }
    let version = changes::next(&mut tx).await?;
    store::insert(&mut tx, &token, &digest(&secret), &caller.info.write_id, version).await?;
    portolan_outbox::audit(&mut tx, caller, change(&token).after(&described(&token))).await?;
    tx.commit().await?;
    Ok(Shown { token, organization: organization.public_id, secret: Some(secret) })
}

/// # Errors
/// `API_TOKEN_NOT_FOUND`; `PERMISSION_DENIED` for a scope that the caller lacks, before or after the change, and for a
/// token that reaches further than the calling credential; `VALIDATION_ERROR`.
pub async fn update(deps: &Deps, caller: &Caller, id: &str, properties: Properties) -> Result<Shown> {
    let organization = own_organization(deps, caller).await?;
    let own = Bounds::of(deps, caller).await?;
    let mut tx = deps.db.begin().await?;
    let version = changes::next(&mut tx).await?;
    let before = find(&mut tx, &Place::of(caller, &organization), id).await?;
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
    refuse(faults(&token))?;
    own.must_cover(&token)?;
    store::update(&mut tx, &token, now_s(), version).await?;
    let change = change(&token).before(&described(&before)).after(&described(&token));
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
    let own = Bounds::of(deps, caller).await?;
    let mut tx = deps.db.begin().await?;
    let version = changes::next(&mut tx).await?;
    let token = find(&mut tx, &Place::of(caller, &organization), id).await?;
    allow_scopes(caller, &token.scopes)?;
    own.must_cover(&token)?;
    store::delete(&mut tx, &token, now_s(), version).await?;
    portolan_outbox::audit(&mut tx, caller, change(&token).before(&described(&token))).await?;
    tx.commit().await?;
    Ok(token)
}

/// Gives a token a new secret; the old one is dead from the same moment. Of two that race the later commit counts.
///
/// # Errors
/// `API_TOKEN_NOT_FOUND`; `PERMISSION_DENIED` when the token has a scope that the caller lacks.
pub async fn regenerate(deps: &Deps, caller: &Caller, id: &str) -> Result<Shown> {
    let organization = own_organization(deps, caller).await?;
    let own = Bounds::of(deps, caller).await?;
    let write_id = &caller.info.write_id;
    let secret = secret::generate(Kind::OrganizationToken);
    let mut tx = deps.db.begin().await?;
    let version = changes::next(&mut tx).await?;
    let token = find(&mut tx, &Place::of(caller, &organization), id).await?;
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
    let token = token.filter(|token| token.expires_at.is_none_or(|at| now_s() < at)).ok_or(Reason::InvalidApiToken)?;
    if !token.networks.is_empty() && !networks::contain(&token.networks, address) {
        let detail = json!({ "ip_address": address });
        return Err(Error::new(Reason::UnauthorizedNetworkForApiToken).with("detail_json", detail));
    }
    let limit = token.rate_limit.unwrap_or(deps.settings.organization_rate_limit);
    if let Some(wait_s) = deps.rates.count(&token.id, limit).await? {
        let detail = json!({ "total_permitted": limit });
        let error = Error::new(Reason::RateLimitReached).with("detail_json", detail);
        return Err(error.with("retry_after_seconds", wait_s));
    }
    Ok(token)
}

/// The organisation that the caller means, which must be its own.
///
/// # Errors
/// `ORGANIZATION_NOT_FOUND`, also for another's; `ORGANIZATION_SUSPENDED`, `ORGANIZATION_NOT_ACTIVATED`.
async fn find_organization(deps: &Deps, caller: &Caller, lookup: Lookup) -> Result<OrganizationRecord> {
    let by = match lookup {
        Lookup::Id(id) => By::PublicId(id),
        Lookup::SubDomain(name) => By::SubDomain(name),
    };
    let request = FindOrganizationRequest { by: Some(by) };
    let found = deps.peers.directory().find_organization(request).await?.into_inner().organization;
    let found = found.filter(|found| found.id == caller.organization_id).ok_or(Reason::OrganizationNotFound)?;
    match found.state() {
        OrganizationState::Active => Ok(found),
        OrganizationState::NotActivated => Err(Reason::OrganizationNotActivated.into()),
        OrganizationState::Suspended | OrganizationState::Unspecified => Err(Reason::OrganizationSuspended.into()),
    }
}

async fn own_organization(deps: &Deps, caller: &Caller) -> Result<OrganizationRecord> {
    let request = FindOrganizationRequest { by: Some(By::Id(caller.organization_id.clone())) };
    let found = deps.peers.directory().find_organization(request).await?.into_inner().organization;
    Ok(found.ok_or(Reason::ApiTokenNotFound)?)
}

/// Where tokens are looked for: in the account in which they were made.
pub(crate) struct Place {
    pub(crate) organization_id: String,
    pub(crate) account_id: i64,
    /// The account of the organisation in which tokens act that name none.
    pub(crate) is_first: bool,
}

impl Place {
    fn of(caller: &Caller, organization: &OrganizationRecord) -> Self {
        Self {
            organization_id: organization.id.clone(),
            account_id: caller.account_id,
            is_first: organization.account_ids.iter().min() == Some(&caller.account_id),
        }
    }
}

async fn find(tx: &mut portolan_store::Tx, place: &Place, id: &str) -> Result<Token> {
    Ok(store::find(tx, place, id).await?.ok_or(Reason::ApiTokenNotFound)?)
}

/// Users administer the organisation here and may grant every scope; a token grants, changes and ends what it has.
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

/// What is wrong with a token, in sentences.
fn faults(token: &Token) -> Vec<String> {
    let mut faults = Vec::new();
    let name = token.name.trim();
    if name.is_empty() {
        faults.push("Name can't be blank".to_owned());
    } else if name.chars().count() > NAME_CHARS_MAX {
        faults.push(format!("Name is too long (maximum is {NAME_CHARS_MAX} characters)"));
    }
    if token.networks.len() > LIST_MAX {
        faults.push(format!("Authorized ip addresses are too many (maximum is {LIST_MAX})"));
    }
    for entry in token.networks.iter().filter(|entry| networks::parse(entry).is_none()) {
        faults.push(format!("Authorized ip addresses has an entry that is no address or range: {entry}"));
    }
    for scope in token.scopes.iter().filter(|scope| !scopes::is_known(scope)) {
        faults.push(format!("Scopes has an unknown scope: {scope}"));
    }
    if token.annotations.len() > LIST_MAX {
        faults.push(format!("Annotations are too many (maximum is {LIST_MAX})"));
    }
    for annotation in &token.annotations {
        let too_long = |text: &str| text.chars().count() > ANNOTATION_CHARS_MAX;
        if annotation.key.trim().is_empty() {
            faults.push("Annotations has a key that is blank".to_owned());
        } else if too_long(&annotation.key) || annotation.value.as_deref().is_some_and(too_long) {
            faults.push(format!(
                "Annotations has a text that is too long (maximum is {ANNOTATION_CHARS_MAX} characters)"
            ));
        }
    }
    faults
}

fn refuse(faults: Vec<String>) -> Result<()> {
    if faults.is_empty() {
        return Ok(());
    }
    Err(Error::new(Reason::ValidationError).with("detail_json", json!({ "errors": faults })))
}

fn matches(wanted: &Annotation, annotation: &Annotation) -> bool {
    wanted.key == annotation.key && (wanted.value.is_none() || wanted.value == annotation.value)
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

fn described(token: &Token) -> serde_json::Value {
    json!({
        "name": token.name, "scopes": token.scopes, "authorized_ip_addresses": token.networks,
        "expires_at": token.expires_at,
    })
}
