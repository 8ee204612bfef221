//! Members of an account: the roles they hold, the collections they see, how they leave.

use std::collections::BTreeMap;

use portolan_api::{Access, Error, Feature, Reason, Result};
use portolan_authz::{Caller, Grant, Role, Scope};
use portolan_ids::{AccountId, CollectionId, UserId};
use portolan_store::Tx;
use serde_json::json;

use crate::{
    Deps,
    audit::AuditKeys,
    collections, departures, grants,
    history::{self, Change},
    model::{
        invitations,
        members::Member,
        rights::{self, MAPPED_SCOPES},
        roles::{self, CustomRole},
        users,
    },
    peers,
    store::{self, RightsTx},
};

/// Gives a member a role: in every scope they have, or as the mapping says.
///
/// # Errors
/// In this order: `MEMBER_NOT_FOUND`, `SELF_CHANGE`, `USER_ROLE_INVALID`, `SCOPE_INVALID`,
/// `SCOPE_ROLE_INVALID`, `ROLE_ABOVE_CALLER`, `LAST_ADMIN`.
pub async fn update_role(
    deps: &Deps,
    caller: &Caller,
    email: &str,
    role: &str,
    mapping: &BTreeMap<String, String>,
) -> Result<()> {
    let closed = closed_scopes(deps, caller.account_id, mapping).await?;
    let keys = keys_of(deps, caller.account_id, email).await?;
    let closed = &closed;
    grants::change(deps, keys, |tx| {
        grants::work(async move {
            store::lock_account(tx, caller.account_id).await?;
            let member = store::find_member(tx, caller.account_id, &users::login_key(email)).await?;
            let member = member.ok_or(Reason::MemberNotFound)?;
            if member.user_id == caller.user_id {
                return Err(Reason::SelfChange.into());
            }
            let roles = store::list_custom_roles(&mut *tx, caller.account_id).await?;
            let name = roles::canonical(&roles, role).ok_or(Reason::UserRoleInvalid)?;
            // A scope is closed by its mapping, not by a role.
            if name == Role::NoAccess.name() {
                return Err(Reason::RoleAboveCaller.into());
            }
            let (primary, scope_roles) = if mapping.is_empty() {
                let mut scope_roles = member.membership.scope_roles.clone();
                for value in scope_roles.values_mut().filter(|value| *value != Role::NoAccess.name()) {
                    value.clone_from(&name);
                }
                (Some(name), scope_roles)
            } else {
                (member.membership.role.clone(), checked_mapping(&roles, closed, mapping)?)
            };
            let roles_given = Given { primary, scope_roles };
            set_roles(&deps.audit, caller, tx, &roles, &member, roles_given, "user.role.update").await
        })
    })
    .await
}

/// Replaces the roles of a member in all scopes; an empty mapping gives the account's default.
///
/// # Errors
/// `USER_NOT_FOUND`, `SELF_CHANGE`, `SCOPE_INVALID`, `SCOPE_ROLE_INVALID`, `ROLE_ABOVE_CALLER`, `LAST_ADMIN`.
pub async fn update_scope_roles(
    deps: &Deps,
    caller: &Caller,
    email: &str,
    mapping: &BTreeMap<String, String>,
) -> Result<()> {
    let closed = closed_scopes(deps, caller.account_id, mapping).await?;
    let keys = keys_of(deps, caller.account_id, email).await?;
    let closed = &closed;
    grants::change(deps, keys, |tx| {
        grants::work(async move {
            store::lock_account(tx, caller.account_id).await?;
            let member = store::find_member(tx, caller.account_id, &users::login_key(email)).await?;
            let member = member.ok_or(Reason::UserNotFound)?;
            if member.user_id == caller.user_id {
                return Err(Reason::SelfChange.into());
            }
            let roles = store::list_custom_roles(&mut *tx, caller.account_id).await?;
            let scope_roles = match roles::default_mapping(&roles) {
                default if mapping.is_empty() => default,
                _ => checked_mapping(&roles, closed, mapping)?,
            };
            let primary = member.membership.role.clone();
            let roles_given = Given { primary, scope_roles };
            set_roles(&deps.audit, caller, tx, &roles, &member, roles_given, "user.scope_roles.update").await
        })
    })
    .await
}

