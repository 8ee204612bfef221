//! What imports ask other services: the one place here that speaks their messages.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use portolan_api::{
    Error, Feature, Reason, Result,
    common::v1::{self as common, Notice, NoticeLine},
    identity::v1 as identity,
    inventory::v1::{
        self as inventory, EndpointCandidate, EndpointKey, EnsureImportTargetRequest, ExportOpenApiRequest,
        GetCollectionRequest, GetIngestPositionsRequest, ImportTarget, NameCollectionsRequest, ReserveEndpointsRequest,
        SettleReservationRequest, specification_service_client::SpecificationServiceClient,
    },
    tokens::v1 as tokens,
};
use portolan_authz::Caller;
use portolan_ids::{AccountId, CollectionId, JobId};
use portolan_log::Positions;
use portolan_runtime::Peers;

use crate::model::{
    candidates::Candidate,
    jobs::{Announcement, JobOwner, OtherJob},
    targets::{Target, Wanted},
};

/// Largest page of an export, in bytes.
const EXPORT_BYTES_MAX: usize = 512 << 20;

/// The wanted collection, with the rights of the caller; `None` when no collection of the account has the id.
///
/// # Errors
/// Those of the inventory.
pub async fn ensure_target(
    peers: &Peers,
    caller: &Caller,
    wanted: Wanted<'_>,
    tags: HashMap<String, String>,
) -> Result<Option<Target>> {
    let request = EnsureImportTargetRequest { tags, ..Default::default() };
    let request = match wanted {
        Wanted::Id(id) => EnsureImportTargetRequest { api_collection_id: Some(id), ..request },
        Wanted::Named(name) => EnsureImportTargetRequest { collection_name: Some(name.to_owned()), ..request },
        Wanted::Titled(name) => {
            EnsureImportTargetRequest { collection_name: Some(name.to_owned()), clean_name: true, ..request }
        }
    };
    let answer = peers.collections_as(caller).ensure_import_target(request).await?;
    Ok(answer.into_inner().target.map(target))
}

/// Those of the collections that exist in an account.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn existing_collections(
    peers: &Peers,
    account_id: AccountId,
    ids: &BTreeSet<CollectionId>,
) -> Result<BTreeSet<CollectionId>> {
    let request = NameCollectionsRequest {
        account_id: account_id.into(),
        ids: ids.iter().map(|id| i64::from(id.get())).collect(),
    };
    let named = peers.collections().name_collections(request).await?.into_inner().collections;
    Ok(named.into_iter().filter_map(|named| i32::try_from(named.id).ok()).map(CollectionId).collect())
}

/// The names of the product scopes that a collection belongs to; none of one that does not exist.
async fn scopes_of(peers: &Peers, account_id: AccountId, id: CollectionId) -> Result<Vec<String>> {
    let request = NameCollectionsRequest { account_id: account_id.into(), ids: vec![id.get().into()] };
    let named = peers.collections().name_collections(request).await?.into_inner().collections;
    Ok(named.into_iter().flat_map(|named| named.scopes).collect())
}

/// Whether the caller sees a collection, in the scope that they named.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn sees_collection(peers: &Peers, caller: &Caller, id: CollectionId) -> Result<bool> {
    let request = GetCollectionRequest { api_collection_id: id.get() };
    match peers.collections_as(caller).get_collection(request).await {
        Ok(answer) => Ok(!answer.into_inner().api_collections.is_empty()),
        Err(status) => match Error::from_status(&status) {
            error if error.reason() == Reason::Unavailable || error.reason() == Reason::Internal => Err(error),
            error => Ok(error.reason() == Reason::CollectionDeactivated),
        },
    }
}

fn target(target: ImportTarget) -> Target {
    Target {
        collection_id: target.api_collection_id.into(),
        name: target.name,
        is_host: target.host_name.is_some_and(|host| !host.is_empty()),
        is_group: target.r#type.as_deref() == Some("API_GROUP"),
        deactivated: target.deactivated,
    }
}

