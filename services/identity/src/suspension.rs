use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use portolan_api::{Reason, Result};
use portolan_ids::OrganizationId;
use portolan_store::Db;

use crate::{model::organizations::State, store};

/// Organizations that may not be used, as of half a second ago at most.
#[derive(Clone)]
pub(crate) struct Suspended {
    states: Arc<RwLock<HashMap<OrganizationId, State>>>,
}

impl Suspended {
    pub(crate) async fn read(db: &Db) -> Result<Self> {
        Ok(Self { states: Arc::new(RwLock::new(states(db).await?)) })
    }

    /// Reads the states anew. While the store cannot be read the last known ones hold; then nothing else is answered
    /// either.
    pub(crate) async fn refresh(&self, db: &Db) {
        if let Ok(fresh) = states(db).await {
            *self.states.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
    }

    /// # Errors
    /// `ORGANIZATION_SUSPENDED`, `ORGANIZATION_NOT_ACTIVATED`.
    pub(crate) fn check(&self, organization_id: &OrganizationId) -> Result<()> {
        match self.states.read().unwrap_or_else(PoisonError::into_inner).get(organization_id) {
            None | Some(State::Active) => Ok(()),
            Some(State::Suspended) => Err(Reason::OrganizationSuspended.into()),
            Some(State::NotActivated) => Err(Reason::OrganizationNotActivated.into()),
        }
    }
}

async fn states(db: &Db) -> Result<HashMap<OrganizationId, State>> {
    let all = store::list_closed_organizations(db).await?;
    Ok(all.into_iter().map(|organization| (organization.id, organization.state)).collect())
}
