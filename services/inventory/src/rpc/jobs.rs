use portolan_api::{
    common::v1::{GetJobRequest, GetJobResponse, Job, ListJobsRequest, ListJobsResponse},
    inventory::v1::job_service_server::JobService,
};
use tonic::Request;
use tonic::Response;

use super::{Answer, Rpc};
use crate::Error;

#[tonic::async_trait]
impl JobService for Rpc {
    async fn get_job(&self, request: Request<GetJobRequest>) -> Answer<GetJobResponse> {
        let request = request.into_inner();
        let job = self.deps.jobs.get(request.account_id.into(), &request.job_id.into()).await.map_err(Error::from)?;
        Ok(Response::new(GetJobResponse { job: job.map(Job::from) }))
    }

    async fn list_jobs(&self, request: Request<ListJobsRequest>) -> Answer<ListJobsResponse> {
        let request = request.into_inner();
        let before =
            (request.before_created_at > 0).then_some((request.before_created_at, request.before_job_id.into()));
        let jobs =
            self.deps.jobs.list(request.account_id.into(), request.page_size, before).await.map_err(Error::from)?;
        Ok(Response::new(ListJobsResponse { jobs: jobs.into_iter().map(Job::from).collect() }))
    }
}
