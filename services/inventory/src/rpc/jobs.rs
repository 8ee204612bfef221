use portolan_api::{common::v1 as pb, inventory::v1::job_service_server::JobService};
use tonic::{Request, Response};

use super::{Answer, status};
use crate::collections::NO_COLLECTION;
use crate::jobs::Job;
use crate::{Deps, jobs};

/// The handlers of durable work, for other services.
pub struct Jobs {
    deps: Deps,
}

impl Jobs {
    pub fn new(deps: Deps) -> Self {
        Self { deps }
    }
}

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
impl JobService for Jobs {
    async fn get_job(&self, request: Request<pb::GetJobRequest>) -> Answer<pb::GetJobResponse> {
        let request = request.into_inner();
        let found = jobs::get(&self.deps, request.account_id, &request.job_id).await.map_err(status)?;
        Ok(Response::new(pb::GetJobResponse { job: found.map(message) }))
    }

    async fn list_jobs(&self, request: Request<pb::ListJobsRequest>) -> Answer<pb::ListJobsResponse> {
        let request = request.into_inner();
        let before = (request.before_created_at > 0).then_some((request.before_created_at, request.before_job_id));
        let found = jobs::list(&self.deps, request.account_id, request.page_size, before).await.map_err(status)?;
        Ok(Response::new(pb::ListJobsResponse { jobs: found.into_iter().map(message).collect() }))
    }
}
