//! What a user may do in an account, as the database has it at this moment.

use std::{collections::BTreeSet, marker::PhantomData, sync::Arc};

use portolan_api::{Access, Error, Feature, Reason, Result};
use portolan_authz::{Caller, Ended, Grant, Identities, Role, Scope, grant_key};
use portolan_ids::{AccountId, CollectionId, UserId};
use portolan_store::Tx;

use crate::{
    Deps,
    history::{self, Actor},
    model::{
        rights::{Rights, evaluate, is_restricted, role_in},
        roles::{self, CustomRole},
    },
    store::{self, RightsTx},
};

/// What the audit calls the end of collections in lists.
const FORGET: &str = "collections.forget";

/// Reads the grant through the cache. What is told to other processes is [`read`] instead.
pub async fn get(deps: &Deps, account_id: AccountId, user_id: UserId, scope: Scope) -> Result<Arc<Grant>> {
    let owner = || read(deps, account_id, user_id, scope);
    deps.grants.read(&grant_key(account_id, user_id, scope), owner, |grant| grant.basis(account_id)).await
}

/// The work of a change: it lives as long as the transaction, and borrows from what outlives it.
pub(crate) struct Work<'env, 'tx, T> {
    future: BoxFuture<'tx, Result<T>>,
    outlives: PhantomData<&'tx &'env ()>,
}

/// The work of [`change`].
pub(crate) fn work<'env: 'tx, 'tx, T>(future: impl Future<Output = Result<T>> + Send + 'tx) -> Work<'env, 'tx, T> {
    Work { future: Box::pin(future), outlives: PhantomData }
}

/// A change that meets other rights than it announced, since others change at the same time, begins anew this often.
const ATTEMPTS_MAX: usize = 8;

/// Changes rights: announces the keys, begins, works, commits, ends the change and waits for the copies of what it changed,
/// so that every reader has it when this answers. Work that touches rights which were not announced is undone and done again with their keys, so it may run
/// more than once; it asks no other service, which would hold the transaction.
///
/// # Errors
/// Those of the work; `UNAVAILABLE` when the readers of grants cannot be told: before the work, nothing has changed.
pub(crate) async fn change<'env, T>(
    deps: &Deps,
    keys: impl IntoIterator<Item = String>,
    work: impl for<'tx> Fn(&'tx mut RightsTx) -> Work<'env, 'tx, T>,
) -> Result<T> {
    let (done, ended) = end_change(deps, keys, work).await?;
    ended.settle().await;
    Ok(done)
}

/// As [`change`], for one that has more to do before its answer, which may be done while the copies end.
pub(crate) async fn end_change<'env, T>(
    deps: &Deps,
    keys: impl IntoIterator<Item = String>,
    work: impl for<'tx> Fn(&'tx mut RightsTx) -> Work<'env, 'tx, T>,
) -> Result<(T, Ended)> {
    let mut keys: BTreeSet<String> = keys.into_iter().collect();
    for _ in 0..ATTEMPTS_MAX {
        let announced = deps.grants.begin_change(keys.iter().cloned()).await?;
        let mut tx = RightsTx::begin(&deps.db, announced, keys.clone()).await?;
        let outcome = work(&mut tx).future.await;
        match outcome {
            Ok(done) if tx.is_announced() => {
                return Ok((done, tx.commit().await?));
            }
            outcome => {
                let missing = tx.discard().await;
                if let (Err(error), true) = (outcome, missing.is_empty()) {
                    return Err(error);
                }
                keys.extend(missing);
            }
        }
    }
    Err(Error::unavailable("the rights of this account change faster than they can be announced"))
}

/// Adds a collection to a restricted user's list; an unrestricted user already sees it.
pub async fn add_collection(
    deps: &Deps,
    account_id: AccountId,
    user_id: UserId,
    collection_id: CollectionId,
) -> Result<()> {
    change(deps, store::member_keys(account_id, user_id), |tx| {
        work(async move {
            store::lock_account(tx, account_id).await?;
            let roles = store::list_custom_roles(&mut *tx, account_id).await?;
            if let Some(membership) = store::find_membership(&mut *tx, account_id, user_id).await?
                && is_restricted(&roles, &membership)
            {
                let mut ids = membership.collection_ids.unwrap_or_default();
                ids.push(collection_id);
                ids.sort_unstable();
                ids.dedup();
                store::update_membership_collections(tx, account_id, user_id, &ids, false).await?;
            }
            Ok(())
        })
    })
    .await
}

/// Restricts a user to these collections; an empty list lifts the restriction.
pub async fn set_collections(
    deps: &Deps,
    account_id: AccountId,
    user_id: UserId,
    collection_ids: &[CollectionId],
) -> Result<()> {
    change(deps, store::member_keys(account_id, user_id), |tx| {
        work(async move { store::update_membership_collections(tx, account_id, user_id, collection_ids, false).await })
    })
    .await
}

