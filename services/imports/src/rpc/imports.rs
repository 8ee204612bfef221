use futures::{StreamExt as _, stream};
use portolan_api::Reason;
use portolan_api::imports::v1::imports_service_server::ImportsService;
use portolan_api::imports::v1::{
    ApproveOpenApiImportRequest, ApproveOpenApiImportResponse, CancelJobRequest, CancelJobResponse,
    CreateImportRequest, CreateImportResponse, GetJobRequest, GetJobResponse, GetOpenApiImportLogRequest,
    GetOpenApiImportLogResponse, ImportHarRequest, ImportHarResponse, ImportOpenApiRequest, ImportOpenApiResponse, Job,
    ListJobsRequest, ListJobsResponse, Refusal, UploadDetails,
};
use portolan_authz::Caller;
use tonic::{Request, Response, Streaming};

use super::{Rpc, RpcResult, collection_error, flag, log_rows, object_text};
use crate::har::{self, HarImport};
use crate::jobs::Listed;
use crate::model::jobs::format_name;
use crate::model::uploads::{ImportType, Operation, Upload, UploadStatus};
use crate::receive::{self, NewImport};
use crate::{Error, jobs, model, openapi, uploads};

#[tonic::async_trait]
impl ImportsService for Rpc {
    async fn import_open_api(&self, request: Request<ImportOpenApiRequest>) -> RpcResult<ImportOpenApiResponse> {
        let (caller, request) = Caller::split(request)?;
        let (upload_id, job) =
            openapi::import(&self.deps, &caller, request.open_api_string, request.api_collection_id.map(Into::into))
                .await?;
        let (job_id, notes) = (job.job_id.into(), job.progress.notes);
        Ok(Response::new(ImportOpenApiResponse { upload_id: upload_id.into(), job_id, notes }))
    }

    async fn get_open_api_import_log(
        &self,
        request: Request<GetOpenApiImportLogRequest>,
    ) -> RpcResult<GetOpenApiImportLogResponse> {
        let (caller, request) = Caller::split(request)?;
        let (upload, operations) =
            uploads::get(&self.deps, &caller, &request.upload_id.unwrap_or_default().into()).await?;
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
        let job_id = uploads::approve(&self.deps, &caller, &upload_id.as_str().into(), import_type, false).await?;
        Ok(Response::new(ApproveOpenApiImportResponse { upload_id, import_type: name, job_id: job_id.into() }))
    }

    async fn import_har(&self, request: Request<ImportHarRequest>) -> RpcResult<ImportHarResponse> {
        let (caller, request) = Caller::split(request)?;
        let content = object_text("content", request.content)?;
        let skip_kafka = flag("skipKafka", request.skip_kafka)?;
        let import = HarImport {
            content: request.har_string.or(request.hs_file).or(content),
            collection_id: request.api_collection_id.into(),
            collection_name: request.api_collection_name,
            wait: skip_kafka,
        };
        let outcome = har::import(&self.deps, &caller, import).await?;
        Ok(Response::new(ImportHarResponse {
            api_collection_id: outcome.collection_id.into(),
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
            collection_id: first.collection_id.map(Into::into),
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
        Ok(Response::new(CreateImportResponse { job_id: job_id.into(), upload_id: upload_id.into() }))
    }

    async fn get_job(&self, request: Request<GetJobRequest>) -> RpcResult<GetJobResponse> {
        let (caller, request) = Caller::split(request)?;
        let job = jobs::get(&self.deps, &caller, &request.job_id).await?;
        Ok(Response::new(GetJobResponse { job: Some(listed_message(job)) }))
    }

    async fn cancel_job(&self, request: Request<CancelJobRequest>) -> RpcResult<CancelJobResponse> {
        let (caller, request) = Caller::split(request)?;
        let job = jobs::cancel(&self.deps, &caller, &request.job_id).await?;
        Ok(Response::new(CancelJobResponse { job: Some(listed_message(job)) }))
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
            job_id: job.job_id.into(),
            kind: job.kind,
            state: job.state,
            collection_id: job.collection_id.map(Into::into),
            total_items: job.done_items,
            imported_items: job.done_items,
            error: job.error,
            created_at: job.created_at,
            updated_at: job.updated_at,
            ..Job::default()
        },
    }
}

fn job_message(job: model::jobs::Job) -> Job {
    let refusal = |refusal: model::jobs::Refusal| Refusal { item: refusal.item, reason: refusal.reason };
    Job {
        job_id: job.job_id.into(),
        kind: job.kind,
        state: job.state.name().to_owned(),
        format: job.format.map_or("", format_name).to_owned(),
        collection_id: job.collection_id.map(Into::into),
        collection_name: Some(job.collection_name).filter(|name| !name.is_empty()),
        total_items: job.progress.total_items,
        imported_items: job.progress.imported_items,
        refused_items: job.progress.refused_items,
        refusals: job.progress.refusals.into_iter().map(refusal).collect(),
        bytes_done: job.bytes_done,
        bytes_total: job.bytes_total,
        error: job.error,
        created_at: job.created_at,
        updated_at: job.updated_at,
        notes: job.progress.notes,
    }
}

fn details(upload: Upload, operations: &[Operation]) -> UploadDetails {
    let upload_status = upload.status.name().to_owned();
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
