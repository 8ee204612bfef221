//! The collections that imports fill.

use portolan_api::Reason;
use portolan_ids::CollectionId;

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
    pub collection_id: CollectionId,
    pub name: String,
    /// Filled by live traffic; its endpoints are paths without a host.
    pub is_host: bool,
    pub is_group: bool,
    pub deactivated: bool,
}

impl Target {
    /// Refuses collections that a capture or a reviewed upload must not fill.
    ///
    /// # Errors
    /// `UPLOAD_TO_HOST_COLLECTION`, `UPLOAD_TO_DEACTIVATED`, `UPLOAD_TO_GROUP`, in this order.
    pub fn plain(self) -> Result<Self, Reason> {
        if self.is_host {
            return Err(Reason::UploadToHostCollection);
        }
        if self.deactivated {
            return Err(Reason::UploadToDeactivated);
        }
        if self.is_group {
            return Err(Reason::UploadToGroup);
        }
        Ok(self)
    }

    /// Refuses collections that a specification must not fill; host collections take its paths.
    ///
    /// # Errors
    /// `OPENAPI_TO_GROUP`, `COLLECTION_DEACTIVATED`.
    pub fn for_openapi(self) -> Result<Self, Reason> {
        if self.is_group {
            return Err(Reason::OpenapiToGroup);
        }
        if self.deactivated {
            return Err(Reason::CollectionDeactivated);
        }
        Ok(self)
    }
}
