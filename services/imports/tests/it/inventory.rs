//! A small inventory: collections by name, and an ingest that has read everything unless it is held back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use portolan_api::billing::v1 as billing;
use portolan_api::billing::v1::job_service_server::JobService as BillingJobService;
use portolan_api::billing::v1::job_service_server::JobServiceServer as BillingJobServiceServer;
use portolan_api::billing::v1::metering_service_server::{MeteringService, MeteringServiceServer};
use portolan_api::common::v1::{
    CancelJobRequest, CancelJobResponse, GetJobRequest, GetJobResponse, Job, ListJobsRequest, ListJobsResponse,
};
use portolan_api::inventory::v1::collection_service_server::{CollectionService, CollectionServiceServer};
use portolan_api::inventory::v1::ingest_service_server::{IngestService, IngestServiceServer};
use portolan_api::inventory::v1::job_service_server::{JobService, JobServiceServer};
use portolan_api::inventory::v1::specification_service_server::{SpecificationService, SpecificationServiceServer};
use portolan_api::inventory::v1::*;
use portolan_api::{Error, Reason};
use portolan_log::Log;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

#[derive(Clone)]
pub struct Inventory {
    log: Log,
    pub collections: Arc<Mutex<Vec<ImportTarget>>>,
    /// Every tag that was asked for.
    pub tags: Arc<Mutex<Vec<(String, String)>>>,
    /// Jobs of the inventory.
    pub jobs: Arc<Mutex<Vec<Job>>>,
    /// Whether the ingest stands still.
    pub held: Arc<AtomicBool>,
}

pub const PLAIN: i32 = 7;
pub const HOST: i32 = 8;
pub const GROUP: i32 = 9;
pub const DEACTIVATED: i32 = 10;