/// Ends a membership with its sessions, devices, API keys and Slack webhooks; without a member of that address, an invitation.
///
/// # Errors
/// `EMAIL_INVALID`, `SELF_CHANGE`, `USER_NOT_FOUND`, `ROLE_ABOVE_CALLER`, `LAST_ADMIN`.
pub async fn delete(deps: &Deps, caller: &Caller, email: &str) -> Result<()> {
    let email_key = users::login_key(email);
    if email_key.is_empty() {
        return Err(Reason::EmailInvalid.into());
    }
    let account_id = caller.account_id;
    let keys = keys_of(deps, account_id, email).await?;
    let email_key = &email_key;
    let (left, ended) = grants::end_change(deps, keys, |tx| {
        grants::work(async move {
            store::lock_account(tx, account_id).await?;
            let Some(member) = store::find_member(tx, account_id, email_key).await? else {
                if !store::delete_invitation(tx, account_id, email_key).await? {
                    return Err(Reason::UserNotFound.into());
                }
                history::record(&deps.audit, tx, caller, Change::of("invitation", "").by("user.delete")).await?;
                return Ok(None);
            };
            if member.user_id == caller.user_id {
                return Err(Reason::SelfChange.into());
            }
            let roles = store::list_custom_roles(&mut *tx, account_id).await?;
            let held = grants::rights_of(tx, &roles, account_id, member.user_id).await?;
            grants::must_cover(tx, caller, &roles, &[held]).await?;
            let admins_before = count_admins(tx, account_id).await?;
            // Who leaves the vendor's account leaves its customer workspaces too.
            let mut accounts = store::list_workspaces_of_member(tx, account_id, member.user_id).await?;
            accounts.push(account_id);
            for account in &accounts {
                store::delete_membership(tx, *account, member.user_id).await?;
                store::delete_sessions_of_member(tx, *account, member.user_id).await?;
                store::delete_devices_of_member(tx, *account, member.user_id).await?;
            }
            store::delete_administrator_who_left(tx, account_id, member.user_id).await?;
            keep_an_admin(tx, account_id, admins_before).await?;
            let before = roles_json(member.membership.role.as_deref(), &member.membership.scope_roles);
            history::record(
                &deps.audit,
                tx,
                caller,
                Change::of("user", member.user_id).before(&before).by("user.delete"),
            )
            .await?;
            let leaves = accounts.iter().map(|account| (*account, member.user_id)).collect();
            departures::note(deps, tx, leaves).await.map(Some)
        })
    })
    .await?;
    let finish = async {
        if let Some(left) = left {
            left.finish(deps).await;
        }
    };
    tokio::join!(ended.settle(), finish);
    Ok(())
}

/// Replaces the collection lists of some members; all or none.
///
/// # Errors
/// `COLLECTIONS_OF_STRANGER`; `ROLE_COLLECTION_UNKNOWN`; `SELF_CHANGE`; `ROLE_ABOVE_CALLER`.
pub async fn update_collections(
    deps: &Deps,
    caller: &Caller,
    lists: &BTreeMap<UserId, Vec<CollectionId>>,
) -> Result<()> {
    let ids: Vec<CollectionId> = lists.values().flatten().copied().collect();
    if let Some(id) = collections::unknown(deps, caller, Some(&ids)).await? {
        return Err(Error::new(Reason::RoleCollectionUnknown).with("id", id));
    }
    let keys = lists.keys().flat_map(|user_id| store::member_keys(caller.account_id, *user_id));
    grants::change(deps, keys, |tx| {
        grants::work(async move {
            store::lock_account(tx, caller.account_id).await?;
            let roles = store::list_custom_roles(&mut *tx, caller.account_id).await?;
            for (user_id, ids) in lists {
                let membership = store::find_membership(&mut *tx, caller.account_id, *user_id).await?;
                let stranger = || Error::new(Reason::CollectionsOfStranger).with("user", user_id);
                let before = membership.ok_or_else(stranger)?.collection_ids;
                if *user_id == caller.user_id {
                    return Err(Reason::SelfChange.into());
                }
                let held = grants::rights_of(tx, &roles, caller.account_id, *user_id).await?;
                store::update_membership_collections(tx, caller.account_id, *user_id, ids, false).await?;
                let given = grants::rights_of(tx, &roles, caller.account_id, *user_id).await?;
                grants::must_cover(tx, caller, &roles, &[held, given]).await?;
                let change = Change::of("user", user_id).before(&before).after(ids).by("user.collections.update");
                history::record(&deps.audit, tx, caller, change).await?;
            }
            Ok(())
        })
    })
    .await
}

