use std::collections::{BTreeMap, BTreeSet};

use portolan_ids::{AccountId, CollectionId};
use portolan_store::Tx;

use crate::{
    Error,
    model::{conditions::Conditions, endpoints::EndpointId, feed::TakenOver, keys, markings::ParameterId},
    store,
};

/// Where stored raw URLs went: by method and effective URL, the effective URLs that they have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves(BTreeMap<(String, String), BTreeSet<String>>);

impl Moves {
    /// Notes that a raw URL went from one endpoint to another.
    pub fn add(&mut self, method: &str, from: &str, to: &str) {
        if from != to {
            self.0.entry((method.to_owned(), from.to_owned())).or_default().insert(to.to_owned());
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One endpoint whose raw URLs went elsewhere.
struct Move<'m> {
    id: EndpointId,
    to: &'m BTreeSet<String>,
    /// No raw URL of it is left.
    is_gone: bool,
}

/// Has what users and testers said of endpoints follow their raw URLs: an endpoint that took in others has what was said
/// of any, and of one that fell apart each part has what was said of the whole. Answers what the rows of endpoints take
/// over. The transaction holds the collection.
pub(super) async fn carry(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    moves: &Moves,
) -> Result<BTreeMap<String, TakenOver>, Error> {
    let mut known: BTreeMap<String, Move<'_>> = BTreeMap::new();
    for ((method, from), to) in &moves.0 {
        let id = EndpointId { collection_id, url: from.clone(), method: method.clone() };
        known.insert(id.url_key(), Move { id, to, is_gone: true });
    }
    let url_keys: Vec<String> = known.keys().cloned().collect();
    let url_keys: Vec<&str> = url_keys.iter().map(String::as_str).collect();
    for key in store::feed::shown(tx, account_id, collection_id, &url_keys).await?.into_keys() {
        known.entry(key).and_modify(|known| known.is_gone = false);
    }
    let gone: Vec<&str> = known.iter().filter(|(_, known)| known.is_gone).map(|(key, _)| key.as_str()).collect();
    carry_marks(tx, account_id, collection_id, &known, &url_keys, &gone).await?;
    carry_lists(tx, account_id, &known).await?;
    for (key, known) in known.iter().filter(|(_, known)| known.is_gone) {
        if let Some(to) = known.to.first() {
            let to = keys::endpoint_key(&known.id.method, to);
            store::issues::move_to(tx, account_id, collection_id, key, &to).await?;
        }
    }
    let mut taken_over: BTreeMap<String, TakenOver> = BTreeMap::new();
    for (key, state) in store::feed::states(tx, account_id, collection_id, &url_keys).await? {
        let Some(known) = known.get(&key) else { continue };
        for to in known.to {
            taken_over.entry(keys::endpoint_key(&known.id.method, to)).or_default().join(state);
        }
    }
    Ok(taken_over)
}

async fn carry_marks(
    tx: &mut Tx,
    account_id: AccountId,
    collection_id: CollectionId,
    known: &BTreeMap<String, Move<'_>>,
    url_keys: &[&str],
    gone: &[&str],
) -> Result<(), Error> {
    let marks = store::markings::of_urls(tx, account_id, collection_id, url_keys).await?;
    if marks.is_empty() {
        return Ok(());
    }
    // By place, so that none stands there twice; of two marks the one that hides more counts.
    let mut added: BTreeMap<ParameterId, (bool, i64)> = BTreeMap::new();
    for (mark, marked_at) in marks {
        let (place, Some(known)) = (&mark.place, known.get(&mark.url_key)) else { continue };
        for to in known.to {
            let place = ParameterId { collection_id, url: to.clone(), ..place.clone() };
            let added = added.entry(place).or_insert((mark.sensitive, marked_at));
            *added = (added.0 || mark.sensitive, added.1.max(marked_at));
        }
    }
    let added: Vec<_> =
        added.into_iter().map(|(place, (sensitive, marked_at))| (place, sensitive, marked_at)).collect();
    store::markings::add(tx, account_id, &added).await?;
    Ok(store::markings::delete_of_urls(tx, account_id, collection_id, gone).await?)
}

/// Has the lists of single endpoints that groups have follow.
async fn carry_lists(tx: &mut Tx, account_id: AccountId, known: &BTreeMap<String, Move<'_>>) -> Result<(), Error> {
    let became = |id: &EndpointId| {
        let known = known.get(&id.url_key()).filter(|known| known.id.collection_id == id.collection_id)?;
        Some((known.to, known.is_gone))
    };
    for (group_id, conditions) in store::groups::conditions(tx, account_id).await? {
        if !Conditions::clone(&Conditions::stored(&conditions)).follow(became) {
            continue;
        }
        // Read again under the lock: another request may have changed the list meanwhile.
        if let Some((conditions, sharing)) = store::groups::lock(tx, account_id, group_id).await? {
            let mut conditions = Conditions::clone(&Conditions::stored(&conditions));
            conditions.follow(became);
            store::groups::update_conditions(tx, account_id, group_id, &conditions.to_json(), sharing).await?;
        }
    }
    Ok(())
}
