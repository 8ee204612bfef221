use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    BoundExceeded, Declaration, Source, bounds,
    quick::{self, Members},
};

/// One record of the ingest topic. Text members borrow from the parsed bytes where they need no unescaping.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record<'a> {
    /// The account that it is for.
    pub account_id: i64,
    /// The target collection (`akto_vxlan_id`); 0 when the record names none.
    pub collection_id: i64,
    /// How it reached the inventory.
    pub source: Source,
    /// As sent: any case, any verb.
    pub method: Cow<'a, str>,
    /// Path or absolute URL, with its query.
    pub path: Cow<'a, str>,
    /// Protocol, such as `HTTP/1.1`.
    pub protocol: Cow<'a, str>,
    /// A JSON object of name to value, as text; empty means none.
    pub request_headers: Cow<'a, str>,
    /// The body of the request, empty where there is none.
    pub request_payload: Cow<'a, str>,
    /// A JSON object of name to value, as text; empty means none.
    pub response_headers: Cow<'a, str>,
    /// The body of the answer, empty where there is none.
    pub response_payload: Cow<'a, str>,
    /// Of the answer.
    pub status_code: i32,
    /// Reason phrase.
    pub status: Cow<'a, str>,
    /// Unix seconds; 0 when the sender did not know.
    pub time: i64,
    /// Client address; the text `null` for imports.
    pub ip: Cow<'a, str>,
    /// The address that was called, empty where it is not known.
    pub dest_ip: Cow<'a, str>,
    /// 1 incoming, 2 outgoing.
    pub direction: i32,
    /// A pending call is not counted.
    pub pending: bool,
    /// A JSON object of collection tags, as text; empty means none.
    pub tags: Cow<'a, str>,
    /// What a specification says of the call.
    pub declaration: Option<Box<Declaration>>,
}

/// Why a record cannot be read. The text goes to the operator beside the rejected record.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the text of each variant says when it occurs")]
pub enum RecordError {
    #[error("record is not a JSON object of the documented form: {0}")]
    Json(#[from] serde_json::Error),
    #[error("record has no member `{0}`")]
    Missing(&'static str),
    #[error("record member `{0}` is not a number")]
    NotANumber(&'static str),
    #[error("record member `source` names no known source: {0}")]
    UnknownSource(String),
    #[error(transparent)]
    Bound(#[from] BoundExceeded),
}

impl<'a> Record<'a> {
    /// Reads one record.
    ///
    /// # Errors
    /// [`RecordError`] when the text is no JSON object, when `method`, `path`, `statusCode` or `time` is missing or
    /// unreadable, when `source` is unknown, or when the record exceeds a bound.
    pub fn parse(json: &'a str) -> Result<Self, RecordError> {
        bounds::check_size(json.len())?;
        let (members, declaration) = match quick::read(json) {
            Some(members) => (members, None),
            None => serde_json::from_str::<Wire<'a>>(json)?.members()?,
        };
        let [
            method,
            path,
            protocol,
            request_headers,
            request_payload,
            response_headers,
            response_payload,
            status_code,
            status,
            time,
            ip,
            dest_ip,
            direction,
            account_id,
            collection_id,
            pending,
            source,
            tags,
        ] = members;
        let source = match source {
            name if name.is_empty() => Source::Other,
            name => Source::from_name(&name).ok_or_else(|| RecordError::UnknownSource(name.into_owned()))?,
        };
        if method.is_empty() {
            return Err(RecordError::Missing("method"));
        }
        if path.is_empty() {
            return Err(RecordError::Missing("path"));
        }
        let record = Self {
            account_id: number(&account_id, "akto_account_id")?.unwrap_or(0),
            collection_id: collection_id.parse().unwrap_or(0).max(0),
            source,
            method,
            path,
            protocol,
            request_headers,
            request_payload,
            response_headers,
            response_payload,
            status_code: number(&status_code, "statusCode")?
                .ok_or(RecordError::Missing("statusCode"))?
                .try_into()
                .map_err(|_| RecordError::NotANumber("statusCode"))?,
            status,
            time: number(&time, "time")?.ok_or(RecordError::Missing("time"))?.max(0),
            ip,
            dest_ip,
            direction: direction.parse().unwrap_or(1),
            pending: !matches!(&*pending, "" | "false"),
            tags,
            declaration,
        };
        record.check_bounds()?;
        Ok(record)
    }

    /// Checks everything but the size of the written record.
    ///
    /// # Errors
    /// The first bound that is exceeded.
    pub fn check_bounds(&self) -> Result<(), BoundExceeded> {
        let declared = self.declaration.as_ref().map_or(0, |declaration| declaration.parameters.len());
        bounds::check(&self.path, declared)
    }

    /// The record in its wire form, if it keeps every bound.
    ///
    /// # Errors
    /// The first bound that is exceeded.
    pub fn to_bounded_json(&self) -> Result<String, BoundExceeded> {
        self.check_bounds()?;
        let json = self.to_json();
        bounds::check_size(json.len())?;
        Ok(json)
    }

    /// Writes the record in its wire form.
    pub fn to_json(&self) -> String {
        let wire = WireOut {
            method: &self.method,
            path: &self.path,
            protocol: &self.protocol,
            request_headers: &self.request_headers,
            request_payload: &self.request_payload,
            response_headers: &self.response_headers,
            response_payload: &self.response_payload,
            status_code: self.status_code.to_string(),
            status: &self.status,
            time: self.time.to_string(),
            ip: &self.ip,
            dest_ip: &self.dest_ip,
            direction: self.direction.to_string(),
            akto_account_id: self.account_id.to_string(),
            akto_vxlan_id: self.collection_id.to_string(),
            is_pending: if self.pending { "true" } else { "false" },
            source: self.source.name(),
            tags: &self.tags,
            declaration: self.declaration.as_deref(),
        };
        serde_json::to_string(&wire).expect("text and numbers always serialize")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    path: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "type")]
    protocol: Option<&'a RawValue>,
    #[serde(borrow, default)]
    request_headers: Option<&'a RawValue>,
    #[serde(borrow, default)]
    request_payload: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response_headers: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response_payload: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status_code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    #[serde(borrow, default)]
    time: Option<&'a RawValue>,
    #[serde(borrow, default)]
    ip: Option<&'a RawValue>,
    #[serde(borrow, default)]
    dest_ip: Option<&'a RawValue>,
    #[serde(borrow, default)]
    direction: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "akto_account_id")]
    akto_account_id: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "akto_vxlan_id")]
    akto_vxlan_id: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "is_pending")]
    is_pending: Option<&'a RawValue>,
    #[serde(borrow, default)]
    source: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tags: Option<&'a RawValue>,
    #[serde(default)]
    declaration: Option<Box<Declaration>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireOut<'r> {
    method: &'r str,
    path: &'r str,
    #[serde(rename = "type")]
    protocol: &'r str,
    request_headers: &'r str,
    request_payload: &'r str,
    response_headers: &'r str,
    response_payload: &'r str,
    status_code: String,
    status: &'r str,
    time: String,
    ip: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    dest_ip: &'r str,
    direction: String,
    #[serde(rename = "akto_account_id")]
    akto_account_id: String,
    #[serde(rename = "akto_vxlan_id")]
    akto_vxlan_id: String,
    #[serde(rename = "is_pending")]
    is_pending: &'static str,
    source: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    tags: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    declaration: Option<&'r Declaration>,
}

