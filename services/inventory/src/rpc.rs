//! The RPCs: each splits the request, calls the domain, wraps the answer.

use crate::export::generate;
mod access_types;
mod collection_directory;
mod collection_writes;
mod convert;
mod discovery;
mod drift;
mod edge;
mod endpoint_writes;
mod export;
mod group_preview;
mod groups;
mod ingest;
mod jobs;
mod platform;
mod sensitive;
mod usage;

use portolan_api::inventory::{v1 as pb, v1::inventory_service_server::InventoryService};
use portolan_authz::Caller;
use tonic::{Request, Response, Status};

use crate::{
    Deps, Error, collections, endpoints,
    export::Selection,
    model::{
        collections::{CollectionName, NO_COLLECTION},
        endpoints::EndpointId,
        parameters::SensitiveFilter,
    },
    parameters, samples,
};

/// The handlers.
#[derive(Clone)]
pub(crate) struct Rpc {
    deps: Deps,
}

type Answer<T> = Result<Response<T>, Status>;

impl Rpc {
    pub(crate) fn new(deps: Deps) -> Self {
        Self { deps }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        portolan_api::Error::from(error).into()
    }
}

#[tonic::async_trait]
impl InventoryService for Rpc {
    async fn create_collection(
        &self,
        request: Request<pb::CreateCollectionRequest>,
    ) -> Answer<pb::CreateCollectionResponse> {
        let (caller, request) = Caller::split(request)?;
        let name = CollectionName::parse(request.collection_name)?;
        let collection = collections::create(&self.deps, &caller, name).await?;
        Ok(Response::new(pb::CreateCollectionResponse { api_collections: vec![convert::collection(collection)] }))
    }

    async fn list_collections(
        &self,
        request: Request<pb::ListCollectionsRequest>,
    ) -> Answer<pb::ListCollectionsResponse> {
        let (caller, request) = Caller::split(request)?;
        let (name, host) = (request.name_regex.as_deref(), request.host_name_regex.as_deref());
        let found = collections::list_matching(&self.deps, &caller, name, host).await?;
        Ok(Response::new(pb::ListCollectionsResponse {
            api_collections: found.into_iter().map(convert::collection).collect(),
        }))
    }

    async fn list_basic_collections(
        &self,
        request: Request<pb::ListBasicCollectionsRequest>,
    ) -> Answer<pb::ListBasicCollectionsResponse> {
        let (caller, _) = Caller::split(request)?;
        let found = collections::list(&self.deps, &caller).await?;
        Ok(Response::new(pb::ListBasicCollectionsResponse {
            api_collections: found.into_iter().map(convert::basic_collection).collect(),
        }))
    }

    async fn get_collection(&self, request: Request<pb::GetCollectionRequest>) -> Answer<pb::GetCollectionResponse> {
        let (caller, request) = Caller::split(request)?;
        let found = collections::get(&self.deps, &caller, request.api_collection_id).await?;
        let api_collections = found.into_iter().map(convert::collection).collect();
        Ok(Response::new(pb::GetCollectionResponse { api_collections }))
    }

    async fn update_collection_description(
        &self,
        request: Request<pb::UpdateCollectionDescriptionRequest>,
    ) -> Answer<pb::UpdateCollectionDescriptionResponse> {
        let (caller, request) = Caller::split(request)?;
        let (id, text) = (request.api_collection_id, request.description);
        let updated = collections::update_description(&self.deps, &caller, id, text, request.is_system_prompt).await;
        updated?;
        Ok(Response::new(pb::UpdateCollectionDescriptionResponse {}))
    }

    async fn delete_collections(
        &self,
        request: Request<pb::DeleteCollectionsRequest>,
    ) -> Answer<pb::DeleteCollectionsResponse> {
        let (caller, request) = Caller::split(request)?;
        let mut ids = request.api_collection_ids;
        ids.extend(request.api_collections.iter().map(|collection| collection.id));
        let job_ids = collections::delete(&self.deps, &caller, ids).await?;
        Ok(Response::new(pb::DeleteCollectionsResponse { job_id: job_ids.last().cloned(), job_ids }))
    }

    async fn update_endpoint_description(
        &self,
        request: Request<pb::UpdateEndpointDescriptionRequest>,
    ) -> Answer<pb::UpdateEndpointDescriptionResponse> {
        let (caller, request) = Caller::split(request)?;
        let id = EndpointId { collection_id: request.api_collection_id, url: request.url, method: request.method };
        endpoints::update_description(&self.deps, &caller, &id, request.description).await?;
        Ok(Response::new(pb::UpdateEndpointDescriptionResponse {}))
    }

    async fn list_endpoints(&self, request: Request<pb::ListEndpointsRequest>) -> Answer<pb::ListEndpointsResponse> {
        let (caller, request) = Caller::split(request)?;
        let answer = if request.api_collection_ids.is_empty() {
            let id = request.api_collection_id.unwrap_or(NO_COLLECTION);
            let (redacted, list) = endpoints::list(&self.deps, &caller, id).await?;
            let api_infos = list.into_iter().map(convert::endpoint).collect();
            pb::ListEndpointsResponse {
                api_info_list: Some(pb::ApiInfoList { api_infos }),
                redacted: Some(redacted),
                api_info_list_by_collection: None,
            }
        } else {
            let lists = endpoints::list_many(&self.deps, &caller, request.api_collection_ids).await?;
            let lists = lists.into_iter().map(|(id, list)| {
                (id, pb::ApiInfoList { api_infos: list.into_iter().map(convert::endpoint).collect() })
            });
            pb::ListEndpointsResponse {
                api_info_list_by_collection: Some(pb::ApiInfoLists { lists: lists.collect() }),
                ..pb::ListEndpointsResponse::default()
            }
        };
        Ok(Response::new(answer))
    }

