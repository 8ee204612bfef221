//! A request as it would be sent, and the records of it.

use std::collections::BTreeMap;

use portolan_record::{Record, Source};

use crate::tree::Node;
use crate::{ImportError, Target};

use super::auth::Auth;
use super::body::Body;
use super::outcome::RequestOutcome;
use super::scope::{Scope, is_disabled};
use super::url::Address;

/// What of a request does not depend on its answers.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: String,
    pub(super) address: Address,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Body,
}

/// A saved answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    pub(super) status_code: i32,
    pub(super) status: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

/// The outcome of a request that has no record.
pub(super) fn refused(name: String, url: String, method: String, error: &str) -> RequestOutcome {
    let errors = vec![ImportError::error(error.to_owned())];
    RequestOutcome { name, url, method, records: Vec::new(), errors }
}

/// The outcome of a request with its saved answers, each with the call that it answers.
pub(super) fn outcome(
    name: String,
    own: Call,
    answers: Vec<(Call, Answer)>,
    auth: &Auth,
    target: &Target,
) -> RequestOutcome {
    let mut errors = Vec::new();
    if let Auth::Unknown(kind) = auth {
        errors.push(ImportError::warning(format!("Error while getting auth map for {name} : {kind} is not known")));
    }
    // Without a successful answer nothing else would show the endpoint.
    let shown = |answer: &Answer| matches!(answer.status_code, 0 | 200..300 | 302);
    let alone = !answers.iter().any(|(call, answer)| call.address.url == own.address.url && shown(answer));
    let mut records = Vec::with_capacity(answers.len() + usize::from(alone));
    if alone {
        records.push(record(&own, &Answer::default(), target));
    }
    records.extend(answers.iter().map(|(call, answer)| record(call, answer, target)));
    RequestOutcome { name, url: own.address.url, method: own.method, records, errors }
}

fn record(call: &Call, answer: &Answer, target: &Target) -> Record<'static> {
    let mut path = call.address.url.clone();
    if !call.address.query.is_empty() {
        path = format!("{path}?{}", call.address.query);
    }
    Record {
        account_id: target.account_id,
        collection_id: target.collection_id,
        // The source makes an endpoint of a call without answer.
        source: Source::Postman,
        method: call.method.clone().into(),
        path: path.into(),
        protocol: "HTTP/1.1".into(),
        request_headers: json(&call.headers).into(),
        request_payload: call.body.text.clone().into(),
        response_headers: json(&answer.headers).into(),
        response_payload: answer.body.clone().into(),
        status_code: answer.status_code,
        status: answer.status.clone().into(),
        time: target.time,
        ip: "null".into(),
        direction: 1,
        ..Record::default()
    }
}

fn json(headers: &BTreeMap<String, String>) -> String {
    if headers.is_empty() { String::new() } else { serde_json::to_string(headers).expect("text always serializes") }
}

impl Call {
    /// Adds what follows from the address, the body and the authentication, unless the request writes it itself.
    pub(super) fn complete(mut self, auth: &Auth) -> Self {
        if let Some(host) = &self.address.host {
            self.headers.entry("host".to_owned()).or_insert_with(|| host.clone());
        }
        if let Some(media_type) = self.body.media_type {
            self.headers.entry("content-type".to_owned()).or_insert_with(|| media_type.to_owned());
            // The boundary is this converter's own, so its media type counts.
            if media_type.starts_with("multipart/") {
                self.headers.insert("content-type".to_owned(), media_type.to_owned());
            }
        }
        match auth {
            Auth::Header(name, value) => {
                self.headers.entry(name.clone()).or_insert_with(|| value.clone());
            }
            Auth::Query(name, value) => {
                let separator = if self.address.query.is_empty() { "" } else { "&" };
                self.address.query = format!("{}{separator}{name}={value}", self.address.query);
            }
            Auth::None | Auth::Unknown(_) => {}
        }
        self
    }
}

/// Reads headers: a list of `key` and `value` (in version 1 also `name`), or lines of text. Names are lower-case.
pub(super) fn headers(node: Option<&Node>, scope: &Scope<'_>) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    let mut add = |name: &str, value: &str| {
        let name = scope.resolve(name).trim().to_lowercase();
        let value = scope.resolve(value).trim().to_owned();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return;
        }
        match headers.get_mut(&name) {
            Some(cookies) if name == "cookie" => *cookies = format!("{cookies}; {value}"),
            Some(cookies) if name == "set-cookie" => *cookies = format!("{cookies}\n{value}"),
            _ => drop(headers.insert(name, value)),
        }
    };
    match node {
        Some(Node::List(list)) => {
            for header in list.iter().filter(|header| !is_disabled(header)) {
                if let Node::Text(line) = header {
                    if let Some((name, value)) = line.split_once(':') {
                        add(name, value);
                    }
                    continue;
                }
                let name = header.get("key").or_else(|| header.get("name")).and_then(Node::scalar);
                let value = header.get("value").and_then(Node::scalar).unwrap_or_default();
                add(&name.unwrap_or_default(), &value);
            }
        }
        Some(Node::Text(lines)) => {
            // Two slashes disable a line.
            for line in lines.lines().filter(|line| !line.trim_start().starts_with("//")) {
                if let Some((name, value)) = line.split_once(':') {
                    add(name, value);
                }
            }
        }
        Some(Node::Map(map)) => {
            for (name, value) in map.iter() {
                add(name, &value.scalar().unwrap_or_default());
            }
        }
        _ => {}
    }
    headers
}

/// The status of an answer: 0 when it has none that can be one.
pub(super) fn status_code(node: Option<&Node>) -> i32 {
    let text = node.and_then(Node::scalar).unwrap_or_default();
    text.trim().parse().ok().filter(|code| (0..=999).contains(code)).unwrap_or(0)
}
