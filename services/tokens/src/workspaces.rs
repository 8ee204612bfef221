//! Where a vendor acts: in a customer workspace, or in its own account.

use std::collections::HashMap;

use portolan_api::{
    Error, Reason, Result, identity::v1::ResolveManagedUserRequest, inventory::v1::NameCollectionsRequest,
};
use portolan_authz::Caller;

use crate::{
    Deps,
    faults::{BLANK, Faults},
};

const PER_PAGE_MAX: i64 = 100;

/// The account behind the id of a managed user; the caller's own without one. Counts one request of the caller's account.
///
/// # Errors
/// `MANAGED_USER_NOT_FOUND` unless it belongs to the caller's account; `RATE_LIMITED`.
pub async fn resolve(deps: &Deps, caller: &Caller, managed_user_id: &str) -> Result<i64> {
    let limit = deps.settings.management_rate_limit;
    if limit > 0
        && let Some(wait_s) = deps.rates.count(&format!("vendor/{}", caller.account_id), limit).await?
    {
        return Err(Error::new(Reason::RateLimited).with("retry_after_seconds", wait_s));
    }
    if managed_user_id.is_empty() {
        return Ok(caller.account_id);
    }
    let request =
        ResolveManagedUserRequest { vendor_account_id: caller.account_id, managed_user_id: managed_user_id.to_owned() };
    Ok(deps.peers.directory().resolve_managed_user(request).await?.into_inner().account_id)
}

/// The number in a path.
///
/// # Errors
/// `NOT_FOUND` for anything but digits, since no id has that form.
pub fn id(text: &str) -> Result<i64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    Ok(digits.then(|| text.parse().ok()).flatten().ok_or(Reason::NotFound)?)
}

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    pub number: i64,
    pub per_page: i64,
}

impl Page {
    /// # Errors
    /// `VALIDATION_FAILED` for a number out of range.
    pub fn read(number: Option<i64>, per_page: Option<i64>) -> Result<Self> {
        let page = Self { number: number.unwrap_or(1), per_page: per_page.unwrap_or(PER_PAGE_MAX) };
        let mut faults = Faults::default();
        if page.number < 1 {
            faults.add("page", "must be greater than 0");
        }
        if page.per_page < 1 {
            faults.add("per_page", "must be greater than 0");
        }
        if page.per_page > PER_PAGE_MAX {
            faults.add("per_page", format!("must be less than or equal to {PER_PAGE_MAX}"));
        }
        faults.refuse()?;
        Ok(page)
    }

    pub fn offset(self) -> i64 {
        (self.number - 1).saturating_mul(self.per_page)
    }
}

/// The names of those collections of an account that exist.
pub async fn collection_names(deps: &Deps, account_id: i64, ids: Vec<i64>) -> Result<HashMap<i64, String>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let request = NameCollectionsRequest { account_id, ids };
    let named = deps.peers.collection_directory().name_collections(request).await?.into_inner().collections;
    Ok(named.into_iter().map(|collection| (collection.id, collection.name)).collect())
}

/// Lists what is wrong with the collections of a profile or client: there must be one, and all must exist.
pub(crate) async fn check_collections(deps: &Deps, account_id: i64, ids: &[i64], faults: &mut Faults) -> Result<()> {
    if ids.is_empty() {
        faults.add("api_collection_ids", BLANK);
        return Ok(());
    }
    let known = collection_names(deps, account_id, ids.to_vec()).await?;
    let unknown: Vec<_> = ids.iter().filter(|id| !known.contains_key(id)).map(ToString::to_string).collect();
    if !unknown.is_empty() {
        faults.add("api_collection_ids", format!("has unknown collections: {}", unknown.join(", ")));
    }
    Ok(())
}

/// The number in a JSON number, or in a JSON text.
pub(crate) fn number(json: &str) -> Option<i64> {
    match serde_json::from_str(json).ok()? {
        serde_json::Value::Number(number) => number.as_i64(),
        serde_json::Value::String(text) => text.parse().ok(),
        _ => None,
    }
}
