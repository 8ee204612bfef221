use portolan_engine::{
    Method,
    template::{Catalog, RawEndpoint as CatalogEntry},
};
use portolan_store::Tx;

use crate::{Error, model::keys, store, writer::Changed};

/// Rows read at once while a collection is looked through.
const PAGE: i64 = 2_000;

/// Gives every raw URL of a collection that the transaction holds the effective URL that follows from what is stored,
/// and returns the catalog of it.
pub(crate) async fn retemplate(
    tx: &mut Tx,
    account_id: i64,
    collection_id: i32,
    changed: &mut Changed,
) -> Result<Catalog, Error> {
    let mut catalog = Catalog::default();
    let mut places: Vec<(Method, String, String, String)> = Vec::new();
    let mut after = String::new();
    loop {
        let page = store::endpoints::page(tx, account_id, collection_id, &after, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after.clone_from(&last.key);
        for (raw, bodies) in page {
            let method = Method::parse(&raw.method);
            catalog.update(&CatalogEntry {
                method,
                pinned: raw.facts.declared,
                addresses: raw.facts.addresses,
                proven: raw.proven,
                never_merge: raw.facts.never_merge,
                url: raw.raw_url.clone(),
                bodies,
            });
            places.push((method, raw.key, raw.raw_url, raw.url));
        }
    }
    for (method, key, raw_url, url) in places {
        let effective = catalog.effective(method, &raw_url).unwrap_or(raw_url);
        if effective != url {
            store::endpoints::update_url(tx, account_id, collection_id, &key, method.name(), &effective).await?;
            changed.url_keys.insert(keys::endpoint_key(method.name(), &url));
            changed.url_keys.insert(keys::endpoint_key(method.name(), &effective));
        }
    }
    Ok(catalog)
}
