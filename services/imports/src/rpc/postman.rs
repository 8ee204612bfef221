use portolan_api::Reason;
use portolan_api::imports::v1::postman_service_server::PostmanService;
use portolan_api::imports::v1::{self as pb, PostmanUploadDetails, PostmanUploadLog};
use portolan_authz::Caller;
use tonic::{Request, Response};

use super::{Rpc, RpcResult, collection_error, log_rows};
use crate::model::uploads::{ImportType, PostmanLog, UploadStatus};
use crate::postman::api::{Client, PATIENCE_OF_REQUEST};
use crate::postman::{credentials, export, file, specification, workspace};
use crate::{Error, uploads};

#[tonic::async_trait]
impl PostmanService for Rpc {
    async fn save_postman_credential(
        &self,
        request: Request<pb::SavePostmanCredentialRequest>,
    ) -> RpcResult<pb::SavePostmanCredentialResponse> {
        let (caller, request) = Caller::split(request)?;
        credentials::save(&self.deps, &caller, request.api_key, request.workspace_id).await?;
        Ok(Response::new(pb::SavePostmanCredentialResponse {}))
    }

    async fn get_postman_credential(
        &self,
        request: Request<pb::GetPostmanCredentialRequest>,
    ) -> RpcResult<pb::GetPostmanCredentialResponse> {
        let (caller, _) = Caller::split(request)?;
        let found = credentials::find(&self.deps, caller.account_id).await?;
        let postman_cred = found.map(|credential| pb::PostmanCredential {
            api_key: credential.masked_key(),
            workspace_id: credential.workspace_id.into(),
        });
        Ok(Response::new(pb::GetPostmanCredentialResponse { postman_cred }))
    }

    async fn list_postman_workspaces(
        &self,
        request: Request<pb::ListPostmanWorkspacesRequest>,
    ) -> RpcResult<pb::ListPostmanWorkspacesResponse> {
        let (_, request) = Caller::split(request)?;
        let key = request.api_key.unwrap_or_default();
        let workspaces = match key.trim() {
            "" => Vec::new(),
            key => {
                let client = Client::new(&self.deps, key, PATIENCE_OF_REQUEST, None);
                client.workspaces().await.map_err(Error::from)?
            }
        };
        let workspaces = workspaces.into_iter().map(|found| pb::PostmanWorkspace {
            id: found.id,
            name: found.name,
            r#type: found.kind,
        });
        Ok(Response::new(pb::ListPostmanWorkspacesResponse { workspaces: workspaces.collect() }))
    }

    async fn list_postman_collections(
        &self,
        request: Request<pb::ListPostmanCollectionsRequest>,
    ) -> RpcResult<pb::ListPostmanCollectionsResponse> {
        let (caller, _) = Caller::split(request)?;
        let credential = credentials::get(&self.deps, caller.account_id).await?;
        let client = Client::new(&self.deps, &credential.api_key, PATIENCE_OF_REQUEST, None);
        let found = client.collections().await.map_err(Error::from)?;
        let collections = found.into_iter().map(|found| pb::PostmanCollectionName { uid: found.id, name: found.name });
        Ok(Response::new(pb::ListPostmanCollectionsResponse { collections: collections.collect() }))
    }

    async fn import_postman_workspace(
        &self,
        request: Request<pb::ImportPostmanWorkspaceRequest>,
    ) -> RpcResult<pb::ImportPostmanWorkspaceResponse> {
        let (caller, request) = Caller::split(request)?;
        let (upload_id, job_id) = workspace::create(&self.deps, &caller, request.api_key, request.workspace_id).await?;
        Ok(Response::new(pb::ImportPostmanWorkspaceResponse { upload_id: upload_id.into(), job_id: job_id.into() }))
    }

    async fn import_postman_file(
        &self,
        request: Request<pb::ImportPostmanFileRequest>,
    ) -> RpcResult<pb::ImportPostmanFileResponse> {
        let (caller, request) = Caller::split(request)?;
        let (upload_id, job) = file::import(&self.deps, &caller, request.postman_collection_file).await?;
        let (job_id, notes) = (job.job_id.into(), job.progress.notes);
        Ok(Response::new(pb::ImportPostmanFileResponse { upload_id: upload_id.into(), job_id, notes }))
    }

