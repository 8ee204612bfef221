//! The RPCs of the package: split the request, call the domain, wrap the answer.

mod postman;
mod sources;
mod uploads;

use futures::{StreamExt as _, stream};
use portolan_api::Reason;
use portolan_api::imports::v1::imports_service_server::{ImportsService, ImportsServiceServer};
use portolan_api::imports::v1::postman_service_server::PostmanServiceServer;
use portolan_api::imports::v1::sources_service_server::SourcesServiceServer;
use portolan_api::imports::v1::uploads_service_server::UploadsServiceServer;
use portolan_api::imports::v1::{
    ApproveOpenApiImportRequest, ApproveOpenApiImportResponse, CreateImportRequest, CreateImportResponse,
    GetJobRequest, GetJobResponse, GetOpenApiImportLogRequest, GetOpenApiImportLogResponse, ImportHarRequest,
    ImportHarResponse, ImportOpenApiRequest, ImportOpenApiResponse, Job, ListJobsRequest, ListJobsResponse, LogRow,
    Refusal, UploadDetails,
};
use portolan_api::options::BODY_BYTES_MAX;
use portolan_authz::Caller;
use portolan_formats::openapi::{ErrorType, ImportError};
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use crate::har::{self, HarImport};
use crate::jobs::Listed;
use crate::receive::{self, NewImport};
use crate::uploads::{ImportType, Operation, Upload, UploadStatus};
use crate::{Deps, Error, jobs, openapi, store};

/// Room for the other members and the frame beside a body of the largest size.
const MESSAGE_BYTES_MAX: usize = BODY_BYTES_MAX + 1024 * 1024;

/// The services of the package.
pub fn routes(deps: Deps) -> Routes {
    let mut routes = Routes::builder();
    macro_rules! add {
        ($server:expr) => {
            routes.add_service(
                $server.max_decoding_message_size(MESSAGE_BYTES_MAX).max_encoding_message_size(MESSAGE_BYTES_MAX),
            );
        };
    }
    add!(ImportsServiceServer::new(Imports { deps: deps.clone() }));
    add!(PostmanServiceServer::new(postman::Postman { deps: deps.clone() }));
    add!(SourcesServiceServer::new(sources::Sources { deps: deps.clone() }));
    add!(UploadsServiceServer::new(uploads::Uploads { deps }));
    routes.routes()
}

pub struct Imports {
    deps: Deps,
}

type RpcResult<T> = Result<Response<T>, Status>;

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        error.into_public().into()
    }
}

#[tonic::async_trait]
impl ImportsService for Imports {
    async fn import_open_api(&self, request: Request<ImportOpenApiRequest>) -> RpcResult<ImportOpenApiResponse> {
        let (caller, request) = Caller::split(request)?;
        let (upload_id, job_id) =
            openapi::import(&self.deps, &caller, request.open_api_string, request.api_collection_id).await?;
        Ok(Response::new(ImportOpenApiResponse { upload_id, job_id }))
    }

    async fn get_open_api_import_log(
        &self,
        request: Request<GetOpenApiImportLogRequest>,
    ) -> RpcResult<GetOpenApiImportLogResponse> {
        let (caller, request) = Caller::split(request)?;
        let (upload, operations) =
            crate::uploads::get(&self.deps, &caller, &request.upload_id.unwrap_or_default()).await?;
        Ok(Response::new(GetOpenApiImportLogResponse { upload_details: Some(details(upload, &operations)) }))
    }

    async fn approve_open_api_import(
        &self,
        request: Request<ApproveOpenApiImportRequest>,
    ) -> RpcResult<ApproveOpenApiImportResponse> {
        let (caller, request) = Caller::split(request)?;
        let invalid = || portolan_api::Error::new(Reason::ImportTypeInvalid);
        let (upload_id, name) = request.upload_id.zip(request.import_type).ok_or_else(invalid)?;
        let import_type = ImportType::parse(&name).ok_or_else(invalid)?;
        let job_id = crate::uploads::approve(&self.deps, &caller, &upload_id, import_type, false).await?;
        Ok(Response::new(ApproveOpenApiImportResponse { upload_id, import_type: name, job_id }))
    }

    async fn import_har(&self, request: Request<ImportHarRequest>) -> RpcResult<ImportHarResponse> {
        let (caller, request) = Caller::split(request)?;
        let content = request.content.and_then(json_text);
        let skip_kafka = request.skip_kafka.and_then(json_text).is_some_and(|flag| flag.eq_ignore_ascii_case("true"));
        let import = HarImport {
            content: request.har_string.or(request.hs_file).or(content),
            collection_id: request.api_collection_id,
            collection_name: request.api_collection_name,
            wait: skip_kafka,
        };
        let outcome = har::import(&self.deps, &caller, import).await?;
        Ok(Response::new(ImportHarResponse {
            api_collection_id: outcome.collection_id,
            har_errors: outcome.errors,
            skip_kafka,
            imported_records: outcome.imported,
            skipped_records: outcome.skipped,
        }))
    }

