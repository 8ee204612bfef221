use portolan_ids::{AccountId, CollectionId};
use portolan_store::{Db, Error, args};

use crate::{
    model::endpoints::RawEndpoint,
    store::{endpoints::read, with_keys},
};

const SELECT_BY_URLS: &str = "SELECT collection_id, endpoint_key, method, raw_url, url, proven, first_seen, last_seen, \
     facts, description, described_at FROM endpoints \
     WHERE account_id = $1 AND collection_id IN ({ids}) AND url_key IN ({keys})";

/// The raw rows of these effective URLs in some collections.
pub async fn by_url_keys(
    db: &Db,
    account_id: AccountId,
    collection_ids: &[CollectionId],
    url_keys: &[&str],
) -> Result<Vec<(CollectionId, RawEndpoint)>, Error> {
    // Numbers of this program's own need no markers.
    let ids: Vec<String> = collection_ids.iter().map(ToString::to_string).collect();
    let (sql, keys) = with_keys(&SELECT_BY_URLS.replace("{ids}", &ids.join(", ")), 2, url_keys);
    let mut arguments = args![account_id];
    arguments.extend(keys);
    let rows = db.fetch_all(sql, arguments).await?;
    rows.iter().map(|row| Ok((row.get("collection_id")?, read(row)?))).collect()
}
