//! The collections that imports fill: asked of the inventory, with the rights of the user.

use std::collections::HashMap;

use portolan_api::Reason;
use portolan_api::inventory::v1::{EnsureImportTargetRequest, ImportTarget};
use portolan_authz::Caller;

use crate::{Deps, Error};

/// How a request names its collection.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// An existing collection.
    Id(i32),
    /// A collection with exactly this name, made when there is none.
    Named(&'a str),
    /// As before, for a name from a title, file or host: what names must not hold is replaced.
    Titled(&'a str),
}

/// A collection that an import may fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub collection_id: i32,
    pub name: String,
    /// Filled by live traffic; its endpoints are paths without a host.
    pub is_host: bool,
    pub is_group: bool,
    pub deactivated: bool,
}

/// Answers the wanted collection; `None` when no collection of the account has the id.
pub async fn resolve(deps: &Deps, caller: &Caller, wanted: Wanted<'_>) -> Result<Option<Target>, Error> {
    resolve_tagged(deps, caller, wanted, HashMap::new()).await
}

/// As [`resolve`]; the collection has the tags then.
pub async fn resolve_tagged(
    deps: &Deps,
    caller: &Caller,
    wanted: Wanted<'_>,
    tags: HashMap<String, String>,
) -> Result<Option<Target>, Error> {
    let request = match wanted {
        Wanted::Id(id) => EnsureImportTargetRequest { api_collection_id: Some(id), ..Default::default() },
        Wanted::Named(name) => {
            EnsureImportTargetRequest { collection_name: Some(name.to_owned()), ..Default::default() }
        }
        Wanted::Titled(name) => {
            EnsureImportTargetRequest { collection_name: Some(name.to_owned()), clean_name: true, ..Default::default() }
        }
    };
    let request = EnsureImportTargetRequest { tags, ..request };
    let answer = deps.peers.inventory_as(caller).ensure_import_target(request).await;
    Ok(answer.map_err(portolan_api::Error::from)?.into_inner().target.map(Target::from))
}

impl Target {
    /// Refuses collections that a capture or a reviewed upload must not fill.
    ///
    /// # Errors
    /// `UPLOAD_TO_HOST_COLLECTION`, `UPLOAD_TO_DEACTIVATED`, `UPLOAD_TO_GROUP`, in this order.
    pub fn plain(self) -> Result<Self, Error> {
        if self.is_host {
            return Err(Reason::UploadToHostCollection.into());
        }
        if self.deactivated {
            return Err(Reason::UploadToDeactivated.into());
        }
        if self.is_group {
            return Err(Reason::UploadToGroup.into());
        }
        Ok(self)
    }

    /// Refuses collections that a specification must not fill; host collections take its paths.
    ///
    /// # Errors
    /// `OPENAPI_TO_GROUP`, `COLLECTION_DEACTIVATED`.
    pub fn for_openapi(self) -> Result<Self, Error> {
        if self.is_group {
            return Err(Reason::OpenapiToGroup.into());
        }
        if self.deactivated {
            return Err(Reason::CollectionDeactivated.into());
        }
        Ok(self)
    }
}

impl From<ImportTarget> for Target {
    fn from(target: ImportTarget) -> Self {
        Self {
            collection_id: target.api_collection_id,
            name: target.name,
            is_host: target.host_name.is_some_and(|host| !host.is_empty()),
            is_group: target.r#type.as_deref() == Some("API_GROUP"),
            deactivated: target.deactivated,
        }
    }
}
