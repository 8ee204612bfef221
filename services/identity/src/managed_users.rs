//! Managed users: customer workspaces, which are accounts of the vendor's organization with an external id.

use portolan_api::{Error, Reason, Result};
use portolan_authz::Caller;
use portolan_ids::AccountId;

use crate::{
    Deps, accounts, departures, grants,
    history::{self, Change},
    model::{
        invitations::checked_email,
        managed_users::{Key, ManagedUser},
        members::admin_everywhere,
    },
    store,
};

const NAME_CHARS_MAX: usize = 100;
const EXTERNAL_ID_CHARS_MAX: usize = 255;
const PER_PAGE_MAX: i64 = 100;

/// The workspace of this vendor account, if it has one of that name.
pub async fn find(deps: &Deps, vendor_account_id: AccountId, name: &str) -> Result<Option<ManagedUser>> {
    let Some(key) = Key::parse(name) else { return Ok(None) };
    store::find_managed_user(&deps.db, vendor_account_id, &key).await
}

/// The workspace that a path names.
///
/// # Errors
/// `MANAGED_USER_NOT_FOUND`.
pub async fn get(deps: &Deps, caller: &Caller, name: &str) -> Result<ManagedUser> {
    must_be_vendor(deps, caller).await?;
    Ok(find(deps, caller.account_id, name).await?.ok_or(Reason::ManagedUserNotFound)?)
}

/// The workspaces of the caller's account, by id.
///
/// # Errors
/// `MANAGED_USER_INVALID` for a page or page size out of range.
pub async fn list(deps: &Deps, caller: &Caller, page: Option<i32>, per_page: Option<i32>) -> Result<Vec<ManagedUser>> {
    must_be_vendor(deps, caller).await?;
    let (page, per_page) = (i64::from(page.unwrap_or(1)), per_page.map_or(PER_PAGE_MAX, i64::from));
    if page < 1 {
        return Err(invalid("page", "must be greater than 0"));
    }
    if !(1..=PER_PAGE_MAX).contains(&per_page) {
        return Err(invalid("per_page", "must be between 1 and 100"));
    }
    store::list_managed_users(&deps.db, caller.account_id, (page - 1) * per_page, per_page).await
}

/// Makes a workspace, with the caller as its first ADMIN.
///
/// # Errors
/// `MANAGED_USER_INVALID`, `EXTERNAL_ID_TAKEN`, and those of a plan that allows no further account.
pub async fn create(deps: &Deps, caller: &Caller, new: ManagedUser) -> Result<ManagedUser> {
    must_be_vendor(deps, caller).await?;
    let mut new = checked(new)?;
    let mut tx = accounts::begin(deps, caller).await?;
    new.id = store::next_id(&mut tx, "account").await?;
    (new.created_at, new.updated_at) = (deps.clock.now(), deps.clock.now());
    let made = store::insert_managed_user(&mut tx, caller.account_id, &caller.organization_id, &new).await?;
    let made = made.ok_or_else(external_id_taken)?;
    store::insert_first_membership(&mut tx, &made, (new.id, caller.user_id), None, &admin_everywhere()).await?;
    let change = Change::of("managed_user", new.id).after(&new).by("managed_user.create");
    history::record(&deps.audit, &mut tx, caller, change).await?;
    tx.commit().await?;
    Ok(new)
}

/// What an update gives; the inner `None` clears.
#[derive(Clone, Debug, Default)]
pub struct Update {
    /// Of each member: `None` leaves it as it is, `Some(None)` clears it.
    pub name: Option<Option<String>>,
    /// The vendor's own id.
    pub external_id: Option<Option<String>>,
    /// Where notices go.
    pub notification_email: Option<Option<String>>,
    /// Where the vendor embeds the workspace.
    pub origin_url: Option<Option<String>>,
}

