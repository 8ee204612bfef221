//! Which collections a caller sees at this moment. The inventory says so, by the role in the scope of each collection, since
//! a list of ids tells nothing of scopes.

use std::collections::BTreeSet;

use portolan_authz::{Caller, CredentialKind, Scope};
use portolan_ids::CollectionId;

use crate::{Deps, Error, peers};

/// What a caller sees of some collections.
pub struct Sight {
    seen: BTreeSet<CollectionId>,
    /// Those that exist, seen or not.
    existing: BTreeSet<CollectionId>,
    sees_all: bool,
}

impl Sight {
    /// # Errors
    /// `UNAVAILABLE` when the inventory does not answer.
    pub async fn of(deps: &Deps, caller: &Caller, ids: impl IntoIterator<Item = CollectionId>) -> Result<Self, Error> {
        let ids: BTreeSet<CollectionId> = ids.into_iter().collect();
        // What belongs to no collection belongs to the account, and that is decided in the API scope.
        let sees_all = caller.grant.collections().is_none() && caller.scope == Scope::Api;
        let existing = match ids.is_empty() {
            true => BTreeSet::new(),
            false => peers::existing_collections(&deps.peers, caller.account_id, &ids).await?,
        };
        let mut seen = BTreeSet::new();
        for id in &existing {
            // A token of the organization reads what its scopes say, which the inventory's own routes do not know.
            let is_token = caller.credential == CredentialKind::OrganizationToken;
            if is_token || peers::sees_collection(&deps.peers, caller, *id).await? {
                seen.insert(*id);
            }
        }
        Ok(Self { seen, existing, sees_all })
    }

    /// Whether the caller sees the collection. Without one, and of one that is gone, whoever sees all of the account.
    pub fn shows(&self, collection_id: Option<CollectionId>) -> bool {
        match collection_id {
            Some(id) if self.existing.contains(&id) => self.seen.contains(&id),
            _ => self.sees_all,
        }
    }

    /// Whether the caller sees every collection of the account.
    pub fn shows_all(&self) -> bool {
        self.sees_all
    }
}
