use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use portolan_api::{Dialect, Error};
use portolan_runtime::budget::Hold;
use serde_json::Value;

use super::{asked::Asked, json};
use crate::query::{encode_params, encode_query};

/// In which form the failures of a path are told.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    pub rules: &'static dyn Rules,
    /// The route documents the text of an error as a member of its own too.
    pub has_error_member: bool,
    /// The route speaks RFC 6749.
    pub is_oauth: bool,
}

/// A failure that is about to be told.
pub(crate) struct Told<'e> {
    pub error: &'e Error,
    pub status: StatusCode,
    pub request_id: &'e str,
    pub form: Form,
}

/// What a dialect does in its own way: how it reads a request, tells a failure and finishes an answer. What stands here
/// as a body is what most of them do.
pub(crate) trait Rules: Sync {
    /// Its name in the error catalog and beside the RPCs of the contract.
    fn id(&self) -> Dialect;

    /// Its name, as callers read it.
    fn name(&self) -> &'static str;

    /// Where its paths begin, in whole segments. The longest prefix of any dialect wins.
    fn prefixes(&self) -> &'static [&'static str];

    /// How much of the body is read; `None` when it is not looked at. Called before the body is read, with whether it is
    /// known to be empty.
    fn body_limit(&self, asked: &Asked<'_>, is_empty: bool) -> Result<Option<usize>, Error> {
        json::body_limit(asked, is_empty)
    }

    /// Whether a route that is open to all reads other bodies than JSON, such as the forms that any page may send.
    fn takes_forms(&self) -> bool {
        false
    }

    /// The body as it was before its client packed it.
    fn unpack(&self, _asked: &Asked<'_>, body: Bytes, _hold: &mut Hold) -> Result<Bytes, Error> {
        Ok(body)
    }

    /// Appends the request message of a route with a unary request.
    fn to_wire(&self, asked: &Asked<'_>, body: &Bytes, out: &mut Vec<u8>) -> Result<(), Error> {
        json::to_wire(asked, body, out)
    }

    /// Appends the first message of a route whose body is streamed: what stands beside the body.
    fn head_to_wire(&self, asked: &Asked<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        encode_query(asked.plans(), asked.route, asked.query(), out)?;
        encode_params(asked.plans(), asked.route, asked.values, out)
    }

    /// The failure as this dialect knows it.
    fn restate<'e>(&self, error: &'e Error, _form: Form) -> Cow<'e, Error> {
        Cow::Borrowed(error)
    }

    /// The body of a failure.
    fn error_body(&self, told: &Told<'_>) -> Value;

    /// Adds the headers of a failure that only this dialect has.
    fn error_headers(&self, _error: &Error, _headers: &mut HeaderMap) {}

    /// The value of `WWW-Authenticate` beside a 401.
    fn challenge(&self, _error: &Error) -> &'static str {
        "Bearer"
    }

    /// The media type of failures.
    fn error_media_type(&self) -> &'static str {
        "application/json"
    }

    /// Completes the headers of every answer below the dialect's prefixes.
    fn finish(&self, _headers: &mut HeaderMap) {}

    /// The status that `OPTIONS` answers.
    fn options_status(&self) -> StatusCode {
        StatusCode::NO_CONTENT
    }

    /// The parameter of paths that the direct form of a route goes without, with the segment that names it.
    fn omitted_param(&self) -> Option<&'static str> {
        None
    }

    /// The header with a credential, as an example shows it.
    fn credential_example(&self) -> &'static str {
        "x-api-key: $PORTOLAN_KEY"
    }

    /// The name of the schema of a route's failures in the OpenAPI document.
    fn error_schema_name(&self, _is_oauth: bool) -> String {
        let name = self.name();
        format!("{}{}Error", name[..1].to_uppercase(), &name[1..])
    }

    /// The schemas of its failures, with their names. `reasons` are the names of the catalog.
    fn error_schemas(&self, reasons: &[&str]) -> Vec<(String, Value)>;
}
