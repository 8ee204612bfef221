//! What billing asks other services: the one place here that speaks their messages.

use portolan_api::{
    Reason, Result,
    identity::v1::{self as identity, FindOrganizationRequest, GetUserRequest},
    inventory::v1 as inventory,
};
use portolan_ids::{AccountId, UserId};
use portolan_runtime::Peers;

use crate::model::{organizations::FoundOrganization, usage::Recounted};

pub use portolan_api::identity::v1::find_organization_request::By;

/// An organization as identity has it.
///
/// # Errors
/// `ORGANIZATION_NOT_FOUND`, `UNAVAILABLE`.
pub async fn organization(peers: &Peers, by: By) -> Result<FoundOrganization> {
    let request = FindOrganizationRequest { by: Some(by) };
    let found = peers.directory().find_organization(request).await?.into_inner().organization;
    let found = found.ok_or(Reason::OrganizationNotFound)?;
    let identity::OrganizationRecord { id, name, account_ids, admin_email, .. } = found;
    Ok(FoundOrganization {
        id: id.into(),
        name,
        account_ids: account_ids.into_iter().map(AccountId).collect(),
        admin_email,
    })
}

/// The login of a user.
///
/// # Errors
/// Those of identity.
pub async fn login(peers: &Peers, account_id: AccountId, user_id: UserId) -> Result<String> {
    let request = GetUserRequest { account_id: account_id.into(), user_id: user_id.into() };
    Ok(peers.identity().get_user(request).await?.into_inner().login)
}

/// Lets every owner of a count of this account make it anew.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn recount(peers: &Peers, account_id: AccountId) -> Result<Vec<Recounted>> {
    let request = identity::RecountUsageRequest { account_id: account_id.into() };
    let accounts = peers.identity_usage().recount_usage(request).await?.into_inner().counts;
    let request = inventory::RecountUsageRequest { account_id: account_id.into() };
    let endpoints = peers.ingest().recount_usage(request).await?.into_inner().counts;
    let accounts = accounts.into_iter().map(|count| Recounted {
        account_id,
        feature: count.feature,
        kept: count.kept,
        counted: count.counted,
        settled_version: count.settled_version,
        count: count.count,
        version: count.version,
    });
    let endpoints = endpoints.into_iter().map(|count| Recounted {
        account_id,
        feature: count.feature,
        kept: count.kept,
        counted: count.counted,
        settled_version: count.settled_version,
        count: count.count,
        version: count.version,
    });
    Ok(accounts.chain(endpoints).collect())
}
