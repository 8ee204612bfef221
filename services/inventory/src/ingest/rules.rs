use std::{collections::HashSet, sync::Arc};

use portolan_ids::AccountId;

use crate::{
    Deps, Error,
    model::rules::{Rules, targets},
    policies, store,
};

/// Accounts that identity is asked for side by side.
const ASKED_AT_ONCE: usize = 16;

/// The rules in force, from memory as long as nothing has changed.
pub async fn current(deps: &Deps) -> Result<Arc<Rules>, Error> {
    let version = store::demerged::version_now(&deps.db).await?;
    let mut rules = match deps.rules().filter(|rules| rules.version == version) {
        Some(known) => Rules::clone(&known),
        None => stored(deps).await?,
    };
    rules.policies = policies::fresh(deps);
    let rules = Arc::new(rules);
    deps.note_rules(rules.clone());
    Ok(rules)
}

/// What the tables have of the rules at one moment.
async fn stored(deps: &Deps) -> Result<Rules, Error> {
    let mut tx = deps.db.begin_read().await?;
    let mut rules = Rules { version: store::demerged::version(&mut tx).await?, ..Rules::default() };
    for row in store::demerged::all(&mut tx).await? {
        for target in targets(row.collection_id, row.host) {
            let templates = rules.demerged.entry((row.account_id, target)).or_default();
            templates.insert((row.method.clone(), row.url.clone()));
        }
    }
    for (account_id, collection_id, host) in store::collections::redacted(&mut tx).await? {
        rules.redacted.extend(targets(collection_id, host).map(|target| (account_id, target)));
    }
    tx.rollback().await?;
    Ok(rules)
}

/// Rules with what is known of further accounts.
pub async fn with_accounts(rules: &Rules, deps: &Deps, account_ids: &HashSet<AccountId>) -> Arc<Rules> {
    let mut rules = rules.clone();
    let account_ids: Vec<AccountId> = account_ids.iter().copied().collect();
    for some in account_ids.chunks(ASKED_AT_ONCE) {
        let asked = some.iter().map(async |account_id| (*account_id, policies::of_account(deps, *account_id).await));
        for (account_id, policy) in futures::future::join_all(asked).await {
            match policy {
                Some(policy) => _ = rules.policies.insert(account_id, policy),
                None => _ = rules.missing.insert(account_id),
            }
        }
    }
    Arc::new(rules)
}
