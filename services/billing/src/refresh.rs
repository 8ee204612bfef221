//! Recomputes the usage of organizations by jobs, an account a step.

use portolan_api::Result;
use portolan_ids::{AccountId, OrganizationId};
use portolan_jobs::{Attempt, Error, Job, Portion, Step, Subject, Work};
use portolan_store::Tx;

use crate::model::refresh::{Cursor, Task};
use crate::model::usage::Recounted;
use crate::{Deps, entitlements, organizations, peers, reports, store};

pub use crate::model::refresh::{Difference, Refresh};

/// Asks for a recomputation, which the account then finds among its jobs; requests that wait for one run are one job.
///
/// # Errors
/// `ORGANIZATION_NOT_FOUND`, `UNAVAILABLE`.
pub async fn request(deps: &Deps, account_id: AccountId) -> Result<()> {
    let organization_id = organizations::of_account(deps, account_id).await?;
    let subject = Subject { name: organization_id.to_string(), ..Subject::default() };
    deps.jobs.request(account_id, &Task::RefreshUsage { organization_id }, &subject).await?;
    Ok(())
}

/// The last recomputation of an organization; `None` when there was none.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn last(deps: &Deps, organization_id: &OrganizationId) -> Result<Option<Refresh>> {
    let (newest, ended) = deps.jobs.newest(organization_id.as_str()).await?;
    let Some(newest) = newest else { return Ok(None) };
    let (finished_at, differences) = ended.map_or((0, Vec::new()), |ended| {
        // For its reader alone: what cannot be read holds up nothing.
        (ended.updated_at, serde_json::from_value(ended.outcome).unwrap_or_default())
    });
    Ok(Some(Refresh { state: newest.state.name(), requested_at: newest.created_at, finished_at, differences }))
}

/// What a step needs of others.
#[allow(missing_docs, reason = "each is what a step of its name was given")]
pub enum Prepared {
    Recounted {
        account_id: AccountId,
        counts: Vec<Recounted>,
    },
    /// Every account is done.
    Over,
}

impl Work for Deps {
    type Task = Task;
    type Prepared = Prepared;

    async fn prepare(&self, job: &Attempt<Task>) -> Result<Prepared, Error> {
        let Task::RefreshUsage { organization_id } = &job.task;
        let accounts = match job.cursor.account_id {
            None => organizations::refresh_accounts(self, organization_id).await?,
            Some(_) => store::organizations::list_accounts(&self.db, organization_id).await?,
        };
        let next = accounts.into_iter().find(|account_id| job.cursor.account_id.is_none_or(|last| *account_id > last));
        if let Some(account_id) = next {
            return Ok(Prepared::Recounted { account_id, counts: peers::recount(&self.peers, account_id).await? });
        }
        if let Some(known) = organizations::known_entitlements(self, organization_id).await? {
            let now = self.clock.now();
            let totals = store::usage::totals(&self.db, organization_id, now).await?;
            entitlements::note_overages(self, organization_id, &known, &totals, now).await?;
        }
        reports::note(self, organization_id).await?;
        Ok(Prepared::Over)
    }

    async fn step(&self, tx: &mut Tx, job: &Job<Task>, prepared: &Prepared, _: Portion) -> Result<Step<Cursor>, Error> {
        let mut differences = job.cursor.differences.clone();
        let Prepared::Recounted { account_id, counts } = prepared else {
            let outcome = serde_json::to_value(differences).map_err(|error| Error::Never(error.to_string()))?;
            return Ok(Step::Over { done: 0, outcome });
        };
        let before = differences.len();
        for recounted in counts {
            differences.extend(store::usage::reconcile(tx, recounted, self.clock.now()).await?);
        }
        let found = &differences[before..];
        for Difference { account_id, feature, recorded, counted } in found {
            let problem = "usage was recorded differently from what was counted; it is repaired";
            tracing::warn!(account_id = account_id.get(), feature, recorded, counted, "{problem}");
        }
        let done = i64::try_from(found.len()).unwrap_or(i64::MAX);
        Ok(Step::Next { cursor: Cursor { account_id: Some(*account_id), differences }, done })
    }
}
