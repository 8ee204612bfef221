//! Calls with their answers, in a form that is the same in each run.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Value, json};

use crate::server::Server;

/// Members that hold ids of collections.
const IDS: [&str; 6] = ["id", "apiCollectionId", "apiCollectionIds", "collectionId", "collectionIds", "akto_vxlan_id"];

/// What stands between ids and codes.
const APART: [char; 6] = ['/', '?', '&', '=', ':', ' '];

/// Calls and answers so far.
pub struct Golden<'s> {
    pub server: &'s Server,
    names: BTreeMap<i64, &'static str>,
    written: String,
    started_at: i64,
}

/// Who calls.
#[derive(Clone, Copy)]
pub enum By<'c> {
    /// The administrator, by `x-api-key`.
    Admin,
    /// Whose credential stands in `Authorization: Bearer`.
    Bearer(&'c str),
    Nobody,
}

impl<'s> Golden<'s> {
    pub fn new(server: &'s Server) -> Self {
        let started_at = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
        Self { server, names: BTreeMap::new(), written: String::new(), started_at }
    }

    pub fn into_text(self) -> String {
        self.written
    }

    pub fn forget_names(&mut self) {
        self.names.clear();
    }

    /// Calls, notes the answer, and waits for the job that it names.
    pub async fn post(&mut self, path: &str, body: Value) -> Value {
        self.call(By::Admin, "POST", path, path, body).await
    }

    pub async fn get(&mut self, route: &str, target: &str) -> Value {
        self.call(By::Admin, "GET", route, target, Value::Null).await
    }