/// The collections of each member in the API scope; `None` for all.
pub async fn list_collections(
    deps: &Deps,
    account_id: AccountId,
) -> Result<BTreeMap<UserId, Option<Vec<CollectionId>>>> {
    let roles = store::list_custom_roles(&deps.db, account_id).await?;
    let members = store::list_members(&deps.db, account_id).await?;
    let lists = members.iter().map(|member| {
        let grant = rights::evaluate(&roles, &member.membership, Scope::Api);
        (member.user_id, grant.collections().map(<[CollectionId]>::to_vec))
    });
    Ok(lists.collect())
}

/// A line of the team.
pub struct TeamMember {
    /// The user; of an invitation the one who invited.
    pub id: UserId,
    /// Their e-mail address.
    pub login: String,
    /// How they are called.
    pub name: String,
    /// In the scope that is asked about.
    pub role: String,
    /// The role in each product scope.
    pub scope_roles: BTreeMap<String, String>,
    /// They were invited and have not joined yet.
    pub is_invitation: bool,
}

/// Members by id, then open invitations by address.
pub async fn list(deps: &Deps, account_id: AccountId) -> Result<Vec<TeamMember>> {
    let roles = store::list_custom_roles(&deps.db, account_id).await?;
    let members = store::list_members(&deps.db, account_id).await?;
    let mut team: Vec<_> = members
        .into_iter()
        .map(|member| TeamMember {
            id: member.user_id,
            role: rights::evaluate(&roles, &member.membership, Scope::Api).role,
            login: member.login,
            name: member.name,
            scope_roles: member.membership.scope_roles,
            is_invitation: false,
        })
        .collect();
    for invitation in store::list_invitations(&deps.db, account_id, deps.clock.now()).await? {
        team.push(TeamMember {
            id: invitation.issuer_id,
            role: invitations::sentence(&invitation.scope_roles),
            login: invitation.email,
            name: "-".to_owned(),
            scope_roles: invitation.scope_roles,
            is_invitation: true,
        });
    }
    Ok(team)
}

/// How many members are ADMIN where it counts: they may do account-wide things in the API scope.
pub(crate) async fn count_admins(tx: &mut Tx, account_id: AccountId) -> Result<usize> {
    let roles = store::list_custom_roles(&mut *tx, account_id).await?;
    let members = store::list_members(&mut *tx, account_id).await?;
    let is_admin = |grant: &Grant| grant.allows(Feature::AdminActions, Access::ReadWrite);
    Ok(members.iter().filter(|member| is_admin(&rights::evaluate(&roles, &member.membership, Scope::Api))).count())
}

/// Refuses a change, made in this transaction, that took the last ADMIN away.
pub(crate) async fn keep_an_admin(tx: &mut Tx, account_id: AccountId, admins_before: usize) -> Result<()> {
    if admins_before > 0 && count_admins(tx, account_id).await? == 0 {
        return Err(Reason::LastAdmin.into());
    }
    Ok(())
}

