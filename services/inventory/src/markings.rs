//! What users say of parameters: sensitive or not, whatever the detectors found.

use std::collections::{HashMap, HashSet};

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_engine::{Aggregate, ParameterKey};
use portolan_runtime::now_s;
use portolan_store::retrying;

use crate::endpoints::EndpointId;
use crate::view::View;
use crate::{Deps, Error, access, keys, store, text};

/// Marks of one request.
const MARKINGS_MAX: usize = 10_000;
/// Longest URL and name.
const TEXT_CHARACTERS_MAX: usize = 8_192;

/// A parameter, whatever its types.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    pub collection_id: i32,
    pub url: String,
    /// Upper case.
    pub method: String,
    /// -1 for the request.
    pub response_code: i32,
    pub is_header: bool,
    pub name: String,
}

impl Place {
    pub fn url_key(&self) -> String {
        keys::endpoint_key(&self.method, &self.url)
    }
}

/// What a user said of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    pub place: Place,
    pub url_key: String,
    pub sensitive: bool,
}

/// The marks of some collections, for a look-up by parameter.
#[derive(Debug, Default)]
pub struct Markings(HashMap<(i32, String, i32, bool, String), bool>);

impl FromIterator<Marked> for Markings {
    fn from_iter<T: IntoIterator<Item = Marked>>(list: T) -> Self {
        let entry = |marked: Marked| {
            let place = marked.place;
            let key = (place.collection_id, marked.url_key, place.response_code, place.is_header, place.name);
            (key, marked.sensitive)
        };
        Self(list.into_iter().map(entry).collect())
    }
}

impl Markings {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a mark says of a parameter.
    pub fn of(&self, endpoint: &EndpointId, key: &ParameterKey) -> Option<bool> {
        if self.0.is_empty() {
            return None;
        }
        let place =
            (endpoint.collection_id, endpoint.url_key(), key.response_code, key.is_header, key.name.to_string());
        self.0.get(&place).copied()
    }

    /// Makes a parameter as sensitive as its mark says.
    pub fn apply(&self, endpoint: &EndpointId, key: &ParameterKey, seen: &mut Aggregate) {
        if let Some(sensitive) = self.of(endpoint, key) {
            seen.sensitive = sensitive;
        }
    }
}

/// All marks of an account.
pub async fn of_account(deps: &Deps, account_id: i64) -> Result<Markings, Error> {
    Ok(store::markings::list(&deps.db, account_id).await?.into_iter().collect())
}

/// The marks of endpoints that the caller may read.
pub async fn list(deps: &Deps, caller: &Caller) -> Result<Vec<Marked>, Error> {
    let view = View::of(deps, caller).await?;
    let mut marked = store::markings::list(&deps.db, caller.account_id).await?;
    marked.retain(|marked| view.shows_key(marked.place.collection_id, &marked.url_key));
    Ok(marked)
}

/// Marks a parameter as sensitive, or takes its mark away.
///
/// # Errors
/// `COLLECTION_NOT_FOUND`, `COLLECTION_DEACTIVATED`, `MARKING_INCOMPLETE`, `TEXT_TOO_LONG`, `TEXT_HAS_NUL`.
pub async fn set(deps: &Deps, caller: &Caller, place: Place, sensitive: bool) -> Result<Option<Marked>, Error> {
    let place = checked(deps, caller, place).await?;
    if !sensitive {
        retrying(|| store::markings::delete(&deps.db, caller.account_id, &place)).await?;
        return Ok(None);
    }
    save(deps, caller.account_id, std::slice::from_ref(&place), true).await?;
    Ok(Some(Marked { url_key: place.url_key(), place, sensitive }))
}

/// Marks many parameters; answers how many had a mark before and how many had none. Places in collections that the
/// caller cannot see are passed over.
///
/// # Errors
/// `LIST_TOO_LONG`, and those of [`set`] but `COLLECTION_NOT_FOUND`.
pub async fn set_many(
    deps: &Deps,
    caller: &Caller,
    places: Vec<Place>,
    sensitive: bool,
) -> Result<(usize, usize), Error> {
    if places.len() > MARKINGS_MAX {
        let error = portolan_api::Error::new(Reason::ListTooLong);
        return Err(error.with("member", "items").with("limit", MARKINGS_MAX).into());
    }
    let mut wanted = Vec::new();
    let mut known = HashSet::new();
    for place in places {
        match checked(deps, caller, place).await {
            Ok(place) if known.insert(place.clone()) => wanted.push(place),
            Ok(_) => {}
            Err(error) if error.reason() == Some(Reason::CollectionNotFound) => {}
            Err(error) => return Err(error),
        }
    }
    save(deps, caller.account_id, &wanted, sensitive).await
}

async fn save(deps: &Deps, account_id: i64, places: &[Place], sensitive: bool) -> Result<(usize, usize), Error> {
    retrying(|| async {
        let mut tx = deps.db.begin().await?;
        let mut updates = 0;
        for place in places {
            updates += usize::from(store::markings::is_known(&mut tx, account_id, place).await?);
        }
        store::markings::save(&mut tx, account_id, places, sensitive, now_s()).await?;
        tx.commit().await?;
        Ok::<_, Error>((updates, places.len() - updates))
    })
    .await
}

async fn checked(deps: &Deps, caller: &Caller, mut place: Place) -> Result<Place, Error> {
    for (member, value) in [("url", &place.url), ("method", &place.method), ("param", &place.name)] {
        if value.is_empty() {
            return Err(portolan_api::Error::new(Reason::MarkingIncomplete).with("member", member).into());
        }
        text::no_nul(member, value)?;
        if value.chars().count() > TEXT_CHARACTERS_MAX {
            let error = portolan_api::Error::new(Reason::TextTooLong);
            return Err(error.with("member", member).with("limit", TEXT_CHARACTERS_MAX).into());
        }
    }
    place.method = place.method.to_ascii_uppercase();
    access::readable(deps, caller, place.collection_id).await?.ok_or(Reason::CollectionNotFound)?;
    Ok(place)
}
