use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use portolan_engine::AccessPolicy;

use super::batch::Target;
use crate::{Deps, Error, store};

/// What callers have decided of the records to come: templates taken apart, collections redacted, addresses of the
/// account. A batch that was read under other rules than those in force at its commit is read again.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Of the templates and redactions.
    pub version: i64,
    /// Method and URL of the templates that are taken apart.
    demerged: HashMap<(i64, Target), HashSet<(String, String)>>,
    redacted: HashSet<(i64, Target)>,
    /// Absent for an account that was not met yet.
    pub policies: HashMap<i64, Arc<AccessPolicy>>,
    /// Accounts that do not exist. They are asked for with every part of a batch, since each may be made meanwhile.
    pub missing: HashSet<i64>,
}

/// Accounts that identity is asked for side by side.
const ASKED_AT_ONCE: usize = 16;

impl Rules {
    /// The rules in force, from memory as long as nothing has changed.
    pub async fn current(deps: &Deps) -> Result<Arc<Self>, Error> {
        let mut tx = deps.db.begin_read().await?;
        let version = store::demerged::version(&mut tx).await?;
        let known = deps.rules().filter(|rules| rules.version == version);
        let mut rules = match known {
            Some(known) => Self::clone(&known),
            None => {
                let mut rules = Self { version, ..Self::default() };
                for row in store::demerged::all(&mut tx).await? {
                    for target in targets(row.collection_id, row.host) {
                        let templates = rules.demerged.entry((row.account_id, target)).or_default();
                        templates.insert((row.method.clone(), row.url.clone()));
                    }
                }
                for (account_id, collection_id, host) in store::collection_writes::redacted(&mut tx).await? {
                    rules.redacted.extend(targets(collection_id, host).map(|target| (account_id, target)));
                }
                rules
            }
        };
        tx.rollback().await?;
        rules.policies = deps.access_policies();
        let rules = Arc::new(rules);
        deps.note_rules(rules.clone());
        Ok(rules)
    }

    /// The same rules with what is known of further accounts.
    pub async fn with_accounts(&self, deps: &Deps, account_ids: &HashSet<i64>) -> Arc<Self> {
        let mut rules = self.clone();
        let account_ids: Vec<i64> = account_ids.iter().copied().collect();
        for some in account_ids.chunks(ASKED_AT_ONCE) {
            let asked = some.iter().map(async |account_id| (*account_id, deps.access_policy(*account_id).await));
            for (account_id, policy) in futures::future::join_all(asked).await {
                match policy {
                    Some(policy) => _ = rules.policies.insert(account_id, policy),
                    None => _ = rules.missing.insert(account_id),
                }
            }
        }
        Arc::new(rules)
    }

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
    pub fn is_apart(&self, account_id: i64, target: &Target, method: &str, url: &str) -> bool {
        !self.demerged.is_empty()
            && self
                .demerged
                .get(&(account_id, target.clone()))
                .is_some_and(|templates| templates.contains(&(method.to_owned(), url.to_owned())))
    }

    pub fn is_redacted(&self, account_id: i64, target: &Target) -> bool {
        !self.redacted.is_empty() && self.redacted.contains(&(account_id, target.clone()))
    }
}

/// How records name a collection: by its id, and a host's by the host.
fn targets(collection_id: i32, host: Option<String>) -> impl Iterator<Item = Target> {
    [Some(Target::Collection(i64::from(collection_id))), host.map(Target::Host)].into_iter().flatten()
}
