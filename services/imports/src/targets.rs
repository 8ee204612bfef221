//! The collections that imports fill: asked of the inventory, with the rights of the user.

use std::collections::HashMap;

use portolan_authz::Caller;

use crate::model::targets::{Target, Wanted};
use crate::{Deps, Error, peers};

/// Returns the wanted collection; `None` when no collection of the account has the id.
pub async fn resolve(deps: &Deps, caller: &Caller, wanted: Wanted<'_>) -> Result<Option<Target>, Error> {
    resolve_tagged(deps, caller, wanted, HashMap::new()).await
}

/// As [`resolve`]; the collection has the tags then.
pub async fn resolve_tagged(
    deps: &Deps,
    caller: &Caller,
    wanted: Wanted<'_>,
    tags: HashMap<String, String>,
) -> Result<Option<Target>, Error> {
    Ok(peers::ensure_target(&deps.peers, caller, wanted, tags).await?)
}
