//! Exports for other services.

use portolan_api::{
    Reason,
    inventory::{v1 as pb, v1::export_service_server::ExportService},
};
use portolan_authz::Caller;
use tonic::{Request, Response};

use crate::{
    access, export,
    export::Selection,
    rpc::{Answer, Rpc, after},
};

#[tonic::async_trait]
impl ExportService for Rpc {
    async fn export_open_api(&self, request: Request<pb::ExportOpenApiRequest>) -> Answer<pb::ExportOpenApiResponse> {
        let (caller, request) = Caller::split(request)?;
        let collection = access::readable(&self.deps, &caller, request.api_collection_id).await?;
        let collection = collection.ok_or_else(|| portolan_api::Error::new(Reason::CollectionNotFound))?;
        let selection = Selection {
            collection_id: request.api_collection_id,
            include_headers: true,
            after: after(request.last_fetched_url, request.last_fetched_method),
            only: request.api_info_key_list.into_iter().map(|key| (key.url, key.method.to_ascii_uppercase())).collect(),
        };
        let page = export::generate(&self.deps, &caller, selection).await?;
        let (last_fetched_url, last_fetched_method) = page.next.unzip();
        Ok(Response::new(pb::ExportOpenApiResponse {
            open_api_string: page.document,
            last_fetched_url,
            last_fetched_method,
            display_name: collection.display_name(),
        }))
    }
}
