//! Version 1: `requests` in one list, `folders` that name them.

use std::collections::HashMap;
use std::ops::ControlFlow;

use crate::Target;
use crate::foreign::REQUESTS;
use crate::notes::{Notes, cut};
use crate::tree::{Map, Node};

use super::auth::{self, Auth};
use super::body::{self, Body};
use super::call::{self, Answer, Call, headers, status_code};
use super::outcome::RequestOutcome;
use super::scope::{Scope, variables};
use super::url::{self, PathVariables};

type Sink<'s> = dyn FnMut(RequestOutcome) -> ControlFlow<()> + 's;

/// Folders above a request that are looked at; a cycle of them ends here.
const DEPTH_MAX: usize = 64;

/// Members of a collection and of a request that are read or hold no requests of their own.
const COLLECTION: [&str; 9] =
    ["requests", "folders", "order", "folders_order", "auth", "variables", "variable", "events", "collections"];
const REQUEST: [&str; 10] = [
    "url",
    "auth",
    "headerData",
    "headers",
    "data",
    "graphqlModeData",
    "pathVariables",
    "pathVariableData",
    "queryParams",
    "responses",
];
const FOLDER: [&str; 6] = ["order", "folders_order", "auth", "variables", "variable", "events"];

pub(super) fn convert(
    collection: &Map,
    scope: &Scope<'_>,
    target: &Target,
    sink: &mut Sink<'_>,
    notes: &mut Notes,
) -> ControlFlow<()> {
    notes.unread(collection, &COLLECTION, "the collection", &REQUESTS);
    for folder in collection.get("folders").and_then(Node::as_list).unwrap_or_default() {
        let name = folder.get("name").and_then(Node::scalar).unwrap_or_default();
        if let Some(map) = folder.as_map() {
            notes.unread(map, &FOLDER, &format!("folder {}", cut(&name)), &REQUESTS);
        }
    }
    if collection.get("requests").is_some_and(|requests| !matches!(requests, Node::List(_) | Node::Null)) {
        notes.warn("the collection: `requests` is not a list and left out".to_owned());
    }
    let folders = Folders::read(collection);
    let own = auth::read(collection.get("auth"), scope).unwrap_or_default();
    for request in collection.get("requests").and_then(Node::as_list).unwrap_or_default() {
        let above = folders.above(request);
        let mut name = request.get("name").and_then(Node::scalar).unwrap_or_default();
        if let Some(map) = request.as_map() {
            notes.unread(map, &REQUEST, &format!("request {}", cut(&name)), &REQUESTS);
        }
        for folder in &above {
            name = format!("{} / {name}", folder.get("name").and_then(Node::scalar).unwrap_or_default());
        }
        let listed = above.iter().rev().filter_map(|folder| folder.as_map()).flat_map(variables);
        let scope = Scope::below(scope, listed);
        let inherited = above.iter().find_map(|folder| auth::read(folder.get("auth"), &scope));
        let inherited = inherited.unwrap_or_else(|| own.clone());
        sink(convert_request(request, name, &inherited, &scope, target))?;
    }
    ControlFlow::Continue(())
}

/// The folders, and the folder of each request and folder.
struct Folders<'d> {
    by_id: HashMap<&'d str, &'d Node>,
    parents: HashMap<&'d str, &'d str>,
}

impl<'d> Folders<'d> {
    fn read(collection: &'d Map) -> Self {
        let mut folders = Self { by_id: HashMap::new(), parents: HashMap::new() };
        for folder in collection.get("folders").and_then(Node::as_list).unwrap_or_default() {
            let Some(id) = folder.get("id").and_then(Node::as_text) else { continue };
            folders.by_id.insert(id, folder);
            for list in ["order", "folders_order"] {
                for child in folder.get(list).and_then(Node::as_list).unwrap_or_default() {
                    folders.parents.extend(child.as_text().map(|child| (child, id)));
                }
            }
        }
        folders
    }

    /// The folders above a request, from the nearest outward.
    fn above(&self, request: &'d Node) -> Vec<&'d Node> {
        let named = request.get("folder").or_else(|| request.get("folderId")).and_then(Node::as_text);
        let id = request.get("id").and_then(Node::as_text);
        let mut next = named.or_else(|| self.parents.get(id?).copied());
        let mut above = Vec::new();
        while let Some(folder) = next.and_then(|id| self.by_id.get(id)).filter(|_| above.len() < DEPTH_MAX) {
            above.push(*folder);
            next = folder.get("id").and_then(Node::as_text).and_then(|id| self.parents.get(id).copied());
        }
        above
    }
}

fn convert_request(
    request: &Node,
    name: String,
    inherited: &Auth,
    scope: &Scope<'_>,
    target: &Target,
) -> RequestOutcome {
    let refused = |url: String, method: String, error: &str| call::refused(name.clone(), url, method, error);
    let Some(map) = request.as_map() else {
        return refused(String::new(), String::new(), "the request is not an object");
    };
    let method = map.get("method").and_then(Node::scalar).unwrap_or_default().trim().to_ascii_uppercase();
    let mut path_variables = PathVariables::default();
    path_variables.add_map(map.get("pathVariables").and_then(Node::as_map), scope);
    let url = map.get("url");
    let address = match url::read(url, scope, &path_variables) {
        Ok(Some(address)) => address,
        Ok(None) => return refused(String::new(), method, "No url field exists"),
        Err(reason) => return refused(String::new(), method, &reason),
    };
    if method.is_empty() {
        return refused(address.url, method, "No method field exists");
    }
    let auth = auth::read(map.get("auth"), scope).or_else(|| auth::read_helper(map, scope));
    let auth = auth.unwrap_or_else(|| inherited.clone());
    let given = map.get("headerData").filter(|list| list.as_list().is_some_and(|list| !list.is_empty()));
    let headers = headers(given.or_else(|| map.get("headers")), scope);
    let own = Call { method, address, headers, body: read_body(map, scope) }.complete(&auth);
    let saved = map.get("responses").and_then(Node::as_list).unwrap_or_default();
    let answers = saved.iter().filter(|saved| saved.as_map().is_some()).map(|saved| (own.clone(), answer(saved)));
    let answers = answers.collect();
    call::outcome(name, own, answers, &auth, target)
}

fn read_body(request: &Map, scope: &Scope<'_>) -> Body {
    let data = request.get("data");
    let list = data.and_then(Node::as_list).unwrap_or_default();
    let mode = request.get("dataMode").and_then(Node::as_text).unwrap_or_default();
    match mode {
        "raw" => {
            let raw = request.get("rawModeData").or(data).and_then(Node::scalar).unwrap_or_default();
            body::raw(&raw, "", scope)
        }
        "urlencoded" => body::form(list, scope),
        "params" => body::form_data(list, scope),
        "graphql" => body::graphql(request.get("graphqlModeData"), scope),
        _ => Body::default(),
    }
}

fn answer(saved: &Node) -> Answer {
    let nothing = Scope::root(std::iter::empty());
    let code = saved.get("responseCode");
    let text = |name: &str| saved.get(name).and_then(Node::scalar);
    Answer {
        status_code: status_code(code.and_then(|code| code.get("code")).or(code)),
        status: code
            .and_then(|code| code.get("name"))
            .and_then(Node::scalar)
            .or_else(|| text("status"))
            .unwrap_or_default(),
        headers: headers(saved.get("headers"), &nothing),
        body: text("text").unwrap_or_default(),
    }
}
