use portolan_authz::Caller;

use crate::endpoints::{EndpointId, raws_of};
use crate::{Deps, Error, access, store};

/// Calls kept of an endpoint, the newest.
pub const SAMPLES_MAX: usize = 10;

/// The stored calls of an endpoint as JSON texts, the newest first; nothing when there is none.
///
/// # Errors
/// `COLLECTION_DEACTIVATED`.
pub async fn list(deps: &Deps, caller: &Caller, id: &EndpointId) -> Result<Option<Vec<String>>, Error> {
    let Some((collection, id)) = access::readable_endpoint(deps, caller, id).await? else { return Ok(None) };
    let raws = raws_of(deps, caller.account_id, &id).await?;
    let keys: Vec<&str> = raws.iter().map(|raw| raw.key.as_str()).collect();
    let samples = store::samples::newest(&deps.db, caller.account_id, collection.id, &keys, SAMPLES_MAX).await?;
    let records: Vec<String> = samples.into_iter().map(|sample| sample.record).collect();
    Ok(Some(records).filter(|records| !records.is_empty()))
}