/// Changes a workspace.
///
/// # Errors
/// `MANAGED_USER_NOT_FOUND`, `MANAGED_USER_INVALID`, `EXTERNAL_ID_TAKEN`.
pub async fn update(deps: &Deps, caller: &Caller, name: &str, update: Update) -> Result<ManagedUser> {
    let before = get(deps, caller, name).await?;
    let after = checked(ManagedUser {
        name: update.name.map_or_else(|| before.name.clone(), Option::unwrap_or_default),
        external_id: update.external_id.unwrap_or_else(|| before.external_id.clone()),
        notification_email: update.notification_email.unwrap_or_else(|| before.notification_email.clone()),
        origin_url: update.origin_url.unwrap_or_else(|| before.origin_url.clone()),
        updated_at: deps.clock.now(),
        ..before.clone()
    })?;
    let mut tx = deps.db.begin().await?;
    // Without a row lock on the taken id the unique key decides; a violation is the caller's mistake, not a fault.
    if after.external_id != before.external_id
        && let Some(external_id) = &after.external_id
        && store::is_external_id_taken(&mut tx, caller.account_id, external_id, after.id).await?
    {
        return Err(external_id_taken());
    }
    store::update_managed_user(&mut tx, caller.account_id, &after).await?.ok_or_else(external_id_taken)?;
    let change = Change::of("managed_user", after.id).before(&before).after(&after).by("managed_user.update");
    history::record(&deps.audit, &mut tx, caller, change).await?;
    tx.commit().await?;
    Ok(after)
}

/// Closes a workspace: its members have no access from the answer on, their API keys are gone, and its external id is
/// free.
///
/// # Errors
/// `MANAGED_USER_NOT_FOUND`.
pub async fn delete(deps: &Deps, caller: &Caller, name: &str) -> Result<()> {
    let workspace = get(deps, caller, name).await?;
    let members = store::list_members(&deps.db, workspace.id).await?;
    let keys = members.iter().flat_map(|member| store::member_keys(workspace.id, member.user_id));
    let workspace = &workspace;
    let (left, ended) = grants::end_change(deps, keys, |tx| {
        grants::work(async move {
            store::lock_account(tx, workspace.id).await?;
            if !store::close_account(tx, workspace.id, deps.clock.now()).await? {
                return Err(Reason::ManagedUserNotFound.into());
            }
            let change = Change::of("managed_user", workspace.id).before(workspace).by("managed_user.delete");
            history::record(&deps.audit, tx, caller, change).await?;
            departures::note(deps, tx, vec![(workspace.id, departures::EVERYBODY)]).await
        })
    })
    .await?;
    tokio::join!(ended.settle(), left.finish(deps));
    Ok(())
}

/// A customer workspace is no vendor: nothing of this exists for it. Counts one call of the caller's account.
async fn must_be_vendor(deps: &Deps, caller: &Caller) -> Result<()> {
    deps.management.count(caller.account_id).await?;
    if store::is_customer_workspace(&deps.db, caller.account_id).await? {
        return Err(Reason::ManagedUserNotFound.into());
    }
    Ok(())
}

fn checked(mut workspace: ManagedUser) -> Result<ManagedUser> {
    workspace.name = workspace.name.trim().to_owned();
    if workspace.name.is_empty() {
        return Err(invalid("name", "can't be blank"));
    }
    if workspace.name.chars().count() > NAME_CHARS_MAX {
        return Err(invalid("name", "is too long (maximum is 100 characters)"));
    }
    if let Some(external_id) = &workspace.external_id {
        if external_id.trim().is_empty() {
            return Err(invalid("external_id", "can't be blank"));
        }
        if external_id.chars().count() > EXTERNAL_ID_CHARS_MAX {
            return Err(invalid("external_id", "is too long (maximum is 255 characters)"));
        }
    }
    if workspace.notification_email.as_ref().is_some_and(|email| checked_email(email).is_err()) {
        return Err(invalid("notification_email", "is invalid"));
    }
    let is_web = |text: &String| url::Url::parse(text).is_ok_and(|url| ["http", "https"].contains(&url.scheme()));
    if workspace.origin_url.as_ref().is_some_and(|url| !is_web(url)) {
        return Err(invalid("origin_url", "is invalid"));
    }
    Ok(workspace)
}

fn invalid(member: &str, detail: &str) -> Error {
    Error::new(Reason::ManagedUserInvalid).with("member", member).with("detail", detail)
}

fn external_id_taken() -> Error {
    Error::new(Reason::ExternalIdTaken).with("member", "external_id").with("detail", "has already been taken")
}
