//! What users say of parameters: sensitive or not, whatever the detectors found.

use std::collections::HashSet;

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_ids::AccountId;
use portolan_runtime::now_s;
use portolan_store::retrying;

use crate::{
    Deps, Error, access,
    model::{
        markings::{Marked, Markings, ParameterId},
        text,
    },
    store,
    view::View,
};

/// Marks of one request.
const MARKINGS_MAX: usize = 10_000;

/// Longest URL and name.
const TEXT_CHARACTERS_MAX: usize = 8_192;

/// All marks of an account.
pub async fn of_account(deps: &Deps, account_id: AccountId) -> Result<Markings, Error> {
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
pub async fn set(deps: &Deps, caller: &Caller, place: ParameterId, sensitive: bool) -> Result<Option<Marked>, Error> {
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
    places: Vec<ParameterId>,
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

async fn save(
    deps: &Deps,
    account_id: AccountId,
    places: &[ParameterId],
    sensitive: bool,
) -> Result<(usize, usize), Error> {
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

async fn checked(deps: &Deps, caller: &Caller, mut place: ParameterId) -> Result<ParameterId, Error> {
    for (member, value) in [("url", &place.url), ("method", &place.method), ("param", &place.name)] {
        if value.is_empty() {
            return Err(portolan_api::Error::new(Reason::MarkingIncomplete).with("member", member).into());
        }
        text::no_nul(member, value)?;
        if value.chars().count() > TEXT_CHARACTERS_MAX {
            return Err(text::text_too_long(member, TEXT_CHARACTERS_MAX).into());
        }
    }
    place.method = place.method.to_ascii_uppercase();
    access::readable(deps, caller, place.collection_id).await?.ok_or(Reason::CollectionNotFound)?;
    Ok(place)
}