/// The offset of each partition below which the inventory has read the records of an account: once the awaited ones are
/// reached, or when the time has passed.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn ingest_positions(
    peers: &Peers,
    account_id: AccountId,
    awaited: &Positions,
    wait: Duration,
) -> Result<HashMap<i32, i64>> {
    let awaited = awaited.iter().filter_map(|(partition, offset)| Some((i32::try_from(*partition).ok()?, *offset)));
    let request = GetIngestPositionsRequest {
        account_id: account_id.into(),
        awaited_offsets: awaited.collect(),
        wait_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
    };
    Ok(peers.ingest().get_ingest_positions(request).await?.into_inner().next_offsets)
}

/// Reserves room for endpoints under an id.
///
/// # Errors
/// `FEATURE_LIMIT_EXCEEDED`, `FEATURE_NOT_IN_PLAN`, `UNAVAILABLE`.
pub async fn reserve_endpoints(
    peers: &Peers,
    account_id: AccountId,
    reservation_id: &str,
    candidates: Vec<Candidate>,
) -> Result<()> {
    let candidates = candidates.into_iter().map(|candidate| {
        let Candidate { collection_id, method, url, pinned, proven, body_names } = candidate;
        EndpointCandidate { collection_id: collection_id.into(), method, url, pinned, proven, body_names }
    });
    let reservation_id = reservation_id.to_owned();
    let request =
        ReserveEndpointsRequest { account_id: account_id.into(), reservation_id, candidates: candidates.collect() };
    peers.ingest().reserve_endpoints(request).await?;
    Ok(())
}

/// Says where the records of a reservation stand in the log.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn settle_reservation(peers: &Peers, reservation_id: String, positions: &Positions) -> Result<()> {
    let next_offsets =
        positions.iter().filter_map(|(partition, offset)| Some((i32::try_from(*partition).ok()?, *offset)));
    let request = SettleReservationRequest { reservation_id, next_offsets: next_offsets.collect() };
    peers.ingest().settle_reservation(request).await?;
    Ok(())
}

/// A job of the inventory or billing.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn find_job(peers: &Peers, account_id: AccountId, job_id: &JobId) -> Result<Option<OtherJob>> {
    let request = common::GetJobRequest { account_id: account_id.into(), job_id: job_id.as_str().to_owned() };
    let found = peers.inventory_jobs().get_job(request.clone()).await?.into_inner().job;
    if let Some(found) = found {
        return Ok(Some(other_job(JobOwner::Inventory, found)));
    }
    let found = peers.billing_jobs().get_job(request).await?.into_inner().job;
    Ok(found.map(|found| other_job(JobOwner::Billing, found)))
}

/// The newest jobs of the inventory and billing before a time and id.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn list_jobs(
    peers: &Peers,
    account_id: AccountId,
    page_size: i32,
    before: Option<&(i64, JobId)>,
) -> Result<Vec<OtherJob>> {
    let (before_created_at, before_job_id) = before.cloned().unwrap_or_default();
    let request = common::ListJobsRequest {
        account_id: account_id.into(),
        page_size,
        before_created_at,
        before_job_id: before_job_id.into(),
    };
    let inventory = peers.inventory_jobs().list_jobs(request.clone()).await?.into_inner().jobs;
    let billing = peers.billing_jobs().list_jobs(request).await?.into_inner().jobs;
    let inventory = inventory.into_iter().map(|job| other_job(JobOwner::Inventory, job));
    Ok(inventory.chain(billing.into_iter().map(|job| other_job(JobOwner::Billing, job))).collect())
}

