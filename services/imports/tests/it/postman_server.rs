//! A small server that speaks the Postman API over HTTP: workspaces, collections in pages, APIs with schemas, keys,
//! and a rate limit.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, Response};
use serde_json::{Value, json};

/// The only key that the server knows.
pub const KEY: &str = "PMAK-0123456789abcdef-0123";
pub const WORKSPACE: &str = "w-1";
pub const EMPTY_WORKSPACE: &str = "w-2";

pub struct PostmanServer {
    pub url: String,
    state: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    /// Requests that are answered by 429 before the next one is served.
    limited: usize,
    /// Requests that are answered by 500.
    broken: usize,
    calls: Vec<String>,
    apis: Vec<Value>,
    schemas: Vec<(String, String)>,
}

impl PostmanServer {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(Shared::default()));
        let router = Router::new().fallback(answer).with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, state }
    }

    pub fn limit_next(&self, requests: usize) {
        self.state.lock().unwrap().limited = requests;
    }

    pub fn break_next(&self, requests: usize) {
        self.state.lock().unwrap().broken = requests;
    }

    /// `METHOD path` of every request so far.
    pub fn calls(&self) -> Vec<String> {
        self.state.lock().unwrap().calls.clone()
    }

    /// The content of the schemas, by API id.
    pub fn schemas(&self) -> Vec<(String, String)> {
        self.state.lock().unwrap().schemas.clone()
    }
}

/// Collections of the account: more than one page of 100.
const COLLECTIONS: usize = 150;

async fn answer(State(state): State<Arc<Mutex<Shared>>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 24).await.unwrap();
    let mut state = state.lock().unwrap();
    let path = parts.uri.path().to_owned();
    state.calls.push(format!("{} {path}", parts.method));
    let respond = |status: u16, body: Value| Response::builder().status(status).body(Body::from(body.to_string()));
    if state.limited > 0 {
        state.limited -= 1;
        let limited = Response::builder().status(429).header("retry-after", "0.1");
        return limited.body(Body::from(r#"{"error":{"name":"rateLimited"}}"#)).unwrap();
    }
    if state.broken > 0 {
        state.broken -= 1;
        return respond(500, json!({})).unwrap();
    }
    if parts.headers.get("x-api-key").is_none_or(|key| key != KEY) {
        return respond(401, json!({"error": {"name": "AuthenticationError"}})).unwrap();
    }
    let query: Vec<(String, String)> =
        url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let asked = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (status, answer) = match (parts.method, segments.as_slice()) {
        (Method::GET, ["workspaces"]) => (
            200,
            json!({"workspaces": [{"id": WORKSPACE, "name": "Team", "type": "team"},
                {"id": EMPTY_WORKSPACE, "name": "Mine", "type": "personal"}]}),
        ),
        (Method::GET, ["workspaces", id]) if *id == WORKSPACE => (
            200,
            json!({"workspace": {"id": id, "name": "Team",
            "collections": [{"id": "c1", "uid": "1-c1", "name": "Books"}, {"id": "c2", "uid": "1-c2", "name": "Users"},
                {"id": "gone", "uid": "1-gone", "name": "Gone"}]}}),
        ),
        (Method::GET, ["workspaces", id]) if *id == EMPTY_WORKSPACE => {
            (200, json!({"workspace": {"id": id, "name": "Mine"}}))
        }
        (Method::GET, ["collections"]) => {
            let number = |name: &str, default: usize| asked(name).map_or(default, |text| text.parse().unwrap());
            let (limit, offset) = (number("limit", COLLECTIONS), number("offset", 0));
            let page = (offset..COLLECTIONS.min(offset + limit))
                .map(|n| json!({"uid": format!("1-{n}"), "name": format!("C {n}")}));
            (
                200,
                json!({"collections": page.collect::<Vec<_>>(), "meta": {"limit": limit, "offset": offset, "total": COLLECTIONS}}),
            )
        }
        (Method::GET, ["collections", "1-c1"]) => (
            200,
            json!({"collection": {
            "info": {"_postman_id": "c1", "name": "Books", "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"},
            "item": [{"name": "list", "request": {"method": "GET", "url": {"raw": "https://books.example.com/books?page=1",
                "protocol": "https", "host": ["books", "example", "com"], "path": ["books"], "query": [{"key": "page", "value": "1"}]}},
                "response": [{"code": 200, "status": "OK", "header": [], "body": "[]"}]},
              {"name": "nowhere", "request": {"method": "GET"}}]}}),
        ),
        (Method::GET, ["collections", "1-c2"]) => (
            200,
            json!({"collection": {"info": {"_postman_id": "c2", "name": "Users"},
            "item": [{"name": "me", "request": "https://users.example.com/me"}]}}),
        ),
        (Method::GET, ["apis"]) => {
            let name = asked("name");
            (
                200,
                json!({"apis": state.apis.iter().filter(|api| name.as_deref() == api["name"].as_str()).collect::<Vec<_>>()}),
            )
        }
        (Method::POST, ["apis"]) => {
            let given: Value = serde_json::from_slice(&body).unwrap();
            let api = json!({"id": format!("api-{}", state.apis.len() + 1), "name": given["api"]["name"], "workspace": asked("workspace")});
            state.apis.push(api.clone());
            (200, json!({"api": api}))
        }
        (Method::GET, ["apis", id]) => {
            let known = state.schemas.iter().any(|(api, _)| api == id);
            (
                200,
                json!({"id": id, "schemas": if known { json!([{"id": "s-1", "type": "openapi:3"}]) } else { json!([]) }}),
            )
        }
        (Method::POST, ["apis", id, "schemas"]) => {
            let given: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((&given["type"], &given["files"][0]["path"]), (&json!("openapi:3"), &json!("index.json")));
            state.schemas.push(((*id).to_owned(), given["files"][0]["content"].as_str().unwrap().to_owned()));
            (200, json!({"id": "s-1"}))
        }
        (Method::PUT, ["apis", id, "schemas", "s-1", "files", "index.json"]) => {
            let given: Value = serde_json::from_slice(&body).unwrap();
            let schema = state.schemas.iter_mut().find(|(api, _)| api == id).unwrap();
            schema.1 = given["content"].as_str().unwrap().to_owned();
            (200, json!({}))
        }
        _ => (404, json!({"error": {"name": "instanceNotFoundError"}})),
    };
    respond(status, answer).unwrap()
}
