//! The counts that billing asks to be made anew.

use portolan_api::inventory::v1::{self as pb, inventory_usage_service_server::InventoryUsageService};
use tonic::{Request, Response};

use super::{Answer, status};
use crate::{Deps, store};

/// The handlers.
pub struct Usage {
    deps: Deps,
}

impl Usage {
    pub fn new(deps: Deps) -> Self {
        Self { deps }
    }
}

#[tonic::async_trait]
impl InventoryUsageService for Usage {
    async fn recount_usage(&self, request: Request<pb::RecountUsageRequest>) -> Answer<pb::RecountUsageResponse> {
        let account_id = request.into_inner().account_id;
        let recounts = portolan_meter::recount(&self.deps.db, account_id, store::usage::COUNT_USAGE).await;
        let counts = recounts.map_err(|error| status(error.into()))?.into_iter().map(|recount| pb::RecountedUsage {
            feature: recount.feature,
            kept: recount.kept,
            counted: recount.counted,
            settled_version: recount.settled_version,
            count: recount.count,
            version: recount.version,
        });
        Ok(Response::new(pb::RecountUsageResponse { counts: counts.collect() }))
    }
}