/// Ends a job of billing that is not over; the job when it was not.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn cancel_job(
    peers: &Peers,
    account_id: AccountId,
    job_id: &JobId,
    reason: &str,
) -> Result<Option<OtherJob>> {
    let request = common::CancelJobRequest {
        account_id: account_id.into(),
        job_id: job_id.as_str().to_owned(),
        reason: reason.to_owned(),
    };
    let cancelled = peers.billing_jobs().cancel_job(request).await?.into_inner().job;
    Ok(cancelled.map(|job| other_job(JobOwner::Billing, job)))
}

fn other_job(owner: JobOwner, job: common::Job) -> OtherJob {
    OtherJob {
        owner,
        job_id: job.job_id.into(),
        kind: job.kind,
        state: job.state,
        collection_id: job.collection_id.map(Into::into),
        done_items: job.done_items,
        error: job.error,
        created_at: job.created_at,
        updated_at: job.updated_at,
    }
}

/// Endpoints of a collection as an OpenAPI document, a page a call.
pub struct Export<'p> {
    peers: &'p Peers,
    caller: &'p Caller,
    request: ExportOpenApiRequest,
}

/// A page of an export.
pub struct ExportPage {
    /// Under which the collection is listed.
    pub name: String,
    /// JSON text.
    pub document: String,
    pub is_last: bool,
}

impl<'p> Export<'p> {
    /// The endpoints of `only`, each an address and a method; all of the collection when it is empty.
    pub fn new(peers: &'p Peers, caller: &'p Caller, collection_id: CollectionId, only: Vec<(String, String)>) -> Self {
        let key = |(url, method)| EndpointKey { api_collection_id: collection_id.into(), url, method };
        let request = ExportOpenApiRequest {
            api_collection_id: collection_id.into(),
            api_info_key_list: only.into_iter().map(key).collect(),
            ..ExportOpenApiRequest::default()
        };
        Self { peers, caller, request }
    }

    /// The next page, with the rights of the caller.
    ///
    /// # Errors
    /// Those of the collection.
    pub async fn page(&mut self) -> Result<ExportPage> {
        let channel = self.peers.inventory.clone();
        let mut client =
            SpecificationServiceClient::with_interceptor(channel, self.peers.as_caller("inventory", self.caller))
                .max_decoding_message_size(EXPORT_BYTES_MAX);
        let page: inventory::ExportOpenApiResponse = client.export_open_api(self.request.clone()).await?.into_inner();
        let is_last = page.last_fetched_url.is_none();
        (self.request.last_fetched_url, self.request.last_fetched_method) =
            (page.last_fetched_url, page.last_fetched_method);
        Ok(ExportPage { name: page.display_name, document: page.open_api_string, is_last })
    }
}

/// Tells an account of a job. Whoever does not hear of it is told in the log.
pub async fn announce(peers: &Peers, announcement: Announcement) {
    let Announcement { account_id, user_id, job_id, title, text, collection_id } = announcement;
    let scopes = match collection_id {
        Some(id) => match scopes_of(peers, account_id, id).await {
            Ok(scopes) => scopes,
            Err(error) => {
                tracing::warn!(job_id = job_id.as_str(), %error, "nobody was told of the end of an import");
                return;
            }
        },
        None => Vec::new(),
    };
    let notice = Some(Notice {
        account_id: account_id.into(),
        title,
        lines: vec![NoticeLine { text, api_collection_id: collection_id.map(Into::into), scopes }],
        url: format!("/v1/jobs/{job_id}"),
        feature: Feature::ApiCollections.into(),
        user_id: user_id.into(),
    });
    let push = identity::NotifyAccountRequest { notice: notice.clone(), message_id: job_id.to_string() };
    if let Err(status) = peers.notifications().notify_account(push).await {
        tracing::warn!(job_id = job_id.as_str(), %status, "no browser was told of the end of an import");
    }
    let message = tokens::NotifyAccountRequest { notice, message_id: job_id.to_string() };
    if let Err(status) = peers.api_keys().notify_account(message).await {
        tracing::warn!(job_id = job_id.as_str(), %status, "no Slack webhook was told of the end of an import");
    }
}
