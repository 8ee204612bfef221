use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portolan_api::{
    Reason,
    tokens::v1::{self as pb, edge_service_server::EdgeService},
};
use portolan_authz::Caller;
use portolan_ids::AccountId;
use tonic::{Request, Response, Status};

use crate::{enforce::Edge, model::edge::ShadowEndpoint};

const PAGE_DEFAULT: i32 = 100;
const PAGE_MAX: i32 = 1_000;

/// The handlers.
pub struct EdgeRpc {
    edge: Edge,
}

impl EdgeRpc {
    pub fn new(edge: Edge) -> Self {
        Self { edge }
    }
}

#[tonic::async_trait]
impl EdgeService for EdgeRpc {
    async fn list_shadow_endpoints(
        &self,
        request: Request<pb::ListShadowEndpointsRequest>,
    ) -> Result<Response<pb::ListShadowEndpointsResponse>, Status> {
        let (caller, request) = Caller::split(request)?;
        // They are in no collection: whoever sees some collections alone sees none of them.
        if caller.grant.collections().is_some() {
            return Ok(Response::new(pb::ListShadowEndpointsResponse::default()));
        }
        let size = if request.page_size < 1 { PAGE_DEFAULT } else { request.page_size.min(PAGE_MAX) };
        let after = read_token(&request.page_token).ok_or(portolan_api::Error::new(Reason::PageTokenInvalid))?;
        let mut found = self.edge.shadow_endpoints(caller.account_id, &after, i64::from(size) + 1).await?;
        let has_more = found.len() > size as usize;
        found.truncate(size as usize);
        let next_page_token = found.last().filter(|_| has_more).map(write_token).unwrap_or_default();
        let render = |found: ShadowEndpoint| pb::ShadowEndpoint {
            host: found.host,
            method: found.method,
            path: found.path,
            calls: found.calls,
            first_seen: found.first_seen,
            last_seen: found.last_seen,
        };
        let shadow_endpoints = found.into_iter().map(render).collect();
        Ok(Response::new(pb::ListShadowEndpointsResponse { shadow_endpoints, next_page_token }))
    }

    async fn list_contested_hosts(
        &self,
        _: Request<pb::ListContestedHostsRequest>,
    ) -> Result<Response<pb::ListContestedHostsResponse>, Status> {
        let contested = self.edge.contested_hosts().await;
        let render = |(host, accounts): (String, Vec<AccountId>)| pb::ContestedHost {
            host,
            account_ids: accounts.into_iter().map(Into::into).collect(),
        };
        Ok(Response::new(pb::ListContestedHostsResponse { hosts: contested.into_iter().map(render).collect() }))
    }

    async fn settle_edge(&self, _: Request<pb::SettleEdgeRequest>) -> Result<Response<pb::SettleEdgeResponse>, Status> {
        self.edge.settle_all().await?;
        Ok(Response::new(pb::SettleEdgeResponse {}))
    }
}

/// The key of the last one of a page.
fn write_token(last: &ShadowEndpoint) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::json!([last.host, last.method, last.path]).to_string())
}

fn read_token(token: &str) -> Option<[String; 3]> {
    if token.is_empty() {
        return Some(Default::default());
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}
