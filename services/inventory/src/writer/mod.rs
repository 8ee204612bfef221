mod apart;
mod collection;
mod retemplate;

use std::collections::{BTreeMap, BTreeSet};

pub use collection::CollectionWriter;
use portolan_store::Tx;
pub(crate) use retemplate::retemplate;

use crate::{Error, announce::News, feed, members, model::groups::Counts};

/// What a write has changed of a collection.
#[derive(Clone, Debug, Default)]
pub struct Changed {
    /// Effective URLs whose endpoints may be new, gone, or other than before.
    pub url_keys: BTreeSet<String>,
    /// Sensitive parameters that their endpoints did not have before.
    pub news: Vec<News>,
}

/// Brings groups, their counts and the list of endpoints up to date with what was written, each lock in its turn.
pub async fn note_changes(tx: &mut Tx, changes: &BTreeMap<(i64, i32), Changed>) -> Result<(), Error> {
    let mut counts: BTreeMap<i64, Counts> = BTreeMap::new();
    for ((account_id, collection_id), changed) in changes {
        let url_keys: Vec<&str> = changed.url_keys.iter().map(String::as_str).collect();
        for (group_id, count) in members::refresh(tx, *account_id, *collection_id, &url_keys).await? {
            *counts.entry(*account_id).or_default().entry(group_id).or_default() += count;
        }
    }
    for (account_id, counts) in &counts {
        members::add_counts(tx, *account_id, counts).await?;
    }
    for ((account_id, collection_id), changed) in changes {
        let url_keys: Vec<&str> = changed.url_keys.iter().map(String::as_str).collect();
        feed::refresh(tx, *account_id, *collection_id, &url_keys).await?;
    }
    Ok(())
}
