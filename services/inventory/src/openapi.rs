use portolan_authz::Caller;
use crate::{Deps, Error};
pub struct Selection {
    pub collection_id: i32,
    pub include_headers: bool,
    pub after: Option<(String, String)>,
    pub only: Vec<(String, String)>,
}
pub struct Page {
    pub document: String,
    pub next: Option<(String, String)>,
}
pub async fn generate(_: &Deps, _: &Caller, _: Selection) -> Result<Page, Error> {
    Err(portolan_api::Reason::CollectionNotFound.into())
}