    async fn get_postman_import_log(
        &self,
        request: Request<pb::GetPostmanImportLogRequest>,
    ) -> RpcResult<pb::GetPostmanImportLogResponse> {
        let (caller, request) = Caller::split(request)?;
        let log = uploads::postman_log(&self.deps, &caller, request.upload_id.map(Into::into)).await?;
        Ok(Response::new(log_message(log)))
    }

    async fn approve_postman_import(
        &self,
        request: Request<pb::ApprovePostmanImportRequest>,
    ) -> RpcResult<pb::ApprovePostmanImportResponse> {
        let (caller, request) = Caller::split(request)?;
        let invalid = || portolan_api::Error::new(Reason::ImportTypeInvalid);
        let (upload_id, name) = request.upload_id.zip(request.import_type).ok_or_else(invalid)?;
        let import_type = ImportType::parse(&name).ok_or_else(invalid)?;
        let job_id = uploads::approve(&self.deps, &caller, &upload_id.as_str().into(), import_type, true).await?;
        Ok(Response::new(pb::ApprovePostmanImportResponse { upload_id, import_type: name, job_id: job_id.into() }))
    }

    async fn delete_postman_import_log(
        &self,
        request: Request<pb::DeletePostmanImportLogRequest>,
    ) -> RpcResult<pb::DeletePostmanImportLogResponse> {
        let (caller, request) = Caller::split(request)?;
        uploads::delete(&self.deps, &caller, request.upload_id.map(Into::into)).await?;
        Ok(Response::new(pb::DeletePostmanImportLogResponse {}))
    }

    async fn save_postman_collection(
        &self,
        request: Request<pb::SavePostmanCollectionRequest>,
    ) -> RpcResult<pb::SavePostmanCollectionResponse> {
        let (caller, request) = Caller::split(request)?;
        let (id, collection_id) = (request.postman_collection_id, request.api_collection_id);
        specification::save(&self.deps, &caller, id, collection_id.into()).await?;
        Ok(Response::new(pb::SavePostmanCollectionResponse {}))
    }

    async fn export_to_postman(
        &self,
        request: Request<pb::ExportToPostmanRequest>,
    ) -> RpcResult<pb::ExportToPostmanResponse> {
        let (caller, request) = Caller::split(request)?;
        let only = request.api_info_key_list.into_iter().map(|key| (key.url, key.method)).collect();
        let job_id = export::create(&self.deps, &caller, request.api_collection_id.into(), only).await?;
        Ok(Response::new(pb::ExportToPostmanResponse { job_id: job_id.into() }))
    }
}

fn log_message(log: PostmanLog) -> pb::GetPostmanImportLogResponse {
    let PostmanLog { upload, groups, with_errors, first } = log;
    let upload_status = upload.status.name().to_owned();
    let upload_id = String::from(upload.upload_id);
    let mut details = PostmanUploadDetails {
        upload_status: upload_status.clone(),
        upload_id: upload_id.clone(),
        fatal_error: upload.fatal_error,
        ..PostmanUploadDetails::default()
    };
    if upload.status == UploadStatus::Succeeded {
        let broken = groups.iter().filter(|group| !group.errors.is_empty()).map(|group| {
            let errors: Vec<_> = group.errors.iter().map(|error| error.error.as_str()).collect();
            (group.name.clone(), errors.join(", "))
        });
        details.collection_errors = log_rows("Collection name", broken);
        details.logs = log_rows("Url", with_errors.iter().map(|operation| (operation.label(), operation.error_text())));
        details.error_count = with_errors.len().try_into().unwrap_or(i64::MAX);
        details.total_count = upload.total;
        details.correctly_parsed_apis = upload.clean;
        details.apis_with_errors_and_parsed = upload.parsed_with_errors;
        details.apis_with_errors_and_cannot_be_imported = upload.refused;
    }
    let logs = first.into_iter().enumerate().map(|(position, operation)| PostmanUploadLog {
        id: format!("{upload_id}-{position}"),
        upload_id: upload_id.clone(),
        url: operation.url,
        method: operation.method,
        akto_format: operation.record,
        errors: operation.errors.into_iter().map(collection_error).collect(),
        postman_workspace_id: upload.workspace_id.to_string(),
        postman_collection_id: operation.group_id,
    });
    let postman_upload_logs = logs.collect();
    pb::GetPostmanImportLogResponse { upload_details: Some(details), postman_upload_logs, upload_status }
}