impl<'a> Wire<'a> {
    /// The members in the order of [`quick::NAMES`], and what is declared.
    fn members(self) -> Result<(Members<'a>, Option<Box<Declaration>>), RecordError> {
        let members = [
            text(self.method)?,
            text(self.path)?,
            text(self.protocol)?,
            text(self.request_headers)?,
            text(self.request_payload)?,
            text(self.response_headers)?,
            text(self.response_payload)?,
            text(self.status_code)?,
            text(self.status)?,
            text(self.time)?,
            text(self.ip)?,
            text(self.dest_ip)?,
            text(self.direction)?,
            text(self.akto_account_id)?,
            text(self.akto_vxlan_id)?,
            text(self.is_pending)?,
            text(self.source)?,
            text(self.tags)?,
        ];
        Ok((members, self.declaration))
    }
}

/// The text of a member that may be a string, a number, a boolean, an object written in place, or null.
fn text(value: Option<&RawValue>) -> Result<Cow<'_, str>, RecordError> {
    let Some(value) = value else { return Ok(Cow::Borrowed("")) };
    let raw = value.get();
    match raw.as_bytes().first() {
        Some(b'"') => Ok(serde_json::from_str::<Text<'_>>(raw)?.0),
        _ if raw == "null" => Ok(Cow::Borrowed("")),
        _ => Ok(Cow::Borrowed(raw)),
    }
}

/// A text, borrowed where it needs no unescaping.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn number(text: &str, name: &'static str) -> Result<Option<i64>, RecordError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| RecordError::NotANumber(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let record = Record {
            account_id: 1_000_000,
            collection_id: 7,
            source: Source::Har,
            method: "POST".into(),
            path: "https://api.example.com/books?page=1".into(),
            request_headers: r#"{"host":"api.example.com"}"#.into(),
            response_payload: "{\"id\":7}\n".into(),
            status_code: 201,
            time: 1_756_885_500,
            direction: 1,
            ..Record::default()
        };
        let json = record.to_json();
        assert_eq!(Record::parse(&json).unwrap(), record);
    }

    #[test]
    fn escapes_are_read_as_json_has_them() {
        for text in [
            "",
            "plain é",
            "\"",
            "\\\\\"",
            "{\"a\": \"b\\n\"}\n\r\t",
            "a/b",
            "\u{8}\u{c}\u{0}",
            "é\"é\\é",
            "\u{1f600}\"",
        ] {
            let record =
                Record { method: "GET".into(), path: "/".into(), request_payload: text.into(), ..Record::default() };
            assert_eq!(Record::parse(&record.to_json()).unwrap().request_payload, text);
        }
        let written = r#"{"method":"G\u0045T","path":"\/a\ud83d\ude00\"","statusCode":"1","time":"1"}"#;
        let record = Record::parse(written).unwrap();
        assert_eq!((&*record.method, &*record.path), ("GET", "/a\u{1f600}\""));
    }

    #[test]
    fn numbers_stand_for_strings() {
        let record = Record::parse(
            r#"{"method":"GET","path":"/a","statusCode":200,"time":5,"akto_vxlan_id":-3,"akto_account_id":1,"requestHeaders":null}"#,
        )
        .unwrap();
        assert_eq!((record.status_code, record.time, record.collection_id, record.account_id), (200, 5, 0, 1));
        assert_eq!(record.request_headers, "");
    }

    #[test]
    fn refuses_records_without_what_is_required() {
        let check = |json: &str, reason: &str| {
            let error = Record::parse(json).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        };
        check("7", "JSON object");
        check(r#"{"method":"GET","path":"/a","time":"1"}"#, "statusCode");
        check(r#"{"method":"GET","path":"/a","statusCode":"x","time":"1"}"#, "statusCode");
        check(r#"{"method":"GET","path":"/a","statusCode":"200"}"#, "time");
        check(r#"{"method":"GET","path":"/a","statusCode":"200","time":"1","source":"FOO"}"#, "FOO");
    }
}
