//! What callers read about the contract: the OpenAPI document, the reference page and the list of routes.
//!
//! All three come from the same [`Operation`]s, which come from the descriptors and their comments.

mod comments;
mod html;
mod openapi;
mod operation;
mod recorded;
mod schema;

pub(crate) use html::html;
pub(crate) use openapi::document;
pub(crate) use operation::{Operation, operations};

use crate::routes::{ContractError, Routes};

/// The OpenAPI 3.1 document of the contract.
pub fn openapi() -> Result<serde_json::Value, ContractError> {
    let routes = Routes::from_contract()?;
    Ok(document(&operations(&routes), &routes))
}

/// One line a route: verb, path, RPC, dialect, who may call it. Sorted by path.
pub fn route_list() -> Result<String, ContractError> {
    let routes = Routes::from_contract()?;
    let mut lines: Vec<_> = operations(&routes).iter().map(Operation::line).collect();
    lines.sort();
    Ok(lines.concat())
}
