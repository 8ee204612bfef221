//! What each kind of job does, a step at a time.

use std::{sync::Arc, time::Duration};

use portolan_engine::AccessPolicy;
use portolan_ids::{AccountId, JobId};
use portolan_jobs::{Attempt, Error as JobError, Job, Portion, Work};
use portolan_store::Tx;

use crate::{
    Deps, Error, access_types,
    collections::removal,
    copies, members,
    model::{
        detectors::DetectorSet,
        jobs::{Cursor, Step, Task},
    },
    parameters::data_types,
    peers, policies, redaction, retemplating,
};

/// A request works on the job that it asked for this long before it leaves it to the background.
const INLINE_MAX: Duration = Duration::from_secs(2);

/// What a step needs of others.
pub enum Prepared {
    /// The step needs nothing.
    Nothing,
    /// The address ranges of its account.
    Policy(AccessPolicy),
    /// What tells kinds of data in the account.
    Detectors(Arc<DetectorSet>),
}

impl Work for Deps {
    type Task = Task;
    type Prepared = Prepared;

    async fn prepare(&self, attempt: &Attempt<Task>) -> Result<Prepared, JobError> {
        let account_id = attempt.account_id;
        match (&attempt.task, &attempt.cursor) {
            (Task::ApplyAccessTypes, _) => {
                return Ok(Prepared::Policy(policies::at_this_moment(self, account_id).await?));
            }
            (Task::ApplyTemplateRules, _) => {
                return Ok(Prepared::Detectors(data_types::detectors_of(self, account_id).await?));
            }
            (Task::DeleteCollection { collection_id }, Cursor::Others) => {
                peers::forget_collection(&self.peers, account_id, *collection_id).await?;
                copies::remove(self).await?;
            }
            (Task::RedactCollection { collection_id }, Cursor::Others) => {
                peers::redact_uploads(&self.peers, account_id, *collection_id).await?;
                copies::remove(self).await?;
            }
            _ => {}
        }
        Ok(Prepared::Nothing)
    }

    async fn step(
        &self,
        tx: &mut Tx,
        job: &Job<Task>,
        prepared: &Prepared,
        portion: Portion,
    ) -> Result<Step, JobError> {
        let (account_id, cursor) = (job.account_id, &job.cursor);
        Ok(match (&job.task, prepared) {
            (Task::DeleteCollection { collection_id }, _) => {
                removal::step(tx, account_id, *collection_id, cursor, portion).await?
            }
            (Task::RedactCollection { collection_id }, _) => {
                redaction::step(tx, account_id, *collection_id, cursor, portion).await?
            }
            (Task::ComputeGroups { collection_id, group_id }, _) => {
                members::step(tx, account_id, *collection_id, *group_id, cursor, portion).await?
            }
            (Task::ApplyAccessTypes, Prepared::Policy(policy)) => {
                access_types::apply_step(tx, account_id, cursor, policy, portion).await?
            }
            (Task::ApplyTemplateRules, Prepared::Detectors(detectors)) => {
                retemplating::step(self, tx, account_id, cursor, detectors.of(account_id), portion).await?
            }
            (Task::ApplyAccessTypes | Task::ApplyTemplateRules, _) => {
                return Err(JobError::Never("Internal error: a step was not prepared".to_owned()));
            }
            (Task::ResetCollectionAccessTypes, _) => access_types::reset_step(tx, account_id, cursor, portion).await?,
        })
    }
}

impl From<Error> for JobError {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => Self::Store(error),
            other => Self::Later(other.into()),
        }
    }
}

/// Works on a job that was just asked for, so that small accounts see its effect with the answer. What is left after two
/// seconds is done in the background.
pub async fn run_inline(deps: &Deps, account_id: AccountId, job_id: &JobId) {
    deps.jobs.run_inline(deps, account_id, job_id, INLINE_MAX).await;
}

/// As [`run_inline`] for what a request asked for; of several jobs the background does all.
pub async fn follow_up(deps: &Deps, account_id: AccountId, job_ids: &[JobId]) {
    match job_ids {
        [job_id] => run_inline(deps, account_id, job_id).await,
        _ => deps.jobs.notify(),
    }
}
