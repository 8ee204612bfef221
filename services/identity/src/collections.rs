//! The collections that lists of roles and members may name: those that inventory has.

use portolan_api::{Error, Reason, Result};
use portolan_authz::Caller;
use portolan_ids::CollectionId;

use crate::{Deps, peers};

/// Longest list that a role or a member takes.
const COLLECTIONS_MAX: usize = 10_000;

/// The first of these ids that names no collection of the account.
///
/// # Errors
/// `TOO_MANY_IDS`; `UNAVAILABLE` when inventory does not answer.
pub(crate) async fn unknown(
    deps: &Deps,
    caller: &Caller,
    ids: Option<&[CollectionId]>,
) -> Result<Option<CollectionId>> {
    let Some(ids) = ids.filter(|ids| !ids.is_empty()) else { return Ok(None) };
    if ids.len() > COLLECTIONS_MAX {
        return Err(Error::new(Reason::TooManyIds).with("limit", COLLECTIONS_MAX));
    }
    let known = peers::collection_ids(&deps.peers, caller).await?;
    Ok(ids.iter().find(|id| !known.contains(id)).copied())
}
