use portolan_api::billing::v1::{
    CheckoutResult, GetCustomerTokenRequest, GetCustomerTokenResponse, ProvisionSubscriptionRequest,
    ProvisionSubscriptionResponse, RefreshUsageRequest, RefreshUsageResponse,
    subscription_service_server::SubscriptionService,
};
use portolan_authz::Caller;
use tonic::{Request, Response};

use super::{Rpc, RpcResult};
use crate::{refresh, subscriptions};

#[tonic::async_trait]
impl SubscriptionService for Rpc {
    async fn provision_subscription(
        &self,
        request: Request<ProvisionSubscriptionRequest>,
    ) -> RpcResult<ProvisionSubscriptionResponse> {
        let (caller, request) = Caller::split(request)?;
        let wish = subscriptions::Wish {
            customer_id: request.customer_id,
            plan_id: request.plan_id,
            billing_period: request.billing_period,
            success_url: request.success_url,
            cancel_url: request.cancel_url,
        };
        let outcome = subscriptions::provision(&self.deps, &caller, &wish).await?;
        let result = CheckoutResult { checkout_url: outcome.checkout_url, status: outcome.status.to_owned() };
        Ok(Response::new(ProvisionSubscriptionResponse { checkout_result: Some(result) }))
    }

    async fn refresh_usage(&self, request: Request<RefreshUsageRequest>) -> RpcResult<RefreshUsageResponse> {
        let (caller, _) = Caller::split(request)?;
        refresh::request(&self.deps, caller.account_id).await?;
        Ok(Response::new(RefreshUsageResponse {}))
    }

    async fn get_customer_token(
        &self,
        request: Request<GetCustomerTokenRequest>,
    ) -> RpcResult<GetCustomerTokenResponse> {
        let (caller, request) = Caller::split(request)?;
        let customer_id = request.customer_id.as_deref();
        let customer_token = subscriptions::customer_token(&self.deps, &caller, customer_id).await?;
        Ok(Response::new(GetCustomerTokenResponse { customer_token }))
    }
}
