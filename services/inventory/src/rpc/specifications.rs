//! Specifications: drift, and documents of what is known.

use portolan_api::{
    Reason,
    inventory::{v1 as pb, v1::specification_service_server::SpecificationService},
};
use portolan_authz::Caller;
use tonic::{Request, Response};

use crate::{
    access, drift, export,
    export::{Selection, generate},
    model::drift::{DriftOperation, SpecificationDiff},
    rpc::{Answer, Rpc, convert},
};

#[tonic::async_trait]
impl SpecificationService for Rpc {
    async fn get_drift(&self, request: Request<pb::GetDriftRequest>) -> Answer<pb::Drift> {
        let (caller, request) = Caller::split(request)?;
        let found = drift::get(&self.deps, &caller, request.collection_id.into()).await?;
        Ok(Response::new(pb::Drift {
            collection_id: request.collection_id,
            documented: found.documented,
            shadow: found.shadow.into_iter().map(operation).collect(),
            orphan: found.orphan.into_iter().map(operation).collect(),
            zombie: found.zombie.into_iter().map(operation).collect(),
            specifications: found.specifications.into_iter().map(change).collect(),
        }))
    }

    async fn list_declared_methods(
        &self,
        request: Request<pb::ListDeclaredMethodsRequest>,
    ) -> Answer<pb::ListDeclaredMethodsResponse> {
        let (caller, request) = Caller::split(request)?;
        let id = convert::collection_named(request.api_collection_id);
        let methods = export::declared_methods(&self.deps, &caller, id).await?;
        let wrap = |(path, names): (String, std::collections::BTreeSet<String>)| {
            (path, pb::NameList { names: names.into_iter().collect() })
        };
        Ok(Response::new(pb::ListDeclaredMethodsResponse { data: methods.into_iter().map(wrap).collect() }))
    }

    async fn get_open_api_schema(
        &self,
        request: Request<pb::GetOpenApiSchemaRequest>,
    ) -> Answer<pb::GetOpenApiSchemaResponse> {
        let (caller, request) = Caller::split(request)?;
        let id = convert::collection_named(request.api_collection_id);
        let open_api_schema = export::declared_document(&self.deps, &caller, id).await?;
        Ok(Response::new(pb::GetOpenApiSchemaResponse { open_api_schema }))
    }

    async fn generate_open_api_file(
        &self,
        request: Request<pb::GenerateOpenApiFileRequest>,
    ) -> Answer<pb::GenerateOpenApiFileResponse> {
        let (caller, request) = Caller::split(request)?;
        let selection = Selection {
            collection_id: convert::collection_named(request.api_collection_id),
            include_headers: request.include_headers.unwrap_or(true),
            after: after(request.last_fetched_url, request.last_fetched_method),
            only: request.api_info_key_list.into_iter().map(|key| (key.url, key.method.to_ascii_uppercase())).collect(),
        };
        let page = generate(&self.deps, &caller, selection).await?;
        let (last_fetched_url, last_fetched_method) = page.next.unzip();
        let open_api_string = page.document;
        Ok(Response::new(pb::GenerateOpenApiFileResponse { open_api_string, last_fetched_url, last_fetched_method }))
    }

    async fn export_open_api(&self, request: Request<pb::ExportOpenApiRequest>) -> Answer<pb::ExportOpenApiResponse> {
        let (caller, request) = Caller::split(request)?;
        let collection = access::readable(&self.deps, &caller, request.api_collection_id.into()).await?;
        let collection = collection.ok_or_else(|| portolan_api::Error::new(Reason::CollectionNotFound))?;
        let selection = Selection {
            collection_id: request.api_collection_id.into(),
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

fn operation(place: DriftOperation) -> pb::DriftOperation {
    pb::DriftOperation { method: place.method, url: place.url, last_seen: place.last_seen }
}

fn change(change: SpecificationDiff) -> pb::SpecificationChange {
    let changed = |(place, changes): (DriftOperation, Vec<String>)| pb::ChangedOperation {
        method: place.method,
        url: place.url,
        changes,
    };
    pb::SpecificationChange {
        title: change.title,
        version: change.version,
        previous_version: change.previous_version.unwrap_or_default(),
        import_time: change.declared_at,
        added: change.added.into_iter().map(operation).collect(),
        removed: change.removed.into_iter().map(operation).collect(),
        changed: change.changed.into_iter().map(changed).collect(),
    }
}

/// Where the page before ended; nothing for the first page, which some clients ask for with empty texts.
fn after(url: Option<String>, method: Option<String>) -> Option<(String, String)> {
    url.filter(|url| !url.is_empty()).map(|url| (url, method.unwrap_or_default().to_ascii_uppercase()))
}
