//! The Postman API as far as it is used here. Answers of others are read leniently and never trusted for their size.

use std::time::Duration;

use portolan_api::Reason;
use portolan_fetch::{FetchError, Request, Response};
use portolan_ids::WorkspaceId;
use portolan_jobs::Pulse;
use serde_json::{Value, json};

use crate::model::text::without_nul;
use crate::{Deps, Error};

/// Largest collection or schema.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
const TIME_MAX: Duration = Duration::from_secs(60);
/// Entries of one page, and pages that are asked for.
const PAGE: usize = 100;
const PAGES_MAX: usize = 100;
/// Attempts of a call that meets a failure of Postman.
const ATTEMPTS_MAX: u32 = 3;
/// How long a call within a request waits for Postman's rate limit, and one within a job.
pub const PATIENCE_OF_REQUEST: Duration = Duration::from_secs(3);
pub const PATIENCE_OF_JOB: Duration = Duration::from_secs(600);
/// The media type of the API version that knows schemas of several files.
const V10: &str = "application/vnd.api.v10+json";

/// Why Postman gave no answer that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    #[error("Invalid postman key")]
    Key,
    #[error("Postman has no such thing")]
    NotFound,
    #[error("Postman cannot be reached: {0}")]
    Unavailable(String),
    /// The process ends; the same call is made at the next start.
    #[error("the process is ending")]
    Stopping,
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Key => Reason::PostmanKeyInvalid.into(),
            ApiError::NotFound => Reason::PostmanCollectionNotFound.into(),
            ApiError::Unavailable(detail) => {
                portolan_api::Error::new(Reason::PostmanUnavailable).with("detail", detail).into()
            }
            ApiError::Stopping => portolan_jobs::Error::Stopping.into(),
        }
    }
}

/// A workspace or collection as lists name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    pub id: String,
    pub name: String,
    pub kind: String,
}

/// The API with one key.
pub struct Client<'d> {
    fetch: &'d portolan_fetch::Fetch,
    url: &'d str,
    key: &'d str,
    patience: Duration,
    pulse: Option<&'d Pulse>,
}

impl<'d> Client<'d> {
    pub fn new(deps: &'d Deps, key: &'d str, patience: Duration, pulse: Option<&'d Pulse>) -> Self {
        Self { fetch: &deps.postman, url: deps.postman_url.trim_end_matches('/'), key, patience, pulse }
    }

    /// The workspaces that the key sees.
    pub async fn workspaces(&self) -> Result<Vec<Named>, ApiError> {
        self.listed("workspaces", "workspaces", "id").await
    }

    /// The collections that the key sees.
    pub async fn collections(&self) -> Result<Vec<Named>, ApiError> {
        self.listed("collections", "collections", "uid").await
    }

    /// The collections of a workspace.
    pub async fn workspace_collections(&self, workspace_id: &WorkspaceId) -> Result<Vec<Named>, ApiError> {
        let answer = self.call(Request::get(self.at(&["workspaces", workspace_id.as_str()], &[]))).await?;
        let workspace = answer.get("workspace").filter(|workspace| workspace.is_object()).ok_or(ApiError::NotFound)?;
        Ok(named(&workspace["collections"], "uid"))
    }

    /// A collection as Postman answers it.
    pub async fn collection(&self, uid: &str) -> Result<Vec<u8>, ApiError> {
        let response = self.send(Request::get(self.at(&["collections", uid], &[]))).await?;
        Ok(response.body.to_vec())
    }

    /// The id of the API with this name in a workspace.
    pub async fn find_api(&self, name: &str, workspace_id: &WorkspaceId) -> Result<Option<String>, ApiError> {
        let url = self.at(&["apis"], &[("name", name), ("workspace", workspace_id.as_str())]);
        let answer = self.call(Request::get(url)).await?;
        let found = named(&answer["apis"], "id").into_iter().find(|api| api.name == name);
        Ok(found.map(|api| api.id))
    }

    pub async fn create_api(&self, name: &str, workspace_id: &WorkspaceId, summary: &str) -> Result<String, ApiError> {
        let body = json!({ "api": { "name": name, "summary": summary, "description": summary } });
        let url = self.at(&["apis"], &[("workspace", workspace_id.as_str())]);
        let answer = self.call(Request::post(url).json(&body)).await?;
        let id = text(&answer["api"]["id"]).or_else(|| text(&answer["id"]));
        id.ok_or_else(|| ApiError::Unavailable("it did not say the id of the new API".to_owned()))
    }

    /// The id of the first schema of an API.
    pub async fn first_schema(&self, api_id: &str) -> Result<Option<String>, ApiError> {
        let url = self.at(&["apis", api_id], &[("include", "schemas")]);
        let answer = self.call(Request::get(url).header("accept", V10)).await?;
        let schemas = answer.get("schemas").or_else(|| answer["api"].get("schemas")).unwrap_or(&Value::Null);
        Ok(named(schemas, "id").into_iter().next().map(|schema| schema.id))
    }