impl Inventory {
    pub fn new(log: Log) -> Self {
        let target =
            |id: i32, name: &str| ImportTarget { api_collection_id: id, name: name.to_owned(), ..Default::default() };
        let collections = vec![
            target(PLAIN, "plain"),
            ImportTarget { host_name: Some("api.example.com".to_owned()), ..target(HOST, "api.example.com") },
            ImportTarget { r#type: Some("API_GROUP".to_owned()), ..target(GROUP, "group") },
            ImportTarget { deactivated: true, ..target(DEACTIVATED, "deactivated") },
        ];
        Self {
            log,
            collections: Arc::new(Mutex::new(collections)),
            tags: Arc::default(),
            jobs: Arc::default(),
            held: Arc::default(),
        }
    }

    pub fn routes(&self) -> Routes {
        let mut routes = Routes::builder();
        routes.add_service(CollectionServiceServer::new(self.clone()));
        routes.add_service(IngestServiceServer::new(self.clone()));
        routes.add_service(SpecificationServiceServer::new(self.clone()));
        routes.add_service(JobServiceServer::new(self.clone()));
        routes.routes()
    }

    /// Billing without jobs and limits.
    pub fn billing_routes(&self) -> Routes {
        let mut routes = Routes::builder();
        routes.add_service(BillingJobServiceServer::new(self.clone()));
        routes.add_service(MeteringServiceServer::new(self.clone()));
        routes.routes()
    }

    pub fn names(&self) -> Vec<String> {
        self.collections.lock().unwrap().iter().map(|collection| collection.name.clone()).collect()
    }

    fn ensure(&self, request: EnsureImportTargetRequest) -> Result<Option<ImportTarget>, Status> {
        self.tags.lock().unwrap().extend(request.tags);
        let mut collections = self.collections.lock().unwrap();
        let Some(mut name) = request.collection_name else {
            let id = request.api_collection_id.unwrap_or(-1);
            return Ok(collections.iter().find(|collection| collection.api_collection_id == id).cloned());
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._ ".contains(c);
        if request.clean_name {
            name = name.chars().map(|c| if allowed(c) { c } else { '-' }).take(60).collect();
        } else if !name.chars().all(allowed) {
            return Err(Error::new(Reason::CollectionNameCharacters).into());
        }
        if let Some(found) = collections.iter().find(|collection| collection.name == name) {
            return Ok(Some(found.clone()));
        }
        let id = collections.iter().map(|collection| collection.api_collection_id).max().unwrap_or(0) + 1;
        collections.push(ImportTarget { api_collection_id: id, name, ..Default::default() });
        Ok(collections.last().cloned())
    }

    async fn positions(&self) -> Result<GetIngestPositionsResponse, Status> {
        if self.held.load(Ordering::Relaxed) {
            return Ok(GetIngestPositionsResponse::default());
        }
        let ends = self.log.end_offsets().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let next_offsets = ends.into_iter().map(|(partition, offset)| (i32::try_from(partition).unwrap(), offset));
        Ok(GetIngestPositionsResponse { next_offsets: next_offsets.collect() })
    }
}

#[tonic::async_trait]
impl JobService for Inventory {
    async fn get_job(&self, request: Request<GetJobRequest>) -> Result<Response<GetJobResponse>, Status> {
        let request = request.into_inner();
        let job = self.jobs.lock().unwrap().iter().find(|job| job.job_id == request.job_id).cloned();
        Ok(Response::new(GetJobResponse { job }))
    }

    async fn list_jobs(&self, request: Request<ListJobsRequest>) -> Result<Response<ListJobsResponse>, Status> {
        let request = request.into_inner();
        let before = (request.before_created_at, request.before_job_id);
        let is_next = |job: &&Job| before.0 == 0 || (job.created_at, &job.job_id) < (before.0, &before.1);
        let mut jobs: Vec<_> = self.jobs.lock().unwrap().iter().filter(is_next).cloned().collect();
        jobs.sort_by(|a, b| (b.created_at, &b.job_id).cmp(&(a.created_at, &a.job_id)));
        jobs.truncate(usize::try_from(request.page_size).unwrap());
        Ok(Response::new(ListJobsResponse { jobs }))
    }
}

#[tonic::async_trait]
impl MeteringService for Inventory {
    async fn check_limit(
        &self,
        _: Request<billing::CheckLimitRequest>,
    ) -> Result<Response<billing::CheckLimitResponse>, Status> {
        let verdict = billing::check_limit_response::Verdict::Allowed.into();
        Ok(Response::new(billing::CheckLimitResponse { verdict, room: -1 }))
    }

    async fn record_usage_events(
        &self,
        _: Request<billing::RecordUsageEventsRequest>,
    ) -> Result<Response<billing::RecordUsageEventsResponse>, Status> {
        Err(Status::unimplemented("imports record no events"))
    }

    async fn report_counts(
        &self,
        _: Request<billing::ReportCountsRequest>,
    ) -> Result<Response<billing::ReportCountsResponse>, Status> {
        Err(Status::unimplemented("imports report no counts"))
    }

    async fn get_entitlements(
        &self,
        _: Request<billing::GetEntitlementsRequest>,
    ) -> Result<Response<billing::GetEntitlementsResponse>, Status> {
        Err(Status::unimplemented("imports ask for no plan"))
    }
}

#[tonic::async_trait]
impl BillingJobService for Inventory {
    async fn cancel_job(&self, _: Request<CancelJobRequest>) -> Result<Response<CancelJobResponse>, Status> {
        Ok(Response::new(CancelJobResponse::default()))
    }

    async fn get_job(&self, _: Request<GetJobRequest>) -> Result<Response<GetJobResponse>, Status> {
        Ok(Response::new(GetJobResponse::default()))
    }

    async fn list_jobs(&self, _: Request<ListJobsRequest>) -> Result<Response<ListJobsResponse>, Status> {
        Ok(Response::new(ListJobsResponse::default()))
    }
}

/// An RPC service of the inventory that answers what stands in the block, and nothing else.
macro_rules! inventory {
    ($service:ident { $($served:item)* } $($name:ident: $request:ident => $response:ident,)*) => {
        #[tonic::async_trait]
        impl $service for Inventory {
            $($served)*
            $(async fn $name(&self, _: Request<$request>) -> Result<Response<$response>, Status> {
                Err(Status::unimplemented("imports do not call this"))
            })*
        }
    };
}

inventory! {
    SpecificationService {
        /// Two endpoints, one a page.
        async fn export_open_api(
            &self,
            request: Request<ExportOpenApiRequest>,
        ) -> Result<Response<ExportOpenApiResponse>, Status> {
            let second = request.into_inner().last_fetched_url.is_some();
            let path = if second { "/b" } else { "/a" };
            Ok(Response::new(ExportOpenApiResponse {
                open_api_string: format!(r#"{{"openapi": "3.0.1", "paths": {{"{path}": {{"get": {{}}}}}}}}"#),
                last_fetched_url: (!second).then(|| "/a".to_owned()),
                last_fetched_method: (!second).then(|| "GET".to_owned()),
                display_name: "Shop".to_owned(),
            }))
        }
    }
    get_drift: GetDriftRequest => Drift,
    list_declared_methods: ListDeclaredMethodsRequest => ListDeclaredMethodsResponse,
    get_open_api_schema: GetOpenApiSchemaRequest => GetOpenApiSchemaResponse,
    generate_open_api_file: GenerateOpenApiFileRequest => GenerateOpenApiFileResponse,
}

inventory! {
    IngestService {
        async fn get_ingest_positions(
            &self,
            _: Request<GetIngestPositionsRequest>,
        ) -> Result<Response<GetIngestPositionsResponse>, Status> {
            Ok(Response::new(self.positions().await?))
        }
    }
    list_rejected_records: ListRejectedRecordsRequest => ListRejectedRecordsResponse,
    replay_rejected_record: ReplayRejectedRecordRequest => ReplayRejectedRecordResponse,
    recount_usage: RecountUsageRequest => RecountUsageResponse,
    reserve_endpoints: ReserveEndpointsRequest => ReserveEndpointsResponse,
    settle_reservation: SettleReservationRequest => SettleReservationResponse,
}

inventory! {
    CollectionService {
        async fn ensure_import_target(
            &self,
            request: Request<EnsureImportTargetRequest>,
        ) -> Result<Response<EnsureImportTargetResponse>, Status> {
            Ok(Response::new(EnsureImportTargetResponse { target: self.ensure(request.into_inner())? }))
        }
    }
    create_collection: CreateCollectionRequest => CreateCollectionResponse,
    list_collections: ListCollectionsRequest => ListCollectionsResponse,
    list_basic_collections: ListBasicCollectionsRequest => ListBasicCollectionsResponse,
    get_collection: GetCollectionRequest => GetCollectionResponse,
    name_collections: NameCollectionsRequest => NameCollectionsResponse,
    list_collections_of_hosts: ListCollectionsOfHostsRequest => ListCollectionsOfHostsResponse,
    update_collection_description: UpdateCollectionDescriptionRequest => UpdateCollectionDescriptionResponse,
    rename_collection: RenameCollectionRequest => RenameCollectionResponse,
    update_collection_tags: UpdateCollectionTagsRequest => UpdateCollectionTagsResponse,
    toggle_test_scope: ToggleTestScopeRequest => ToggleTestScopeResponse,
    deactivate_collections: DeactivateCollectionsRequest => DeactivateCollectionsResponse,
    activate_collections: ActivateCollectionsRequest => ActivateCollectionsResponse,
    redact_collection: RedactCollectionRequest => RedactCollectionResponse,
    delete_collection: DeleteCollectionRequest => DeleteCollectionResponse,
    delete_collections: DeleteCollectionsRequest => DeleteCollectionsResponse,
}
