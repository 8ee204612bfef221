//! Samples.

use portolan_api::inventory::{v1 as pb, v1::sample_service_server::SampleService};
use portolan_authz::Caller;
use tonic::{Request, Response};

use crate::{
    rpc::{
        Answer, Rpc, convert,
        convert::{endpoint_named, size},
    },
    samples,
};

#[tonic::async_trait]
impl SampleService for Rpc {
    async fn list_samples(&self, request: Request<pb::ListSamplesRequest>) -> Answer<pb::ListSamplesResponse> {
        let (caller, request) = Caller::split(request)?;
        let id = endpoint_named(request.api_collection_id, request.url, request.method);
        let found = samples::list(&self.deps, &caller, &id).await?;
        let sample_data_list = found.into_iter().map(convert::samples).collect();
        Ok(Response::new(pb::ListSamplesResponse { sample_data_list }))
    }

    async fn list_all_samples(
        &self,
        request: Request<pb::ListAllSamplesRequest>,
    ) -> Answer<pb::ListAllSamplesResponse> {
        let (caller, request) = Caller::split(request)?;
        let id = convert::collection_named(request.api_collection_id);
        let (skip, limit) = (size(request.skip), size(request.limit));
        let found = samples::list_all(&self.deps, &caller, id, skip, limit).await?;
        let sample_data_list = found.into_iter().map(convert::samples).collect();
        Ok(Response::new(pb::ListAllSamplesResponse { sample_data_list }))
    }

    async fn list_sensitive_samples(
        &self,
        request: Request<pb::ListSensitiveSamplesRequest>,
    ) -> Answer<pb::ListSensitiveSamplesResponse> {
        let (caller, request) = Caller::split(request)?;
        let id = endpoint_named(request.api_collection_id, request.url, request.method);
        let found = samples::list_sensitive(&self.deps, &caller, &id).await?;
        let parameter = |key: portolan_engine::ParameterKey| pb::ParameterId {
            url: id.url.clone(),
            method: id.method.to_ascii_uppercase(),
            response_code: key.response_code,
            is_header: key.is_header,
            sub_type: Some(convert::sub_type(key.sub_type)),
            param: key.name.into_string(),
            api_collection_id: id.collection_id.into(),
            is_url_param: key.is_url_param,
        };
        let list = |keys: Vec<_>| pb::ParameterIdList { parameters: keys.into_iter().map(parameter).collect() };
        let sensitive_sample_data = found.into_iter().map(|(record, keys)| (record, list(keys))).collect();
        Ok(Response::new(pb::ListSensitiveSamplesResponse { sensitive_sample_data }))
    }
}