    pub async fn create_schema(&self, api_id: &str, content: &str) -> Result<(), ApiError> {
        let body = json!({ "type": "openapi:3", "files": [{ "path": INDEX, "content": content }] });
        let url = self.at(&["apis", api_id, "schemas"], &[]);
        self.send(Request::post(url).header("accept", V10).json(&body)).await.map(drop)
    }

    /// Writes the schema's file, which is made when it is missing.
    pub async fn update_schema(&self, api_id: &str, schema_id: &str, content: &str) -> Result<(), ApiError> {
        let url = self.at(&["apis", api_id, "schemas", schema_id, "files", INDEX], &[]);
        let request = Request::new(http::Method::PUT, url).header("accept", V10);
        self.send(request.json(&json!({ "content": content }))).await.map(drop)
    }

    fn at(&self, path: &[&str], query: &[(&str, &str)]) -> String {
        let Ok(mut url) = url::Url::parse(self.url) else { return self.url.to_owned() };
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url.into()
    }

    /// Reads a list page by page, for servers that page it.
    async fn listed(&self, path: &str, member: &str, id: &str) -> Result<Vec<Named>, ApiError> {
        let mut listed: Vec<Named> = Vec::new();
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let (limit, offset) = (PAGE.to_string(), listed.len().to_string());
            let mut query = vec![("limit", limit.as_str()), ("offset", offset.as_str())];
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let answer = self.call(Request::get(self.at(&[path], &query))).await?;
            let page = named(&answer[member], id);
            let before = listed.len();
            // A server that knows no pages answers the same again.
            listed.extend(page.into_iter().filter(|entry| !listed.contains(entry)).collect::<Vec<_>>());
            let meta = &answer["meta"];
            cursor = text(&meta["nextCursor"]).or_else(|| text(&answer["nextCursor"])).filter(|next| !next.is_empty());
            let total = meta["total"].as_u64().unwrap_or(0);
            if listed.len() == before || (cursor.is_none() && total <= listed.len() as u64) {
                break;
            }
        }
        Ok(listed)
    }

    async fn call(&self, request: Request) -> Result<Value, ApiError> {
        let response = self.send(request).await?;
        serde_json::from_slice(&response.body).map_err(|_| ApiError::Unavailable("its answer is not JSON".to_owned()))
    }

    /// Sends a request; waits as long as Postman asks, and repeats what failed on its side.
    async fn send(&self, request: Request) -> Result<Response, ApiError> {
        let request = request.secret_header("x-api-key", self.key).time_max(TIME_MAX).bytes_max(ANSWER_BYTES_MAX);
        let mut patience = self.patience;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let answer = self.fetch.send(request.clone()).await;
            let (pause, reason) = match answer {
                Ok(response) if response.status.is_success() => return Ok(response),
                Ok(response) => match response.status.as_u16() {
                    401 | 403 => return Err(ApiError::Key),
                    400 | 404 => return Err(ApiError::NotFound),
                    429 => {
                        attempt = 0;
                        (retry_after(&response), "it limits the rate of calls".to_owned())
                    }
                    status => (Duration::from_secs(1), format!("it answered {status}")),
                },
                Err(error @ (FetchError::NoAnswer | FetchError::TooSlow(_))) => {
                    (Duration::from_secs(1), error.to_string())
                }
                Err(error) => return Err(ApiError::Unavailable(error.to_string())),
            };
            if attempt >= ATTEMPTS_MAX || pause > patience {
                return Err(ApiError::Unavailable(reason));
            }
            patience -= pause;
            self.pause(pause).await?;
        }
    }

    async fn pause(&self, pause: Duration) -> Result<(), ApiError> {
        const STEP: Duration = Duration::from_millis(100);
        let until = tokio::time::Instant::now() + pause;
        while tokio::time::Instant::now() < until {
            if let Some(pulse) = self.pulse {
                if pulse.is_stopped() {
                    return Err(ApiError::Stopping);
                }
                pulse.beat();
            }
            tokio::time::sleep(STEP.min(pause)).await;
        }
        Ok(())
    }
}

/// The file of a schema.
const INDEX: &str = "index.json";

/// How long Postman asks to wait: a second when it does not say.
fn retry_after(response: &Response) -> Duration {
    let seconds = ["retry-after", "x-ratelimit-retryafter", "ratelimit-reset"]
        .into_iter()
        .find_map(|name| response.header(name).trim().parse::<f64>().ok());
    Duration::try_from_secs_f64(seconds.unwrap_or(1.0).clamp(0.1, 86_400.0)).unwrap_or(Duration::from_secs(1))
}

fn named(list: &Value, id: &str) -> Vec<Named> {
    let entry = |entry: &Value| {
        let id = text(&entry[id]).or_else(|| text(&entry["id"])).or_else(|| text(entry))?;
        let member = |name: &str| text(&entry[name]).unwrap_or_default();
        Some(Named { id, name: member("name"), kind: member("type") })
    };
    list.as_array().into_iter().flatten().filter_map(entry).collect()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(without_nul(text.clone())),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
