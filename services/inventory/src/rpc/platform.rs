//! The API platform.

use portolan_api::inventory::{v1 as pb, v1::platform_service_server::PlatformService};
use portolan_authz::Caller;
use portolan_ids::AccountId;
use tonic::{Request, Response};

use crate::{
    model::feed::EdgeEndpoint,
    platform,
    platform::{Imported, PlatformCollection, timestamp},
    rpc::{Answer, Rpc},
    store::platform::EndpointRow,
};

impl Rpc {
    async fn switch(
        &self,
        request: Request<pb::SwitchPlatformEndpointRequest>,
        active: bool,
    ) -> Answer<pb::SwitchPlatformEndpointResponse> {
        let (caller, request) = Caller::split(request)?;
        let caller = platform::act_in(&self.deps, &caller, &request.managed_user_id).await?;
        platform::switch_endpoint(&self.deps, &caller, &request.api_endpoint_id, active).await?;
        Ok(Response::new(pb::SwitchPlatformEndpointResponse { success: true }))
    }
}

#[tonic::async_trait]
impl PlatformService for Rpc {
    async fn list_platform_collections(
        &self,
        request: Request<pb::ListPlatformCollectionsRequest>,
    ) -> Answer<pb::ListPlatformCollectionsResponse> {
        let (caller, request) = Caller::split(request)?;
        let caller = platform::act_in(&self.deps, &caller, &request.managed_user_id).await?;
        let page = platform::list_collections(&self.deps, &caller, request.page, request.per_page).await;
        let result = page?.into_iter().map(|known| collection(known, None)).collect();
        Ok(Response::new(pb::ListPlatformCollectionsResponse { result }))
    }

    async fn create_platform_collection(
        &self,
        request: Request<pb::CreatePlatformCollectionRequest>,
    ) -> Answer<pb::PlatformCollection> {
        let (caller, request) = Caller::split(request)?;
        let caller = platform::act_in(&self.deps, &caller, &request.managed_user_id).await?;
        let document = request.openapi_spec.and_then(|spec| spec.content);
        let made = platform::create_collection(&self.deps, &caller, request.name, request.project_id, document).await;
        let (made, imported) = made?;
        Ok(Response::new(collection(made, Some(imported))))
    }

    async fn list_platform_endpoints(
        &self,
        request: Request<pb::ListPlatformEndpointsRequest>,
    ) -> Answer<pb::ListPlatformEndpointsResponse> {
        let (caller, request) = Caller::split(request)?;
        let caller = platform::act_in(&self.deps, &caller, &request.managed_user_id).await?;
        let only = request.api_collection_id.map(Into::into);
        let page = platform::list_endpoints(&self.deps, &caller, only, request.page, request.per_page).await;
        let result = page?.into_iter().map(endpoint).collect();
        Ok(Response::new(pb::ListPlatformEndpointsResponse { result }))
    }

    async fn enable_platform_endpoint(
        &self,
        request: Request<pb::SwitchPlatformEndpointRequest>,
    ) -> Answer<pb::SwitchPlatformEndpointResponse> {
        self.switch(request, true).await
    }

    async fn disable_platform_endpoint(
        &self,
        request: Request<pb::SwitchPlatformEndpointRequest>,
    ) -> Answer<pb::SwitchPlatformEndpointResponse> {
        self.switch(request, false).await
    }
}

/// `created` holds what a creation imported; nothing in a list.
fn collection(known: PlatformCollection, created: Option<Option<Imported>>) -> pb::PlatformCollection {
    let PlatformCollection { collection, row } = known;
    let url = row.url.or_else(|| collection.host_name.map(|host| format!("https://{host}")));
    let import_results = created.as_ref().and_then(|imported| imported.clone()).map(|imported| {
        let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        pb::ImportResults {
            success: imported.failed == 0,
            total_endpoints: number(imported.total),
            failed_endpoints: number(imported.failed),
            failed_actions: imported.failures,
        }
    });
    pb::PlatformCollection {
        id: collection.id.into(),
        name: collection.name,
        project_id: row.project_id,
        url: url.unwrap_or_default(),
        api_spec_url: String::new(),
        version: row.version,
        created_at: timestamp(collection.created_at),
        updated_at: timestamp(row.updated_at),
        message: created.map(|imported| {
            match imported {
                Some(imported) if imported.failed > 0 => "API collection created; some endpoints were not imported",
                Some(_) => "API collection created and its endpoints imported",
                None => "API collection created",
            }
            .to_owned()
        }),
        import_results,
    }
}

fn endpoint(row: EndpointRow) -> pb::PlatformEndpoint {
    let place = EdgeEndpoint {
        version: 0,
        endpoint_id: row.id,
        account_id: AccountId(0),
        collection_id: row.collection_id,
        host_name: row.host_name,
        method: row.method,
        url: row.url,
        active: row.active,
        removed: false,
    };
    let (host, path) = place.host_and_path();
    let url = if place.url.contains("://") || host.is_empty() { place.url } else { format!("https://{host}{path}") };
    let scheme = url.split_once("://").map_or("https", |(scheme, _)| scheme);
    pb::PlatformEndpoint {
        id: row.id,
        api_collection_id: row.collection_id.into(),
        flow_id: 0,
        name: format!("{} {path}", place.method),
        method: place.method,
        legacy_url: None,
        base_path: if host.is_empty() { String::new() } else { format!("{scheme}://{host}") },
        url,
        path,
        active: row.active,
        legacy: false,
        created_at: timestamp(row.discovered_at),
        updated_at: timestamp(row.updated_at),
    }
}