    /// A route as the contract writes it, and the path and query that were called; a body that is null is none.
    pub async fn call(&mut self, by: By<'_>, verb: &str, route: &str, target: &str, body: Value) -> Value {
        let client = reqwest::Client::new();
        let mut request = client.request(verb.parse().unwrap(), format!("{}{target}", self.server.http));
        request = match by {
            By::Admin => request.header("x-api-key", &self.server.api_key),
            By::Bearer(credential) => request.bearer_auth(credential),
            By::Nobody => request,
        };
        if !body.is_null() {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = self.server.send(request).await.unwrap();
        let found = if answer.body.is_empty() { Value::Null } else { answer.json() };
        self.note(verb, route, target, &body, answer.status, &found);
        if let Some(job_id) = found["jobId"].as_str() {
            self.server.wait_for_job(job_id).await;
        }
        found
    }

    /// Makes a collection and notes the answer under its name.
    pub async fn create(&mut self, path: &str, name: &'static str) -> i64 {
        let body = json!({ "collectionName": name });
        let made = self.server.post(path, body.clone()).await.expect(200).json();
        let id = made["apiCollections"][0]["id"].as_i64().unwrap();
        self.names.insert(id, name);
        self.note("POST", path, path, &body, 200, &made);
        id
    }

    fn note(&mut self, verb: &str, route: &str, target: &str, body: &Value, status: u16, answer: &Value) {
        let target = self.steady_target(target);
        let (body, answer) = (self.steady("", body), self.steady("", answer));
        writeln!(self.written, "{verb} {route}").unwrap();
        if target != route {
            writeln!(self.written, "{target}").unwrap();
        }
        if !body.is_null() {
            writeln!(self.written, "{body}").unwrap();
        }
        writeln!(self.written, "{status} {answer}\n").unwrap();
    }

    /// The segments and parameters of a path, or the words of a text, each on its own.
    fn steady_target(&self, target: &str) -> String {
        let (mut steady, mut before) = (String::new(), "");
        for part in target.split_inclusive(APART) {
            let (text, end) = part.split_at(part.trim_end_matches(APART).len());
            // A number is the id of a collection where it follows `collections/`, `collectionId=` or `collection ID: `.
            let is_id = before == "collections" || before == "ID" || IDS.contains(&before);
            let text_or_name = if is_id { self.named(text) } else { self.steady_text(text) };
            steady.push_str(&text_or_name);
            steady.push_str(end);
            before = if text.is_empty() { before } else { text };
        }
        steady
    }

    /// A value with what differs from run to run named; `key` is the last name above it.
    fn steady(&self, key: &str, value: &Value) -> Value {
        match value {
            Value::Number(number) => {
                let number = number.as_i64().unwrap_or_default();
                match self.names.get(&number).filter(|_| IDS.contains(&key)) {
                    Some(name) => json!(format!("<{name}>")),
                    None if self.is_now(number) || self.is_now(number / 1000) => json!("<now>"),
                    None if key == "sequence" => json!("<number>"),
                    None if key == "ts" && self.is_now(number * 60) => json!("<minute>"),
                    None => value.clone(),
                }
            }
            Value::String(text) if IDS.contains(&key) && self.named(text) != *text => json!(self.named(text)),
            Value::String(text) if key == "nextPageToken" && !text.is_empty() => json!("<page token>"),
            // The key of the installation's web push.
            Value::String(_) if key == "publicKey" => json!("<key>"),
            // A proxy is in between, or none.
            Value::String(_) if key == "clientAddress" => json!("<address>"),
            Value::String(_) if key == "hash" => json!("<digest>"),
            Value::String(_) if key == "subDomain" => json!("<sub-domain>"),
            Value::String(text) => json!(self.steady_text(text)),
            Value::Array(list) => list.iter().map(|member| self.steady(key, member)).collect(),
            Value::Object(members) => {
                let entry = |(name, member): (&String, &Value)| {
                    (self.named(&self.steady_text(name)), self.steady(name, member))
                };
                members.iter().map(entry).collect()
            }
            _ => value.clone(),
        }
    }

    fn is_now(&self, time: i64) -> bool {
        (self.started_at - 60..self.started_at + 3_600).contains(&time)
    }

    /// A time as RFC 3339 writes it.
    fn is_now_in_words(&self, text: &str) -> bool {
        use time::{OffsetDateTime, format_description::well_known::Rfc3339};
        OffsetDateTime::parse(text, &Rfc3339).is_ok_and(|time| self.is_now(time.unix_timestamp()))
    }

    /// The name for the id of a collection.
    fn named(&self, text: &str) -> String {
        let name = text.parse::<i64>().ok().and_then(|id| self.names.get(&id));
        name.map_or_else(|| text.to_owned(), |name| format!("<{name}>"))
    }

    fn steady_text(&self, text: &str) -> String {
        const UPLOAD_CHARS: usize = 24;
        let is_hex = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if text.len() == 36 && text.split('-').all(is_hex) {
            return "<uuid>".to_owned();
        }
        if let Some((upload, rest)) = text.split_at_checked(UPLOAD_CHARS)
            && is_hex(upload)
            && (rest.is_empty() || rest.starts_with('-'))
        {
            return format!("<upload>{rest}");
        }
        if text.parse().is_ok_and(|time| self.is_now(time)) || self.is_now_in_words(text) {
            return "<now>".to_owned();
        }
        if let Some(name) = secret_name(text) {
            return name.to_owned();
        }
        match serde_json::from_str::<Value>(text) {
            Ok(document) if document.is_object() => self.steady("", &document).to_string(),
            // Links hold codes, and texts of errors name ids.
            _ if text.contains(APART) => self.steady_target(text),
            _ => text.to_owned(),
        }
    }
}

/// What stands for a credential, or for an id that is drawn by chance.
fn secret_name(text: &str) -> Option<&'static str> {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    match text {
        _ if text.len() == 64 && is_hex(text) => Some("<secret>"),
        _ if text.len() == 43 && text.bytes().all(is_base64url) => Some("<code>"),
        _ if text.starts_with("ptk*") => Some("ptk*********<end>"),
        _ if text.len() == 8 && text.strip_prefix("****").is_some_and(is_hex) => Some("****<end>"),
        _ if text.len() == 40 && (text.starts_with("ptk") || text.starts_with("pto")) => Some("<key>"),
        _ if text.starts_with("tok_") => Some("<api token>"),
        _ if text.starts_with("org_") => Some("<organization>"),
        _ => None,
    }
}
