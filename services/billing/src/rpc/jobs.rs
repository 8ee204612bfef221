use portolan_api::billing::v1::{
    GetJobRequest, GetJobResponse, Job, ListJobsRequest, ListJobsResponse, job_service_server::JobService,
};
use tonic::{Request, Response};

use super::{Rpc, RpcResult};
use crate::jobs;

fn message(job: jobs::Job) -> Job {
    Job {
        job_id: job.job_id,
        kind: "refresh-usage".to_owned(),
        state: job.state.to_owned(),
        done_items: job.differences,
        created_at: job.created_at,
        updated_at: job.updated_at,
    }
}

#[tonic::async_trait]
impl JobService for Rpc {
    async fn get_job(&self, request: Request<GetJobRequest>) -> RpcResult<GetJobResponse> {
        let request = request.into_inner();
        let job = jobs::get(&self.deps, request.account_id, &request.job_id).await?;
        Ok(Response::new(GetJobResponse { job: job.map(message) }))
    }

    async fn list_jobs(&self, request: Request<ListJobsRequest>) -> RpcResult<ListJobsResponse> {
        let request = request.into_inner();
        let before = (request.before_created_at > 0).then_some((request.before_created_at, request.before_job_id));
        let jobs = jobs::list(&self.deps, request.account_id, request.page_size, before).await?;
        Ok(Response::new(ListJobsResponse { jobs: jobs.into_iter().map(message).collect() }))
    }
}
