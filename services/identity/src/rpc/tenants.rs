use portolan_api::identity::v1::{
    GetTenantStateRequest, GetTenantStateResponse, ListTenantStatesRequest, ListTenantStatesResponse, TenantState,
    tenants_service_server::TenantsService,
};
use tonic::{Request, Response};

use super::{Rpc, RpcResult};
use crate::{model::tenants::Tenant, tenants};

#[tonic::async_trait]
impl TenantsService for Rpc {
    async fn list_tenant_states(
        &self,
        request: Request<ListTenantStatesRequest>,
    ) -> RpcResult<ListTenantStatesResponse> {
        let after_version = request.into_inner().after_version;
        let changed = tenants::changes(&self.deps, after_version).await?;
        let last_version = changed.last().map_or(after_version, |tenant| tenant.version);
        let render = |tenant: Tenant| TenantState { account_id: tenant.account_id.into(), open: tenant.is_open };
        let tenants = changed.into_iter().map(render).collect();
        Ok(Response::new(ListTenantStatesResponse { tenants, last_version }))
    }

    async fn get_tenant_state(&self, request: Request<GetTenantStateRequest>) -> RpcResult<GetTenantStateResponse> {
        let open = tenants::is_open(&self.deps, request.into_inner().account_id.into()).await?;
        Ok(Response::new(GetTenantStateResponse { open }))
    }
}
