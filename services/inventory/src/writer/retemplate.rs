use std::collections::HashMap;

use portolan_engine::{Method, template::Catalog};
use portolan_ids::{AccountId, CollectionId};
use portolan_store::Tx;

use super::apart;
use crate::{
    Error, catalogs,
    model::{endpoints::RawEndpoint, keys},
    store,
    writer::Changed,
};

/// A raw URL as the rows have it: method, key, raw URL, effective URL.
pub(crate) type Entry = (Method, String, String, String);

/// Gives every raw URL of a collection that the transaction holds the effective URL that follows from what is stored,
/// and returns the catalog of it.
pub(crate) async fn retemplate(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    changed: &mut Changed,
) -> Result<Catalog, Error> {
    let mut places: Vec<Entry> = Vec::new();
    let note = |raw: &RawEndpoint| {
        places.push((Method::parse(&raw.method), raw.key.clone(), raw.raw_url.clone(), raw.url.clone()));
    };
    let catalog = catalogs::load_each(tx, account_id, collection_id, note).await?;
    for place in places {
        move_raw(tx, account_id, collection_id, &catalog, place, changed).await?;
    }
    Ok(catalog)
}

/// Gives a raw URL the effective URL that the catalog has for it.
async fn move_raw(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    catalog: &Catalog,
    entry: Entry,
    changed: &mut Changed,
) -> Result<(), Error> {
    match destination(catalog, &entry) {
        Some(effective) => move_to(tx, account_id, collection_id, &entry, &effective, changed).await,
        None => Ok(()),
    }
}

/// The effective URL that the catalog has for a raw URL, where the row has another.
pub(crate) fn destination(catalog: &Catalog, (method, _, raw_url, url): &Entry) -> Option<String> {
    Some(catalog.effective(*method, raw_url).unwrap_or_else(|| raw_url.clone())).filter(|effective| effective != url)
}

/// Gives a raw URL another effective URL.
pub(crate) async fn move_to(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    (method, key, _, url): &Entry,
    effective: &str,
    changed: &mut Changed,
) -> Result<(), Error> {
    store::endpoints::update_url(tx, account_id, collection_id, key, method.name(), effective).await?;
    changed.url_keys.insert(keys::endpoint_key(method.name(), url));
    changed.url_keys.insert(keys::endpoint_key(method.name(), effective));
    changed.moves.add(method.name(), url, effective);
    Ok(())
}

/// Takes raw URLs out of templates that were taken apart by hand; says whether any had joined one.
pub(crate) async fn keep_apart(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    catalog: &mut Catalog,
    raws: &[(Method, String)],
) -> Result<bool, Error> {
    let demerged = store::demerged::by_collection(tx, account_id, collection_id).await?;
    if demerged.is_empty() {
        return Ok(false);
    }
    let joined = raws.iter().filter(|(method, raw_url)| {
        let effective = catalog.effective(*method, raw_url).unwrap_or_default();
        effective != *raw_url && demerged.contains(&(method.name().to_owned(), effective))
    });
    let joined: Vec<_> = joined.cloned().collect();
    let keys = apart::keep(catalog, &mut HashMap::new(), &demerged, joined);
    for key in &keys {
        apart::mark(tx, account_id, collection_id, key).await?;
    }
    Ok(!keys.is_empty())
}