/// Takes deleted collections out of every list of the account. A list that had nothing else restricts on: its holders
/// see nothing until somebody gives them a collection, or lifts the restriction.
pub async fn forget_collections(deps: &Deps, account_id: AccountId, deleted: &[CollectionId]) -> Result<()> {
    let without = |ids: &[CollectionId]| ids.iter().copied().filter(|id| !deleted.contains(id)).collect::<Vec<_>>();
    let actor = &Actor { account_id, ..Actor::default() };
    change(deps, [], |tx| {
        work(async move {
            store::lock_account(tx, account_id).await?;
            for before in store::list_custom_roles(&mut *tx, account_id).await? {
                let collection_ids = without(&before.collection_ids);
                if collection_ids.len() == before.collection_ids.len() {
                    continue;
                }
                let after = CustomRole { is_emptied: collection_ids.is_empty(), collection_ids, ..before.clone() };
                store::update_custom_role(tx, account_id, &after).await?;
                let change = history::Change::of("role", &after.name).before(&before).after(&after).by(FORGET);
                history::record_by(&deps.audit, tx, actor, change).await?;
            }
            for member in store::list_members(&mut *tx, account_id).await? {
                let before = member.membership.collection_ids.unwrap_or_default();
                let after = without(&before);
                if after.len() == before.len() {
                    continue;
                }
                store::update_membership_collections(tx, account_id, member.user_id, &after, after.is_empty()).await?;
                let change = history::Change::of("user", member.user_id).before(&before).after(&after).by(FORGET);
                history::record_by(&deps.audit, tx, actor, change).await?;
            }
            Ok(())
        })
    })
    .await
}

/// Reads the grant from the database.
pub async fn read(deps: &Deps, account_id: AccountId, user_id: UserId, scope: Scope) -> Result<Grant> {
    let Some(membership) = store::find_membership(&deps.db, account_id, user_id).await? else {
        return Ok(Grant::new(Role::NoAccess.name(), Role::NoAccess, None));
    };
    // One role by its key: the cost does not grow with the number of roles.
    let key = roles::key(role_in(&membership, scope));
    let custom =
        if Role::parse(&key).is_some() { None } else { store::find_custom_role(&deps.db, account_id, &key).await? };
    let grant = evaluate(custom.as_slice(), &membership, scope);
    // Authority over the organization is only of use, and only asked for, where the account is administered too.
    let administers = grant.allows(Feature::AdminActions, Access::ReadWrite)
        && store::is_administrator(&deps.db, account_id, user_id).await?;
    Ok(grant.administering(administers))
}

/// What a member holds, as the transaction sees it; nothing for somebody who is none.
pub(crate) async fn rights_of(
    tx: &mut Tx,
    roles: &[CustomRole],
    account_id: AccountId,
    user_id: UserId,
) -> Result<Rights> {
    match store::find_membership(&mut *tx, account_id, user_id).await? {
        Some(membership) => {
            let is_administrator = store::is_administrator(&mut *tx, account_id, user_id).await?;
            Ok(Rights::of(roles, &membership, is_administrator))
        }
        None => Ok(Rights::none()),
    }
}

/// Nobody gives, changes or ends what they do not hold themselves.
///
/// # Errors
/// `ROLE_ABOVE_CALLER`.
pub(crate) async fn must_cover(tx: &mut Tx, caller: &Caller, roles: &[CustomRole], touched: &[Rights]) -> Result<()> {
    let own = rights_of(tx, roles, caller.account_id, caller.user_id).await?;
    if touched.iter().all(|rights| own.covers(rights)) { Ok(()) } else { Err(Reason::RoleAboveCaller.into()) }
}

/// Identity as its own guard asks it: without the wire.
pub struct OwnIdentities(pub Deps);

type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Identities for OwnIdentities {
    fn authenticate<'a>(
        &'a self,
        credential: &'a portolan_authz::Credential,
        scope: Scope,
        client_address: &'a str,
        service: &'a str,
    ) -> BoxFuture<'a, Result<String>> {
        Box::pin(async move {
            let audience = portolan_authz::Audience { service, speaker: self.0.peers.auth.speaker() };
            let authenticate = crate::authentication::authenticate;
            Ok(authenticate(&self.0, credential, scope, client_address, audience).await?.0)
        })
    }

    fn grant(&self, account_id: AccountId, user_id: UserId, scope: Scope) -> BoxFuture<'_, Result<Arc<Grant>>> {
        Box::pin(get(&self.0, account_id, user_id, scope))
    }

    fn verifying_keys(&self) -> BoxFuture<'_, Result<portolan_authz::VerifyingKeys>> {
        Box::pin(crate::signing::verifying_keys(&self.0.db))
    }
}
