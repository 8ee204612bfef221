use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use portolan_api::{Reason, Result};
use portolan_store::Db;

use crate::{Deps, organizations::State, store};

/// The operator's command works on the database, so the bound on its effect is this.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Organisations that may not be used, as of half a second ago at most.
#[derive(Clone)]
pub(crate) struct Suspended {
    states: Arc<RwLock<HashMap<String, State>>>,
}

impl Suspended {
    pub(crate) async fn read(db: &Db) -> Result<Self> {
        Ok(Self { states: Arc::new(RwLock::new(states(db).await?)) })
    }

    /// # Errors
    /// `ORGANIZATION_SUSPENDED`, `ORGANIZATION_NOT_ACTIVATED`.
    pub(crate) fn check(&self, organization_id: &str) -> Result<()> {
        match self.states.read().unwrap_or_else(PoisonError::into_inner).get(organization_id) {
            None | Some(State::Active) => Ok(()),
            Some(State::Suspended) => Err(Reason::OrganizationSuspended.into()),
            Some(State::NotActivated) => Err(Reason::OrganizationNotActivated.into()),
        }
    }
}

/// Keeps the states current until the process ends. While the store cannot be read the last known ones hold; then
/// nothing else is answered either.
pub(crate) async fn watch(deps: Deps) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Ok(fresh) = states(&deps.db).await {
            *deps.suspended.states.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
    }
}

async fn states(db: &Db) -> Result<HashMap<String, State>> {
    let all = store::list_closed_organizations(db).await?;
    Ok(all.into_iter().map(|organization| (organization.id, organization.state)).collect())
}
