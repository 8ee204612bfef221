use portolan_api::{
    billing::v1::job_service_server::JobService,
    common::v1::{
        CancelJobRequest, CancelJobResponse, GetJobRequest, GetJobResponse, Job, ListJobsRequest, ListJobsResponse,
    },
};
use tonic::{Request, Response};

use super::{Rpc, RpcResult};

#[tonic::async_trait]
impl JobService for Rpc {
    async fn get_job(&self, request: Request<GetJobRequest>) -> RpcResult<GetJobResponse> {
        let request = request.into_inner();
        let job = self
            .deps
            .jobs
            .get(request.account_id.into(), &request.job_id.into())
            .await
            .map_err(portolan_api::Error::from)?;
        Ok(Response::new(GetJobResponse { job: job.map(Job::from) }))
    }

    async fn cancel_job(&self, request: Request<CancelJobRequest>) -> RpcResult<CancelJobResponse> {
        let CancelJobRequest { account_id, job_id, reason } = request.into_inner();
        let job = self
            .deps
            .jobs
            .cancel_now(account_id.into(), &job_id.into(), &reason)
            .await
            .map_err(portolan_api::Error::from)?;
        Ok(Response::new(CancelJobResponse { job: job.map(Job::from) }))
    }

    async fn list_jobs(&self, request: Request<ListJobsRequest>) -> RpcResult<ListJobsResponse> {
        let request = request.into_inner();
        let before =
            (request.before_created_at > 0).then_some((request.before_created_at, request.before_job_id.into()));
        let jobs = self.deps.jobs.list(request.account_id.into(), request.page_size, before).await;
        let jobs = jobs.map_err(portolan_api::Error::from)?.into_iter().map(Job::from);
        Ok(Response::new(ListJobsResponse { jobs: jobs.collect() }))
    }
}
