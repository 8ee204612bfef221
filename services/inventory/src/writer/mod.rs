mod apart;
mod carry;
mod collection;
mod reshape;
mod retemplate;
mod room;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use carry::Moves;
pub use collection::CollectionWriter;
use portolan_ids::{AccountId, CollectionId};
use portolan_store::Tx;
pub(crate) use reshape::{Form, reshape};
pub(crate) use retemplate::{Entry, destination, keep_apart, move_to, retemplate};
pub(crate) use room::fit;

use crate::{Error, announce::News, feed, members};

/// What a write has changed of a collection.
#[derive(Clone, Debug, Default)]
pub struct Changed {
    /// Effective URLs whose endpoints may be new, gone, or other than before.
    pub url_keys: BTreeSet<String>,
    /// Sensitive parameters that their endpoints did not have before.
    pub news: Vec<News>,
    /// Where stored raw URLs went from one effective URL to another.
    pub moves: Moves,
}

/// Brings what was said of endpoints, groups, their counts and the list of endpoints up to date with what was written,
/// each lock in its turn.
pub async fn note_changes(tx: &mut Tx, changes: &BTreeMap<(AccountId, CollectionId), Changed>) -> Result<(), Error> {
    let mut taken_over = BTreeMap::new();
    for ((account_id, collection_id), changed) in changes.iter().filter(|(_, changed)| !changed.moves.is_empty()) {
        let states = carry::carry(tx, *account_id, *collection_id, &changed.moves).await?;
        taken_over.insert((*account_id, *collection_id), states);
    }
    let mut endpoints: BTreeMap<AccountId, Vec<_>> = BTreeMap::new();
    for ((account_id, collection_id), changed) in changes {
        let url_keys: Vec<&str> = changed.url_keys.iter().map(String::as_str).collect();
        endpoints.entry(*account_id).or_default().push((*collection_id, url_keys));
    }
    let mut counts = Vec::with_capacity(endpoints.len());
    for (account_id, endpoints) in &endpoints {
        counts.push((*account_id, members::refresh(tx, *account_id, endpoints).await?));
    }
    for (account_id, counts) in &counts {
        members::add_counts(tx, *account_id, counts).await?;
    }
    for ((account_id, collection_id), changed) in changes {
        let url_keys: Vec<&str> = changed.url_keys.iter().map(String::as_str).collect();
        let states = taken_over.remove(&(*account_id, *collection_id)).unwrap_or_default();
        feed::refresh(tx, *account_id, *collection_id, &url_keys, &states).await?;
    }
    Ok(())
}
