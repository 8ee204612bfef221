mod imports;
mod postman;
mod sources;
mod uploads;

use portolan_api::Reason;
use portolan_api::imports::v1::{self as pb, LogRow};
use portolan_formats::openapi::{ErrorType, ImportError};
use tonic::{Response, Status};

use crate::{Deps, Error};

type RpcResult<T> = Result<Response<T>, Status>;

#[derive(Clone)]
pub(crate) struct Rpc {
    deps: Deps,
}

impl Rpc {
    pub(crate) fn new(deps: Deps) -> Self {
        Self { deps }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        error.into_public().into()
    }
}

/// The text of a member that may be any JSON value: that of a string, else the value as written; `None` for null.
fn json_text(json: String) -> Option<String> {
    match json.trim_start().as_bytes().first() {
        Some(b'"') => serde_json::from_str(&json).ok(),
        _ if json.trim() == "null" => None,
        _ => Some(json),
    }
}

/// The text of a member that holds an object.
///
/// # Errors
/// `MEMBER_TYPE`.
fn object_text(member: &str, json: Option<String>) -> Result<Option<String>, Error> {
    let json = json.filter(|json| json.trim() != "null");
    match &json {
        Some(text) if !text.trim_start().starts_with('{') => Err(wrong(member, "must be an object")),
        _ => Ok(json),
    }
}

/// A member that is `true` or `false`, or one of the two as a text; without it `false`.
///
/// # Errors
/// `MEMBER_TYPE`.
fn flag(member: &str, json: Option<String>) -> Result<bool, Error> {
    match json.and_then(json_text).map(|text| text.trim().to_ascii_lowercase()).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(wrong(member, "must be true or false")),
    }
}

fn wrong(member: &str, detail: &str) -> Error {
    portolan_api::Error::new(Reason::MemberType).with("member", member).with("detail", detail).into()
}

/// Rows under a header row; nothing when there is no row.
fn log_rows(term: &str, rows: impl Iterator<Item = (String, String)>) -> Vec<LogRow> {
    let rows: Vec<_> = rows.map(|(term, description)| LogRow { term, description }).collect();
    let header = LogRow { term: term.to_owned(), description: "Errors".to_owned() };
    if rows.is_empty() { rows } else { std::iter::once(header).chain(rows).collect() }
}

fn collection_error(error: ImportError) -> pb::ImportError {
    let error_type = match error.error_type {
        ErrorType::Warning => "WARNING",
        ErrorType::Error => "ERROR",
    };
    pb::ImportError { error: error.error, error_type: error_type.to_owned() }
}
