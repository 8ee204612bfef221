//! What tokens asks other services: the one place here that speaks their messages.

use std::collections::HashMap;

use portolan_api::{
    Result,
    identity::v1::{
        FindOrganizationRequest, GetGrantRequest, GetTenantStateRequest, GetUserRequest, ListTenantStatesRequest,
        OrganizationRecord, OrganizationState, ResolveManagedUserRequest, find_organization_request::By,
    },
    inventory::v1::{ListEdgeEndpointsRequest, NameCollectionsRequest},
};
use portolan_authz::{Grant, Scope};
use portolan_ids::{AccountId, NamedCollectionId, OrganizationId, UserId};
use portolan_runtime::Peers;

use crate::model::{
    edge::{Endpoint, EndpointChange, EndpointChanges, TenantStates},
    organization_tokens::Lookup,
    organizations::{Organization, State},
};

/// The login of a user.
///
/// # Errors
/// Those of identity.
pub async fn login(peers: &Peers, account_id: AccountId, user_id: UserId) -> Result<String> {
    let request = GetUserRequest { account_id: account_id.into(), user_id: user_id.into() };
    Ok(peers.identity().get_user(request).await?.into_inner().login)
}

/// What a user may do in a scope.
///
/// # Errors
/// Those of identity.
pub async fn grant(peers: &Peers, account_id: AccountId, user_id: UserId, scope: Scope) -> Result<Grant> {
    let request =
        GetGrantRequest { account_id: account_id.into(), user_id: user_id.into(), scope: scope.name().to_owned() };
    Ok(Grant::from(peers.identity().get_grant(request).await?.into_inner()))
}

/// The organization that is looked up, if there is one.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn find_organization(peers: &Peers, lookup: Lookup) -> Result<Option<Organization>> {
    let by = match lookup {
        Lookup::Id(id) => By::PublicId(id),
        Lookup::SubDomain(name) => By::SubDomain(name),
    };
    organization_by(peers, by).await
}

/// The organization with this UUID.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn organization(peers: &Peers, id: OrganizationId) -> Result<Option<Organization>> {
    organization_by(peers, By::Id(id.into())).await
}

async fn organization_by(peers: &Peers, by: By) -> Result<Option<Organization>> {
    let request = FindOrganizationRequest { by: Some(by) };
    let found = peers.directory().find_organization(request).await?.into_inner().organization;
    Ok(found.map(|found| {
        let state = match found.state() {
            OrganizationState::Active => State::Active,
            OrganizationState::NotActivated => State::NotActivated,
            OrganizationState::Suspended | OrganizationState::Unspecified => State::Suspended,
        };
        let OrganizationRecord { id, public_id, account_ids, .. } = found;
        Organization { id: id.into(), public_id, account_ids: account_ids.into_iter().map(Into::into).collect(), state }
    }))
}

/// The account behind the id of a managed user.
///
/// # Errors
/// `MANAGED_USER_NOT_FOUND` unless it belongs to the vendor's account.
pub async fn managed_account(peers: &Peers, vendor_account_id: AccountId, managed_user_id: &str) -> Result<AccountId> {
    let request = ResolveManagedUserRequest {
        vendor_account_id: vendor_account_id.into(),
        managed_user_id: managed_user_id.to_owned(),
    };
    Ok(peers.directory().resolve_managed_user(request).await?.into_inner().account_id.into())
}

/// Whether an account may act.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn is_open(peers: &Peers, account_id: AccountId) -> Result<bool> {
    let request = GetTenantStateRequest { account_id: account_id.into() };
    Ok(peers.tenants().get_tenant_state(request).await?.into_inner().open)
}

/// What changed of the states of accounts after a version.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn tenant_states(peers: &Peers, after_version: i64) -> Result<TenantStates> {
    let request = ListTenantStatesRequest { after_version };
    let answer = peers.tenants().list_tenant_states(request).await?.into_inner();
    let tenants = answer.tenants.into_iter().map(|tenant| (AccountId(tenant.account_id), tenant.open)).collect();
    Ok(TenantStates { tenants, last_version: answer.last_version })
}

/// What changed of endpoints after a version.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn endpoint_changes(peers: &Peers, after_version: i64, page_size: i32) -> Result<EndpointChanges> {
    let request = ListEdgeEndpointsRequest { after_version, page_size };
    let answer = peers.endpoints().list_edge_endpoints(request).await?.into_inner();
    let changes = answer.endpoints.into_iter().map(|change| {
        if change.removed {
            return EndpointChange::Removed(change.endpoint_id.into());
        }
        EndpointChange::Put(Endpoint {
            endpoint_id: change.endpoint_id.into(),
            account_id: change.account_id.into(),
            collection_id: change.api_collection_id.into(),
            host: change.host,
            method: change.method,
            path: change.path,
            active: change.active,
        })
    });
    Ok(EndpointChanges { changes: changes.collect(), last_version: answer.last_version, is_complete: answer.complete })
}

/// The names of those collections of an account that exist.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn collection_names(
    peers: &Peers,
    account_id: AccountId,
    ids: Vec<NamedCollectionId>,
) -> Result<HashMap<NamedCollectionId, String>> {
    let request =
        NameCollectionsRequest { account_id: account_id.into(), ids: ids.into_iter().map(Into::into).collect() };
    let named = peers.collections().name_collections(request).await?.into_inner().collections;
    Ok(named.into_iter().map(|collection| (collection.id.into(), collection.name)).collect())
}
