use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use portolan_engine::AccessPolicy;
use portolan_ids::{AccountId, CollectionId};

use crate::model::deltas::Target;

/// What callers have decided of the records to come: templates taken apart, collections redacted, addresses of the
/// account. A batch that was read under other rules than those in force at its commit is read again.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Of the templates and redactions.
    pub version: i64,
    /// Method and URL of the templates that are taken apart.
    pub demerged: HashMap<(AccountId, Target), HashSet<(String, String)>>,
    /// Accounts with what of them is not kept.
    pub redacted: HashSet<(AccountId, Target)>,
    /// Absent for an account that was not met yet.
    pub policies: HashMap<AccountId, Arc<AccessPolicy>>,
    /// Accounts that do not exist. They are asked for with every part of a batch, since each may be made meanwhile.
    pub missing: HashSet<AccountId>,
}

impl Rules {
    /// The same rules without what may have changed until the next part of a batch.
    pub fn without_missing(self: Arc<Self>) -> Arc<Self> {
        if self.missing.is_empty() {
            return self;
        }
        let mut rules = Self::clone(&self);
        rules.missing.clear();
        Arc::new(rules)
    }

    /// Whether the template stands for nothing here, so that each URL stands for itself.
    pub fn is_apart(&self, account_id: AccountId, target: &Target, method: &str, url: &str) -> bool {
        !self.demerged.is_empty()
            && self
                .demerged
                .get(&(account_id, target.clone()))
                .is_some_and(|templates| templates.contains(&(method.to_owned(), url.to_owned())))
    }

    /// Whether values of this are not kept.
    pub fn is_redacted(&self, account_id: AccountId, target: &Target) -> bool {
        !self.redacted.is_empty() && self.redacted.contains(&(account_id, target.clone()))
    }
}

/// How records name a collection: by its id, and a host's by the host.
pub fn targets(collection_id: CollectionId, host: Option<String>) -> impl Iterator<Item = Target> {
    [Some(Target::Collection(collection_id.into())), host.map(Target::Host)].into_iter().flatten()
}