    async fn list_endpoint_keys(
        &self,
        request: Request<pb::ListEndpointKeysRequest>,
    ) -> Answer<pb::ListEndpointKeysResponse> {
        let (caller, request) = Caller::split(request)?;
        let id = request.api_collection_id.unwrap_or(NO_COLLECTION);
        let skip = usize::try_from(request.skip).unwrap_or_default();
        let keys = endpoints::list_keys(&self.deps, &caller, id, skip).await?;
        let list_of_endpoints_in_collection = keys.into_iter().map(convert::endpoint_id).collect();
        Ok(Response::new(pb::ListEndpointKeysResponse { list_of_endpoints_in_collection }))
    }

    async fn get_endpoint(&self, request: Request<pb::GetEndpointRequest>) -> Answer<pb::GetEndpointResponse> {
        let (caller, request) = Caller::split(request)?;
        let id = endpoint_id(request.api_collection_id, request.url, request.method);
        let found = endpoints::get(&self.deps, &caller, &id).await?;
        Ok(Response::new(pb::GetEndpointResponse { api_info: found.map(convert::endpoint) }))
    }

    async fn list_parameters(&self, request: Request<pb::ListParametersRequest>) -> Answer<pb::ListParametersResponse> {
        let (caller, request) = Caller::split(request)?;
        let id = endpoint_id(request.api_collection_id, request.url, request.method);
        let found = parameters::list(&self.deps, &caller, &id).await?;
        let params = found.into_iter().map(convert::parameter).collect();
        Ok(Response::new(pb::ListParametersResponse { data: Some(pb::ParameterList { params }) }))
    }

    async fn list_sensitive_parameters(
        &self,
        request: Request<pb::ListSensitiveParametersRequest>,
    ) -> Answer<pb::ListSensitiveParametersResponse> {
        let (caller, request) = Caller::split(request)?;
        let filter = SensitiveFilter {
            collection_id: request.api_collection_id.filter(|id| *id != NO_COLLECTION),
            url: request.url,
            method: request.method,
            sub_type: request.sub_type,
        };
        let (found, marked) = parameters::list_sensitive(&self.deps, &caller, filter).await?;
        let found = found.into_iter().map(convert::parameter);
        let endpoints = found.chain(marked.into_iter().map(convert::marked)).collect();
        Ok(Response::new(pb::ListSensitiveParametersResponse { data: Some(pb::SensitiveParameterList { endpoints }) }))
    }

    async fn list_samples(&self, request: Request<pb::ListSamplesRequest>) -> Answer<pb::ListSamplesResponse> {
        let (caller, request) = Caller::split(request)?;
        let id = endpoint_id(request.api_collection_id, request.url, request.method);
        let found = samples::list(&self.deps, &caller, &id).await?;
        let sample_data_list = found.into_iter().map(convert::samples).collect();
        Ok(Response::new(pb::ListSamplesResponse { sample_data_list }))
    }

    async fn generate_open_api_file(
        &self,
        request: Request<pb::GenerateOpenApiFileRequest>,
    ) -> Answer<pb::GenerateOpenApiFileResponse> {
        let (caller, request) = Caller::split(request)?;
        let selection = Selection {
            collection_id: request.api_collection_id.unwrap_or(NO_COLLECTION),
            include_headers: request.include_headers.unwrap_or(true),
            after: after(request.last_fetched_url, request.last_fetched_method),
            only: request.api_info_key_list.into_iter().map(|key| (key.url, key.method.to_ascii_uppercase())).collect(),
        };
        let page = generate(&self.deps, &caller, selection).await?;
        let (last_fetched_url, last_fetched_method) = page.next.unzip();
        let open_api_string = page.document;
        Ok(Response::new(pb::GenerateOpenApiFileResponse { open_api_string, last_fetched_url, last_fetched_method }))
    }

    async fn ensure_import_target(
        &self,
        request: Request<pb::EnsureImportTargetRequest>,
    ) -> Answer<pb::EnsureImportTargetResponse> {
        let (caller, request) = Caller::split(request)?;
        let (id, name) = (request.api_collection_id, request.collection_name);
        let target = collections::import_target(&self.deps, &caller, id, name, request.clean_name, request.tags).await;
        let target = target?.map(convert::import_target);
        Ok(Response::new(pb::EnsureImportTargetResponse { target }))
    }

    async fn get_ingest_positions(
        &self,
        request: Request<pb::GetIngestPositionsRequest>,
    ) -> Answer<pb::GetIngestPositionsResponse> {
        let positions = crate::ingest::positions(&self.deps, request.into_inner().account_id).await?;
        let next_offsets = positions
            .into_iter()
            .filter_map(|(partition, offset)| Some((i32::try_from(partition).ok()?, offset)))
            .collect();
        Ok(Response::new(pb::GetIngestPositionsResponse { next_offsets }))
    }

    async fn count_endpoints(&self, request: Request<pb::CountEndpointsRequest>) -> Answer<pb::CountEndpointsResponse> {
        let account_id = request.into_inner().account_id;
        let endpoints = collections::count_endpoints(&self.deps, account_id).await?;
        Ok(Response::new(pb::CountEndpointsResponse { endpoints }))
    }
}

/// Where the page before ended; nothing for the first page, which some clients ask for with empty texts.
fn after(url: Option<String>, method: Option<String>) -> Option<(String, String)> {
    url.filter(|url| !url.is_empty()).map(|url| (url, method.unwrap_or_default().to_ascii_uppercase()))
}

fn endpoint_id(collection_id: Option<i32>, url: String, method: String) -> EndpointId {
    EndpointId { collection_id: collection_id.unwrap_or(NO_COLLECTION), url, method }
}
