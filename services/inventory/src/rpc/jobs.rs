use portolan_api::{common::v1 as pb, inventory::v1::job_service_server::JobService};
use tonic::{Request, Response};

use crate::{
    jobs,
    model::{collections::NO_COLLECTION, jobs::Job},
    rpc::{Answer, Rpc},
};

fn message(job: Job) -> pb::Job {
    pb::Job {
        job_id: job.job_id,
        kind: job.kind.name().to_ascii_lowercase().replace('_', "-"),
        state: job.state.name().to_owned(),
        collection_id: Some(job.collection_id).filter(|id| *id != NO_COLLECTION),
        done_items: job.done_items,
        error: job.error,
        created_at: job.created_at,
        updated_at: job.updated_at,
    }
}

#[tonic::async_trait]
impl JobService for Rpc {
    async fn get_job(&self, request: Request<pb::GetJobRequest>) -> Answer<pb::GetJobResponse> {
        let request = request.into_inner();
        let found = jobs::get(&self.deps, request.account_id, &request.job_id).await?;
        Ok(Response::new(pb::GetJobResponse { job: found.map(message) }))
    }

    async fn list_jobs(&self, request: Request<pb::ListJobsRequest>) -> Answer<pb::ListJobsResponse> {
        let request = request.into_inner();
        let before = (request.before_created_at > 0).then_some((request.before_created_at, request.before_job_id));
        let found = jobs::list(&self.deps, request.account_id, request.page_size, before).await?;
        Ok(Response::new(pb::ListJobsResponse { jobs: found.into_iter().map(message).collect() }))
    }
}
