//! Clients: who calls the protected APIs. Those of the first generation only group profiles; those of the second carry
//! the settings of all their keys.

use portolan_api::{Reason, Result};
use portolan_authz::Caller;
use portolan_ids::{AccountId, ApiClientId};
use portolan_outbox::Change;
use portolan_store::Tx;

use crate::{
    Deps, changes,
    clock::now_ms,
    model::{
        violations::{BLANK, Violations},
        workspaces::Page,
    },
    store::{self, clients as table, sequences},
    workspaces,
};

pub use crate::model::api_clients::{Client, Filter, Listed, Patch};

/// The client that takes profiles for which none is named.
const DEFAULT_NAME: &str = "Default";
const DESCRIPTION_CHARS_MAX: usize = 10_000;

/// One page of clients, and how many there are on all pages.
pub async fn list(deps: &Deps, account_id: AccountId, filter: &Filter, page: Page) -> Result<(Vec<Listed>, i64)> {
    let all = table::list(&deps.db, &deps.secrets, account_id).await?;
    let has_bundle = |client: &Client| {
        filter.cert_bundle_ids.is_empty() || client.cert_bundle_ids.iter().any(|id| filter.cert_bundle_ids.contains(id))
    };
    let found: Vec<_> = all
        .into_iter()
        .filter(|listed| !filter.legacy_only || listed.client.is_legacy)
        .filter(|listed| filter.project_id.is_none() || listed.client.project_id == filter.project_id)
        .filter(|listed| has_bundle(&listed.client))
        .collect();
    let total = found.len() as i64;
    let skipped = usize::try_from(page.offset()).unwrap_or(usize::MAX);
    Ok((found.into_iter().skip(skipped).take(page.per_page as usize).collect(), total))
}

/// # Errors
/// `NOT_FOUND`.
pub async fn get(deps: &Deps, account_id: AccountId, id: i64) -> Result<Listed> {
    let all = table::list(&deps.db, &deps.secrets, account_id).await?;
    Ok(all.into_iter().find(|listed| listed.client.id == id.into()).ok_or(Reason::NotFound)?)
}

/// Whether a client of the first generation has this id.
pub async fn is_legacy(deps: &Deps, account_id: AccountId, id: i64) -> Result<bool> {
    let found = table::find(&deps.db, &deps.secrets, account_id, id.into()).await?;
    Ok(found.is_some_and(|client| client.is_legacy))
}

/// Makes a client of the first generation.
///
/// # Errors
/// `VALIDATION_FAILED`.
pub async fn create_legacy(
    deps: &Deps,
    caller: &Caller,
    account_id: AccountId,
    name: Option<String>,
    project_id: Option<&str>,
) -> Result<Client> {
    let name = name.unwrap_or_default();
    let mut violations = Violations::default();
    violations.name("name", &name);
    let project_id = project_id.map(workspaces::number);
    if project_id == Some(None) {
        violations.add("project_id", "is not a number");
    }
    let project_id = project_id.flatten();
    violations.refuse()?;
    let now = now_ms();
    let client = Client {
        account_id,
        is_legacy: true,
        name,
        project_id: project_id.map(Into::into),
        created_at: now,
        updated_at: now,
        ..Client::default()
    };
    insert(deps, caller, client).await
}

/// Makes a client of the second generation.
///
/// # Errors
/// `VALIDATION_FAILED`.
pub async fn create(deps: &Deps, caller: &Caller, account_id: AccountId, patch: Patch) -> Result<Client> {
    let now = now_ms();
    let mut client = Client { account_id, created_at: now, updated_at: now, ..Client::default() };
    let mut violations = Violations::default();
    if patch.auth.auth_type.is_none() {
        violations.add("auth_type", BLANK);
    }
    let portal = (patch.api_portal_id.flatten().is_some(), patch.email.clone().flatten().is_some());
    match portal {
        (true, false) => violations.add("email", BLANK),
        (false, true) => violations.add("api_portal_id", BLANK),
        _ => {}
    }
    merge(&mut client, patch, &mut violations);
    workspaces::check_collections(deps, account_id, &client.auth.collection_ids, &mut violations).await?;
    violations.refuse()?;
    insert(deps, caller, client).await
}

