use portolan_api::common::v1 as pb;

use crate::job::Record;

impl From<Record> for pb::Job {
    fn from(job: Record) -> Self {
        Self {
            collection_id: job.subject.collection_id().map(Into::into),
            job_id: job.job_id.into(),
            kind: job.kind,
            state: job.state.name().to_owned(),
            done_items: job.done_items,
            error: job.error,
            created_at: job.created_at,
            updated_at: job.updated_at,
        }
    }
}
