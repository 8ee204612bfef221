use std::collections::{BTreeSet, HashMap};

use portolan_engine::{
    Method,
    template::{BodyNames, Catalog, RawEndpoint as CatalogEntry, Retemplated},
};
use portolan_ids::{AccountId, CollectionId};
use portolan_store::Tx;

use crate::{Error, model::keys, store};

/// Method and URL of templates that were taken apart.
pub type Demerged = BTreeSet<(String, String)>;

/// Whether a change makes a raw URL part of a template that was taken apart.
pub fn joins(demerged: &Demerged, change: &Retemplated) -> bool {
    change.raw_url != change.effective_url
        && !demerged.is_empty()
        && demerged.contains(&(change.method.name().to_owned(), change.effective_url.clone()))
}

/// Takes raw URLs that joined such a template out of it; answers their keys and brings the changes up to date.
pub fn keep(
    catalog: &mut Catalog,
    changes: &mut HashMap<String, (Method, String)>,
    demerged: &Demerged,
    mut joined: Vec<(Method, String)>,
) -> BTreeSet<String> {
    let mut apart = BTreeSet::new();
    while !joined.is_empty() {
        let mut entries = Vec::new();
        for (method, raw_url) in std::mem::take(&mut joined) {
            let effective = catalog.effective(method, &raw_url).unwrap_or_default();
            let is_joined = effective != raw_url && demerged.contains(&(method.name().to_owned(), effective));
            if is_joined && apart.insert(keys::endpoint_key(method.name(), &raw_url)) {
                entries.push(CatalogEntry {
                    method,
                    url: raw_url,
                    pinned: false,
                    addresses: BTreeSet::new(),
                    proven: false,
                    never_merge: true,
                    bodies: BodyNames::default(),
                });
            }
        }
        for change in catalog.update_all(&entries) {
            if joins(demerged, &change) {
                joined.push((change.method, change.raw_url.clone()));
            }
            let key = keys::endpoint_key(change.method.name(), &change.raw_url);
            changes.insert(key, (change.method, change.effective_url));
        }
    }
    apart
}

/// Notes of a stored raw URL that it joins no template.
pub async fn mark(tx: &mut Tx, account_id: AccountId, collection_id: CollectionId, key: &str) -> Result<(), Error> {
    let mut rows = store::endpoints::by_keys(tx, account_id, collection_id, &[key]).await?;
    rows.iter_mut().for_each(|(row, _)| row.facts.never_merge = true);
    Ok(store::endpoints::save(tx, account_id, collection_id, rows.iter().map(|(row, bodies)| (row, bodies))).await?)
}