    async fn create_import(&self, request: Request<Streaming<CreateImportRequest>>) -> RpcResult<CreateImportResponse> {
        let (caller, mut messages) = Caller::split(request)?;
        let first = messages.message().await?.unwrap_or_default();
        let import = NewImport {
            collection_id: first.collection_id,
            collection_name: first.collection_name,
            content_encoding: first.content_encoding,
            file_name: first.file_name,
        };
        let rest = messages.map(|message| match message {
            Ok(message) => Ok(message.content),
            Err(status) => Err(Error::Refused(status.into())),
        });
        let pieces = stream::once(async move { Ok(first.content) }).chain(rest);
        let (job_id, upload_id) = receive::create(&self.deps, &caller, import, pieces).await?;
        Ok(Response::new(CreateImportResponse { job_id, upload_id }))
    }

    async fn get_job(&self, request: Request<GetJobRequest>) -> RpcResult<GetJobResponse> {
        let (caller, request) = Caller::split(request)?;
        let job = jobs::get(&self.deps, &caller, &request.job_id).await?;
        Ok(Response::new(GetJobResponse { job: Some(listed_message(job)) }))
    }

    async fn list_jobs(&self, request: Request<ListJobsRequest>) -> RpcResult<ListJobsResponse> {
        let (caller, request) = Caller::split(request)?;
        let (jobs, next_page_token) = jobs::list(&self.deps, &caller, request.page_size, &request.page_token).await?;
        Ok(Response::new(ListJobsResponse { jobs: jobs.into_iter().map(listed_message).collect(), next_page_token }))
    }
}

fn listed_message(job: Listed) -> Job {
    match job {
        Listed::Own(job) => job_message(*job),
        Listed::Other(job) => Job {
            job_id: job.job_id,
            kind: job.kind,
            state: job.state,
            collection_id: job.collection_id,
            total_items: job.done_items,
            imported_items: job.done_items,
            error: job.error,
            created_at: job.created_at,
            updated_at: job.updated_at,
            ..Job::default()
        },
    }
}

fn job_message(job: jobs::Job) -> Job {
    let refusal = |refusal: jobs::Refusal| Refusal { item: refusal.item, reason: refusal.reason };
    Job {
        job_id: job.job_id,
        kind: job.kind.name().to_owned(),
        state: store::jobs::state_name(job.state).to_owned(),
        format: job.format.map_or("", store::jobs::format_name).to_owned(),
        collection_id: job.collection_id,
        collection_name: Some(job.collection_name).filter(|name| !name.is_empty()),
        total_items: job.progress.total_items,
        imported_items: job.progress.imported_items,
        refused_items: job.progress.refused_items,
        refusals: job.progress.refusals.into_iter().map(refusal).collect(),
        bytes_done: job.progress.bytes_done,
        bytes_total: job.bytes_total,
        error: job.error,
        created_at: job.created_at,
        updated_at: job.updated_at,
    }
}

/// The text of a member that may be any JSON value: that of a string, else the value as written; `None` for null.
fn json_text(json: String) -> Option<String> {
    match json.trim_start().as_bytes().first() {
        Some(b'"') => serde_json::from_str(&json).ok(),
        _ if json.trim() == "null" => None,
        _ => Some(json),
    }
}

fn details(upload: Upload, operations: &[Operation]) -> UploadDetails {
    let upload_status = store::uploads::status_name(upload.status).to_owned();
    if upload.status != UploadStatus::Succeeded {
        return UploadDetails { upload_status, fatal_error: upload.fatal_error, ..Default::default() };
    }
    let logs = operations.iter().map(|operation| (operation.label(), operation.error_text()));
    let logs = log_rows("Url", logs);
    UploadDetails {
        upload_status,
        fatal_error: None,
        collection_errors: upload.errors.into_iter().map(collection_error).collect(),
        logs,
        apis_with_errors_and_parsed: upload.parsed_with_errors,
        apis_with_errors_and_cannot_be_imported: upload.refused,
        correctly_parsed_apis: upload.clean,
        total_count: upload.total,
    }
}

/// Rows under a header row; nothing when there is no row.
fn log_rows(term: &str, rows: impl Iterator<Item = (String, String)>) -> Vec<LogRow> {
    let rows: Vec<_> = rows.map(|(term, description)| LogRow { term, description }).collect();
    let header = LogRow { term: term.to_owned(), description: "Errors".to_owned() };
    if rows.is_empty() { rows } else { std::iter::once(header).chain(rows).collect() }
}

fn collection_error(error: ImportError) -> portolan_api::imports::v1::ImportError {
    let error_type = match error.error_type {
        ErrorType::Warning => "WARNING",
        ErrorType::Error => "ERROR",
    };
    portolan_api::imports::v1::ImportError { error: error.error, error_type: error_type.to_owned() }
}