/// Changes what is given; the kind of authentication stays.
///
/// # Errors
/// `NOT_FOUND`, `VALIDATION_FAILED`.
pub async fn update(deps: &Deps, caller: &Caller, account_id: AccountId, id: i64, patch: Patch) -> Result<()> {
    let mut checked = table::find(&deps.db, &deps.secrets, account_id, id.into()).await?.ok_or(Reason::NotFound)?;
    let asks_collections = patch.auth.collection_ids.is_some() && !checked.is_legacy;
    let mut violations = Violations::default();
    merge(&mut checked, patch.clone(), &mut violations);
    if asks_collections {
        workspaces::check_collections(deps, account_id, &checked.auth.collection_ids, &mut violations).await?;
    }
    violations.refuse()?;

    let mut tx = deps.db.begin().await?;
    let version = changes::next(&mut tx).await?;
    let before = table::find_in(&mut tx, &deps.secrets, account_id, id.into()).await?.ok_or(Reason::NotFound)?;
    let mut client = before.clone();
    let mut violations = Violations::default();
    merge(&mut client, patch, &mut violations);
    violations.refuse()?;
    client.updated_at = now_ms();
    table::update(&mut tx, &client, &deps.secrets, version).await?;
    let change = Change::of("apiClient", id).before(&before.described()).after(&client.described());
    portolan_outbox::audit(&mut tx, caller, change).await?;
    deps.edge.commit(tx).await
}

/// Deletes a client with all its keys.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn delete(deps: &Deps, caller: &Caller, account_id: AccountId, id: i64) -> Result<()> {
    let mut tx = deps.db.begin().await?;
    let version = changes::next(&mut tx).await?;
    let client = table::find_in(&mut tx, &deps.secrets, account_id, id.into()).await?.ok_or(Reason::NotFound)?;
    let now = now_ms();
    table::delete(&mut tx, account_id, id.into(), now, version).await?;
    store::profiles::delete_of_client(&mut tx, account_id, id.into(), now, version).await?;
    portolan_outbox::audit(&mut tx, caller, Change::of("apiClient", id).before(&client.described())).await?;
    deps.edge.commit(tx).await
}

/// The client that takes profiles for which none is named; made when it is first needed.
pub(crate) async fn default_legacy(
    deps: &Deps,
    tx: &mut Tx,
    account_id: AccountId,
    version: i64,
) -> Result<ApiClientId> {
    // A write of its own, so that the account has one such client whoever comes first.
    const WRITE: &str = "default client";
    if let Some(client) = table::find_by_write(tx, &deps.secrets, account_id, WRITE).await? {
        return Ok(client.id);
    }
    let now = now_ms();
    let client = Client {
        id: sequences::next_number(tx, "api_client").await?,
        account_id,
        is_legacy: true,
        name: DEFAULT_NAME.to_owned(),
        created_at: now,
        updated_at: now,
        ..Client::default()
    };
    table::insert(tx, &client, WRITE, &deps.secrets, version).await?;
    Ok(client.id)
}

async fn insert(deps: &Deps, caller: &Caller, mut client: Client) -> Result<Client> {
    let write_id = &caller.info.write_id;
    let mut tx = deps.db.begin().await?;
    let version = changes::next(&mut tx).await?;
    if let Some(made) = table::find_by_write(&mut tx, &deps.secrets, client.account_id, write_id).await? {
        return Ok(made);
    }
    client.id = sequences::next_number(&mut tx, "api_client").await?;
    table::insert(&mut tx, &client, write_id, &deps.secrets, version).await?;
    portolan_outbox::audit(&mut tx, caller, Change::of("apiClient", client.id).after(&client.described())).await?;
    deps.edge.commit(tx).await?;
    Ok(client)
}

fn merge(client: &mut Client, patch: Patch, violations: &mut Violations) {
    fn set<T>(field: &mut T, given: Option<T>) {
        if let Some(given) = given {
            *field = given;
        }
    }
    if let Some(name) = patch.name {
        client.name = name.unwrap_or_default();
    }
    violations.name("name", &client.name);
    set(&mut client.description, patch.description);
    if client.description.as_ref().is_some_and(|text| text.chars().count() > DESCRIPTION_CHARS_MAX) {
        violations.add("description", format!("is too long (maximum is {DESCRIPTION_CHARS_MAX} characters)"));
    }
    set(&mut client.project_id, patch.project_id);
    set(&mut client.api_portal_id, patch.api_portal_id);
    set(&mut client.email, patch.email);
    if client.email.as_deref().is_some_and(|email| !email.contains('@')) {
        violations.add("email", "is invalid");
    }
    set(&mut client.api_policy_id, patch.api_policy_id);
    set(&mut client.mtls_enabled, patch.mtls_enabled);
    set(&mut client.validation_formula, patch.validation_formula);
    set(&mut client.cert_bundle_ids, patch.cert_bundle_ids);
    client.auth.apply(patch.auth, violations);
}
