//! Drift.

use portolan_api::inventory::{v1 as pb, v1::drift_service_server::DriftService};
use portolan_authz::Caller;
use tonic::{Request, Response};

use crate::{
    drift,
    model::drift::{Change, Place},
    rpc::{Answer, Rpc},
};

#[tonic::async_trait]
impl DriftService for Rpc {
    async fn get_drift(&self, request: Request<pb::GetDriftRequest>) -> Answer<pb::Drift> {
        let (caller, request) = Caller::split(request)?;
        let found = drift::get(&self.deps, &caller, request.collection_id).await?;
        Ok(Response::new(pb::Drift {
            collection_id: request.collection_id,
            documented: found.documented,
            shadow: found.shadow.into_iter().map(operation).collect(),
            orphan: found.orphan.into_iter().map(operation).collect(),
            zombie: found.zombie.into_iter().map(operation).collect(),
            specifications: found.specifications.into_iter().map(change).collect(),
        }))
    }
}

fn operation(place: Place) -> pb::DriftOperation {
    pb::DriftOperation { method: place.method, url: place.url, last_seen: place.last_seen }
}

fn change(change: Change) -> pb::SpecificationChange {
    let changed =
        |(place, changes): (Place, Vec<String>)| pb::ChangedOperation { method: place.method, url: place.url, changes };
    pb::SpecificationChange {
        title: change.title,
        version: change.version,
        previous_version: change.previous_version.unwrap_or_default(),
        import_time: change.declared_at,
        added: change.added.into_iter().map(operation).collect(),
        removed: change.removed.into_iter().map(operation).collect(),
        changed: change.changed.into_iter().map(changed).collect(),
    }
}
