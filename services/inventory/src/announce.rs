//! Tells an account of sensitive data that was not known before: once for each batch of records that shows any.
//!
//! What is told is written with the batch, and delivered from the outbox to browsers and Slack channels.

use std::collections::{BTreeMap, HashMap, btree_map::Entry};

use portolan_api::Feature;
use portolan_engine::{ParameterKey, SubType, template::BodyNames};
use portolan_ids::{AccountId, CollectionId};
use portolan_outbox::{
    NOTICE,
    notice::{Notice, NoticeLine},
};
use portolan_store::Tx;

use crate::{
    Error,
    model::{collections::Collection, endpoints::RawEndpoint, keys},
    store,
};

const TITLE: &str = "New sensitive data";

/// Parameters that a notice names; each reader is shown a few of those that they may read.
const NAMED_MAX: usize = 200;

/// Longest URL and name in a message.
const TEXT_CHARACTERS_MAX: usize = 120;

/// A sensitive parameter that its endpoint did not have before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct News {
    pub collection_id: CollectionId,
    /// Empty where it may not be told.
    pub url: String,
    pub method: String,
    pub name: String,
    pub sub_type: SubType,
}

/// The endpoints' new sensitive parameters among those that raw URLs show for the first time. What another raw URL of the
/// same endpoint showed before is not new. The rows' effective URLs are stored, the parameters are not yet.
pub(crate) async fn find(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    rows: &[(RawEndpoint, BodyNames)],
    candidates: Vec<(String, ParameterKey)>,
) -> Result<Vec<News>, Error> {
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let raws: HashMap<&str, &RawEndpoint> = rows.iter().map(|(raw, _)| (raw.key.as_str(), raw)).collect();
    let mut by_place: BTreeMap<(String, String), News> = BTreeMap::new();
    for (endpoint_key, parameter) in candidates {
        let Some(raw) = raws.get(endpoint_key.as_str()) else { continue };
        let place = (keys::endpoint_key(&raw.method, &raw.url), store::parameters::parameter_key(&parameter));
        let (url, method) = (raw.url.clone(), raw.method.clone());
        let news =
            News { collection_id, url, method, name: parameter.name.into_string(), sub_type: parameter.sub_type };
        by_place.insert(place, news);
    }
    let mut url_keys: Vec<&str> = by_place.keys().map(|(url_key, _)| url_key.as_str()).collect();
    url_keys.dedup();
    let known = store::parameters::sensitive_keys(tx, account_id, collection_id, &url_keys).await?;
    let mut news: Vec<News> =
        by_place.into_iter().filter(|(place, _)| !known.contains(place)).map(|(_, news)| news).collect();
    news.sort();
    Ok(news)
}

/// Leaves out the URLs, whose segments are values of a redacted collection as soon as a template covers them.
pub(crate) fn without_urls(news: &mut Vec<News>) {
    news.iter_mut().for_each(|news| news.url.clear());
    news.sort();
    news.dedup();
}

/// Puts the message on its way in the transaction that makes it true.
pub(crate) async fn put(tx: &mut Tx, account_id: AccountId, news: &[News]) -> Result<(), Error> {
    if news.is_empty() {
        return Ok(());
    }
    let mut lines = Vec::new();
    let mut collections: BTreeMap<CollectionId, Option<Collection>> = BTreeMap::new();
    for news in news.iter().take(NAMED_MAX) {
        let collection = match collections.entry(news.collection_id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(store::collections::get_in(tx, account_id, news.collection_id).await?),
        };
        let Some(collection) = collection else { continue };
        lines.push(NoticeLine {
            text: line(news, &collection.name),
            api_collection_id: Some(collection.id.into()),
            scopes: collection.scopes(),
        });
    }
    let notice = Notice {
        account_id: account_id.into(),
        title: TITLE.to_owned(),
        lines,
        // Where the list of sensitive parameters is described.
        url: "/docs".to_owned(),
        feature: Feature::SensitiveData.into(),
        user_id: 0,
    };
    let id = uuid::Uuid::now_v7().to_string();
    let payload = serde_json::to_string(&notice)?;
    Ok(portolan_outbox::put(tx, NOTICE, &account_id.to_string(), &id, &payload).await?)
}

fn line(news: &News, collection: &str) -> String {
    let cut = |text: &str| match text.char_indices().nth(TEXT_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    };
    let (kind, name, url) = (news.sub_type.name(), cut(&news.name), cut(&news.url));
    match url.is_empty() {
        true => format!("{kind} `{name}` ({collection})"),
        false => format!("{kind} `{name}` in {} {url} ({collection})", news.method),
    }
}
