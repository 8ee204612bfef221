//! Imports from tools and addresses.

use portolan_api::imports::v1::sources_service_server::SourcesService;
use portolan_api::imports::v1::{
    ImportImpervaRequest, ImportImpervaResponse, ImportUrlRequest, ImportUrlResponse, ImportedCollection,
};
use portolan_authz::Caller;
use tonic::{Request, Response};

use super::{Rpc, RpcResult, json_text};
use crate::model::url::{Answer, UrlImport};
use crate::{imperva, url_import};

#[tonic::async_trait]
impl SourcesService for Rpc {
    async fn import_imperva(&self, request: Request<ImportImpervaRequest>) -> RpcResult<ImportImpervaResponse> {
        let (caller, request) = Caller::split(request)?;
        let multiple = request.generate_multiple_samples;
        let outcome = imperva::import(&self.deps, &caller, request.imperva_string, multiple).await?;
        let message = format!("Imperva schema imported successfully. Collection: {}", outcome.host);
        let collections = outcome.collections.into_iter().map(|collection| ImportedCollection {
            api_collection_id: collection.collection_id.into(),
            name: collection.name,
        });
        Ok(Response::new(ImportImpervaResponse {
            message,
            collections: collections.collect(),
            job_id: outcome.job_id.into(),
            imported_records: outcome.imported,
            skipped_records: outcome.refused,
        }))
    }

    async fn import_url(&self, request: Request<ImportUrlRequest>) -> RpcResult<ImportUrlResponse> {
        let (caller, request) = Caller::split(request)?;
        let answer = request.custom_response_body.and_then(json_text).map(|body| Answer {
            status_code: request.custom_response_status_code.unwrap_or(200),
            headers: request.custom_response_headers.into_iter().collect(),
            body,
        });
        let import = UrlImport {
            url: request.url.unwrap_or_default(),
            body: request.request_body.and_then(json_text).unwrap_or_default(),
            headers: request.custom_headers.into_iter().collect(),
            answer,
        };
        let (target, job_id) = url_import::create(&self.deps, &caller, import, request.collection_name).await?;
        Ok(Response::new(ImportUrlResponse {
            api_collection_id: target.collection_id.into(),
            collection_name: target.name,
            job_id: job_id.into(),
        }))
    }
}
