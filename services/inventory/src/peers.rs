//! What the inventory asks other services: the one place here that speaks their messages.

use std::collections::BTreeSet;

use portolan_api::{
    Reason, Result,
    identity::v1::{
        AddUserCollectionRequest, FindOrganizationRequest, ForgetCollectionsRequest, GetAccountSettingsRequest,
        ResolveManagedUserRequest, find_organization_request::By,
    },
    imports::v1::{DeleteUploadsRequest, GetSpecificationRequest, RedactUploadsRequest, Specification},
};
use portolan_authz::Caller;
use portolan_ids::{AccountId, CollectionId, OrganizationId};
use portolan_runtime::Peers;

/// Shows a collection to a caller who sees only some.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn show_collection(peers: &Peers, caller: &Caller, collection_id: CollectionId) -> Result<()> {
    let request = AddUserCollectionRequest {
        account_id: caller.account_id.into(),
        user_id: caller.user_id.into(),
        collection_id: collection_id.into(),
    };
    peers.identity().add_user_collection(request).await?;
    Ok(())
}

/// Address ranges of an account.
pub struct Ranges {
    /// Those that the account calls its own.
    pub private: Vec<String>,
    pub partners: Vec<String>,
}

/// The address ranges of an account at this moment.
///
/// # Errors
/// `ACCOUNT_NOT_FOUND`, also for an account that has ended; `UNAVAILABLE`.
pub async fn ranges(peers: &Peers, account_id: AccountId) -> Result<Ranges> {
    let settings = peers
        .directory()
        .get_account_settings(GetAccountSettingsRequest { account_id: account_id.into() })
        .await?
        .into_inner();
    Ok(Ranges { private: settings.private_cidr_list, partners: settings.partner_ip_list })
}

/// An organization with its accounts.
pub struct Organization {
    pub id: OrganizationId,
    pub account_ids: BTreeSet<AccountId>,
}

/// The organization of an account.
///
/// # Errors
/// `ORGANIZATION_NOT_FOUND`, `UNAVAILABLE`.
pub async fn organization(peers: &Peers, account_id: AccountId) -> Result<Organization> {
    let request = FindOrganizationRequest { by: Some(By::AccountId(account_id.into())) };
    let found = peers.directory().find_organization(request).await?.into_inner().organization;
    let found = found.ok_or(Reason::OrganizationNotFound)?;
    Ok(Organization { id: found.id.into(), account_ids: found.account_ids.into_iter().map(Into::into).collect() })
}

/// The account of a customer workspace of a vendor.
///
/// # Errors
/// `MANAGED_USER_NOT_FOUND`, `UNAVAILABLE`.
pub async fn workspace(peers: &Peers, vendor_account_id: AccountId, managed_user_id: &str) -> Result<AccountId> {
    let request = ResolveManagedUserRequest {
        vendor_account_id: vendor_account_id.into(),
        managed_user_id: managed_user_id.to_owned(),
    };
    Ok(peers.directory().resolve_managed_user(request).await?.into_inner().account_id.into())
}

/// Has imports forget a collection (uploads, raw files, saved specifications) and identity take it out of roles and the
/// lists of members. Both bear being told twice.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn forget_collection(peers: &Peers, account_id: AccountId, collection_id: CollectionId) -> Result<()> {
    let (account_id, collection_id) = (account_id.into(), collection_id.into());
    peers.uploads().delete_uploads(DeleteUploadsRequest { account_id, collection_id }).await?;
    let request = ForgetCollectionsRequest { account_id, collection_ids: vec![collection_id] };
    peers.collection_lists().forget_collections(request).await?;
    Ok(())
}

/// A specification that a user keeps for a collection.
pub struct KeptSpecification {
    pub name: String,
    /// An OpenAPI document as JSON text.
    pub content: String,
    /// Unix seconds.
    pub updated_at: i64,
}

/// The specification that a user keeps for a collection, if any.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn kept_specification(
    peers: &Peers,
    account_id: AccountId,
    collection_id: CollectionId,
) -> Result<Option<KeptSpecification>> {
    let request = GetSpecificationRequest { account_id: account_id.into(), collection_id: collection_id.into() };
    let kept = peers.uploads().get_specification(request).await?.into_inner().specification;
    Ok(kept.map(|Specification { name, content, updated_at }| KeptSpecification { name, content, updated_at }))
}

/// Has the values in raw uploads of a collection removed. It bears being told twice.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn redact_uploads(peers: &Peers, account_id: AccountId, collection_id: CollectionId) -> Result<()> {
    peers
        .uploads()
        .redact_uploads(RedactUploadsRequest { account_id: account_id.into(), collection_id: collection_id.into() })
        .await?;
    Ok(())
}
