//! The part of an account's endpoints that a caller may read.
//!
//! A collection on the caller's list is read wholly. A group shows of other collections what its reader may read of
//! them; only a group that is a grant of its own adds what its reader could not read otherwise (see [`grants`]). Every
//! list, count and export asks here, so that a caller meets the same endpoints everywhere.

use std::collections::{BTreeMap, BTreeSet};

use portolan_authz::Caller;
use portolan_ids::{AccountId, CollectionId};

use crate::{
    Deps, Error, defaults,
    model::{
        collections::{Collection, Sharing, sees},
        endpoints::EndpointId,
        groups::OfGroup,
    },
    store,
};

/// What a caller may read.
pub struct View {
    /// The active collections and groups on the caller's list, by id.
    pub collections: Vec<Collection>,
    /// Plain collections that are read wholly.
    whole: BTreeSet<CollectionId>,
    /// Of other collections, the effective URLs that groups grant.
    parts: BTreeMap<CollectionId, BTreeSet<String>>,
    /// The groups that grant them.
    granting: Vec<CollectionId>,
    /// Whether the account has active collections that are not read wholly.
    partial: bool,
}

/// How much of a collection is read.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    Whole,
    /// The endpoints with these effective URLs.
    Some(&'a BTreeSet<String>),
}

impl Part<'_> {
    pub fn has(&self, url_key: &str) -> bool {
        match self {
            Self::Whole => true,
            Self::Some(keys) => keys.contains(url_key),
        }
    }
}

impl View {
    pub async fn of(deps: &Deps, caller: &Caller) -> Result<Self, Error> {
        defaults::ensure_default(deps, caller.account_id).await?;
        Self::among(deps, caller, store::collections::list(&deps.db, caller.account_id).await?).await
    }

    /// The view of who has these collections in the account.
    pub(crate) async fn among(deps: &Deps, caller: &Caller, all: Vec<Collection>) -> Result<Self, Error> {
        let granting = grants(caller, &all);
        let (mut whole, mut others) = (BTreeSet::new(), BTreeSet::new());
        let mut partial = false;
        for known in all.iter().filter(|known| !known.deleted && !known.deactivated && !known.is_group()) {
            if sees(caller, known) {
                whole.insert(known.id);
            } else {
                partial = true;
                if known.in_scope(caller.scope) {
                    others.insert(known.id);
                }
            }
        }
        let mut parts: BTreeMap<CollectionId, BTreeSet<String>> = BTreeMap::new();
        for group_id in &granting {
            for (owner, url_keys) in store::groups::by_group(&deps.db, caller.account_id, *group_id).await? {
                if others.contains(&owner) {
                    parts.entry(owner).or_default().extend(url_keys);
                }
            }
        }
        let is_listed = |known: &Collection| !known.deactivated && sees(caller, known);
        let collections = all.into_iter().filter(is_listed).collect();
        Ok(Self { collections, whole, parts, granting, partial })
    }

    /// Whether the collection or group stands in the caller's list.
    pub fn lists(&self, collection_id: CollectionId) -> bool {
        self.collections.binary_search_by_key(&collection_id, |known| known.id).is_ok()
    }

    /// The plain collections of which the caller reads anything, each with how much.
    pub fn owners(&self) -> impl Iterator<Item = (CollectionId, Part<'_>)> {
        let whole = self.whole.iter().map(|id| (*id, Part::Whole));
        whole.chain(self.parts.iter().map(|(id, keys)| (*id, Part::Some(keys))))
    }

    /// How much the caller reads of a plain collection.
    pub fn part_of(&self, collection_id: CollectionId) -> Option<Part<'_>> {
        match self.whole.contains(&collection_id) {
            true => Some(Part::Whole),
            false => self.parts.get(&collection_id).map(Part::Some),
        }
    }

    pub fn shows(&self, id: &EndpointId) -> bool {
        self.whole.contains(&id.collection_id) || self.shows_key(id.collection_id, &id.url_key())
    }

    pub fn shows_key(&self, collection_id: CollectionId, url_key: &str) -> bool {
        self.part_of(collection_id).is_some_and(|part| part.has(url_key))
    }

    /// Of what a group shows, the caller's part.
    pub async fn of_group(
        &self,
        deps: &Deps,
        account_id: AccountId,
        group_id: CollectionId,
    ) -> Result<BTreeMap<CollectionId, Vec<String>>, Error> {
        let mut shown = store::groups::by_group(&deps.db, account_id, group_id).await?;
        shown.retain(|owner, url_keys| {
            let part = self.part_of(*owner);
            url_keys.retain(|key| part.is_some_and(|part| part.has(key)));
            !url_keys.is_empty()
        });
        Ok(shown)
    }

    /// The groups of which each adds endpoints to what the caller reads.
    pub fn granting(&self) -> &[CollectionId] {
        &self.granting
    }

    /// What is known of each group by owner, of those parts that the caller reads, by group. `granted` is of those
    /// endpoints alone that one of the [`Self::granting`] groups shows.
    pub fn of_groups<T>(&self, all: Vec<OfGroup<T>>, granted: Vec<OfGroup<T>>) -> Vec<(CollectionId, T)> {
        let whole = all.into_iter().filter(|row| self.whole.contains(&row.owner_id));
        let parts = granted.into_iter().filter(|row| self.parts.contains_key(&row.owner_id));
        whole.chain(parts).map(|row| (row.group_id, row.value)).collect()
    }

    /// As [`Self::of_groups`], by each plain collection of which the caller reads anything.
    pub fn of_owners<T>(&self, all: Vec<(CollectionId, T)>, granted: Vec<(CollectionId, T)>) -> Vec<(CollectionId, T)> {
        let whole = all.into_iter().filter(|(owner, _)| self.whole.contains(owner));
        whole.chain(granted.into_iter().filter(|(owner, _)| self.parts.contains_key(owner))).collect()
    }

    /// Gives groups the number of endpoints that the caller meets in them.
    pub async fn count_groups(
        &self,
        deps: &Deps,
        account_id: AccountId,
        collections: &mut [Collection],
    ) -> Result<(), Error> {
        if !self.partial || !collections.iter().any(Collection::is_group) {
            return Ok(());
        }
        let all = store::groups::counts(&deps.db, account_id, None).await?;
        let granted = store::groups::counts(&deps.db, account_id, Some(&self.granting)).await?;
        let mut counts: BTreeMap<CollectionId, i64> = BTreeMap::new();
        for (group_id, count) in self.of_groups(all, granted) {
            *counts.entry(group_id).or_default() += count;
        }
        for group in collections.iter_mut().filter(|known| known.is_group()) {
            group.endpoint_count = counts.get(&group.id).copied().unwrap_or_default();
        }
        Ok(())
    }
}

/// The groups on the caller's list that grant what they show: those that an administrator shared; and, where the list
/// names no plain collection that somebody else made, those whose conditions an administrator wrote. Such a list can
/// only mean the groups.
pub(crate) fn grants(caller: &Caller, all: &[Collection]) -> Vec<CollectionId> {
    if caller.grant.collections().is_none() {
        return Vec::new();
    }
    let listed = || all.iter().filter(|known| sees(caller, known));
    let others = listed().any(|known| !known.is_group() && known.made_by != Some(caller.user_id));
    let granted = listed().filter(|known| {
        known.is_group()
            && !known.deactivated
            && match known.sharing {
                Sharing::None => false,
                Sharing::ByAdministrator => !others,
                Sharing::Marked => true,
            }
    });
    granted.map(|known| known.id).collect()
}
