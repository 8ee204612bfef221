//! Organizations: who owns accounts, and whether they may be used.

use portolan_api::{Reason, Result};
use portolan_ids::{AccountId, OrganizationId};
use portolan_store::Db;

use crate::{
    Deps,
    audit::AuditKeys,
    history::{self, Actor, Change},
    model::organizations::{By, NewOrganization, Organization, State},
    random::random_text,
    store,
};

/// The login of an organization's first user; empty when there is none.
pub async fn admin_email(deps: &Deps, id: &OrganizationId) -> Result<String> {
    Ok(store::find_admin_email(&deps.db, id).await?.unwrap_or_default())
}

/// Finds an organization with its accounts.
pub async fn find(deps: &Deps, by: &By) -> Result<Option<(Organization, Vec<AccountId>)>> {
    let Some(organization) = store::find_organization(&deps.db, by).await? else { return Ok(None) };
    let accounts = store::list_account_ids(&deps.db, &organization.id).await?;
    Ok(Some((organization, accounts)))
}

/// Every organization of the installation, the oldest first.
pub async fn list(db: &Db) -> Result<Vec<Organization>> {
    store::list_organizations(db).await
}

/// Opens or shuts an organization, named by its id, public id or sub-domain. Returns it as it was before.
///
/// # Errors
/// `ORGANIZATION_NOT_FOUND`.
pub async fn set_state(db: &Db, keys: &AuditKeys, name: &str, state: State) -> Result<Organization> {
    let mut found = None;
    for by in [By::Id(name.into()), By::PublicId(name.to_owned()), By::SubDomain(name.to_owned())] {
        found = match found {
            None => store::find_organization(db, &by).await?,
            some => some,
        };
    }
    let organization = found.ok_or(Reason::OrganizationNotFound)?;
    let accounts = store::list_account_ids(db, &organization.id).await?;
    let mut tx = db.begin().await?;
    store::update_organization_state(&mut tx, &organization.id, state).await?;
    let actor = Actor { account_id: accounts.first().copied().unwrap_or_default(), ..Actor::default() };
    let change = Change::of("organization", &organization.id).before(&organization.state.name()).after(&state.name());
    history::record_by(keys, &mut tx, &actor, change.by("organization.state.update")).await?;
    tx.commit().await?;
    Ok(organization)
}

/// A new organization of this name, active at once.
pub(crate) fn new(name: &str, created_at: i64) -> NewOrganization {
    let suffix = random_text(16);
    NewOrganization {
        id: uuid::Uuid::new_v4().to_string().into(),
        sub_domain: sub_domain(name, &suffix),
        public_id: format!("org_{suffix}"),
        name: name.to_owned(),
        created_at,
    }
}

/// A label made from the name, unique by its end.
fn sub_domain(name: &str, suffix: &str) -> String {
    let name = name.to_lowercase();
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut label = words.collect::<Vec<_>>().join("-");
    label.truncate(40);
    format!("{label}-{}", suffix[..8].to_lowercase()).trim_start_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sub_domains_are_labels() {
        assert_eq!(sub_domain("Acme & Co. GmbH", "AbCdEfGhIjKl"), "acme-co-gmbh-abcdefgh");
        assert_eq!(sub_domain("日本", "AbCdEfGhIjKl"), "abcdefgh");
        assert!(sub_domain(&"x".repeat(300), "AbCdEfGhIjKl").len() <= 63);
    }
}