/// The scopes, among those in which a mapping gives a role, that the plan of the account's organization does not open.
/// Asked before a transaction: billing may have something to write.
pub(crate) async fn closed_scopes(
    deps: &Deps,
    account_id: AccountId,
    mapping: &BTreeMap<String, String>,
) -> Result<Vec<Scope>> {
    let mut closed = Vec::new();
    for (name, role) in mapping {
        let Some(scope) = mapped_scope(name).filter(|_| roles::key(role) != Role::NoAccess.name()) else { continue };
        let is_open = match scope {
            Scope::Agentic => includes(deps, account_id, "SECURITY_TYPE_AGENTIC").await?,
            Scope::Dast => includes(deps, account_id, "AKTO_DAST").await?,
            // Open unless the plan says no.
            Scope::Endpoint => {
                !peers::denied_features(&deps.peers, account_id).await?.iter().any(|one| one == "ENDPOINT_SECURITY")
            }
            _ => true,
        };
        if !is_open {
            closed.push(scope);
        }
    }
    Ok(closed)
}

async fn includes(deps: &Deps, account_id: AccountId, feature: &str) -> Result<bool> {
    match deps.peers.check_limit(account_id, feature, 0).await {
        Ok(_) => Ok(true),
        Err(error) if error.reason() == Reason::FeatureNotInPlan => Ok(false),
        Err(error) => Err(error),
    }
}

fn mapped_scope(name: &str) -> Option<Scope> {
    let name = name.trim().to_ascii_uppercase();
    MAPPED_SCOPES.into_iter().find(|known| known.name() == name)
}

/// A mapping with scopes and roles as they are stored.
pub(crate) fn checked_mapping(
    roles: &[CustomRole],
    closed: &[Scope],
    mapping: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    let entry = |(scope, role): (&String, &String)| {
        let Some(known) = mapped_scope(scope).filter(|scope| !closed.contains(scope)) else {
            return Err(Error::new(Reason::ScopeInvalid).with("scope", scope));
        };
        let unknown = || Error::new(Reason::ScopeRoleInvalid).with("role", role);
        Ok((known.name().to_owned(), roles::canonical(roles, role).ok_or_else(unknown)?))
    };
    mapping.iter().map(entry).collect()
}

/// The roles that a member is to have.
struct Given {
    primary: Option<String>,
    scope_roles: BTreeMap<String, String>,
}

/// The grants of the member with this address, if there is one.
async fn keys_of(deps: &Deps, account_id: AccountId, email: &str) -> Result<Vec<String>> {
    let user = store::find_user_by_login(&deps.db, &users::login_key(email)).await?;
    Ok(user.into_iter().flat_map(|user| store::member_keys(account_id, user.id)).collect())
}

async fn set_roles(
    keys: &AuditKeys,
    caller: &Caller,
    tx: &mut RightsTx,
    roles: &[CustomRole],
    member: &Member,
    given: Given,
    action: &'static str,
) -> Result<()> {
    let Given { primary, scope_roles } = given;
    let (account_id, user_id) = (caller.account_id, member.user_id);
    let before = grants::rights_of(tx, roles, account_id, user_id).await?;
    let admins_before = count_admins(tx, account_id).await?;
    store::update_roles(tx, account_id, user_id, primary.as_deref(), &scope_roles).await?;
    // What the member had and what they get lies within what the caller has.
    let after = grants::rights_of(tx, roles, account_id, user_id).await?;
    grants::must_cover(tx, caller, roles, &[before, after]).await?;
    keep_an_admin(tx, account_id, admins_before).await?;
    let before = roles_json(member.membership.role.as_deref(), &member.membership.scope_roles);
    let change = Change::of("user", user_id).before(&before).after(&roles_json(primary.as_deref(), &scope_roles));
    history::record(keys, tx, caller, change.by(action)).await
}

fn roles_json(role: Option<&str>, scope_roles: &BTreeMap<String, String>) -> serde_json::Value {
    json!({ "role": role, "scopeRoleMapping": scope_roles })
}
