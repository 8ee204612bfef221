//! Versions 2.0 and 2.1: a tree of `item`.

use std::ops::ControlFlow;

use crate::Target;
use crate::foreign::REQUESTS;
use crate::notes::{Notes, cut};
use crate::tree::{Map, Node};

use super::auth::{self, Auth};
use super::body;
use super::call::{self, Answer, Call, headers, status_code};
use super::outcome::RequestOutcome;
use super::scope::{Scope, variables};
use super::url::{self, PathVariables};

type Sink<'s> = dyn FnMut(RequestOutcome) -> ControlFlow<()> + 's;

/// Members of a collection and of an item that are read or hold no requests of their own.
const COLLECTION: [&str; 7] = ["info", "item", "event", "variable", "variables", "auth", "protocolProfileBehavior"];
const ITEM: [&str; 9] =
    ["name", "item", "request", "response", "event", "variable", "variables", "auth", "protocolProfileBehavior"];
/// Members of a request that hold none.
const REQUEST: [&str; 3] = ["url", "body", "auth"];

pub(super) fn convert(
    collection: &Map,
    scope: &Scope<'_>,
    target: &Target,
    sink: &mut Sink<'_>,
    notes: &mut Notes,
) -> ControlFlow<()> {
    // A list of other collections beside it is read as such.
    let known: Vec<_> = COLLECTION.into_iter().chain(["collections"]).collect();
    notes.unread(collection, &known, "the collection", &REQUESTS);
    let auth = auth::read(collection.get("auth"), scope).unwrap_or_default();
    let folder = Folder { name: "", scope, auth: &auth };
    folder.walk(collection.get("item"), target, sink, notes)
}

/// A place in the tree with what its requests inherit.
struct Folder<'f> {
    name: &'f str,
    scope: &'f Scope<'f>,
    auth: &'f Auth,
}

impl Folder<'_> {
    /// The tree is no deeper than the parser takes, so the stack is enough.
    fn walk(&self, items: Option<&Node>, target: &Target, sink: &mut Sink<'_>, notes: &mut Notes) -> ControlFlow<()> {
        if items.is_some_and(|items| !matches!(items, Node::List(_) | Node::Null)) {
            let place = if self.name.is_empty() { "the collection" } else { self.name };
            notes.warn(format!("{}: `item` is not a list and left out", cut(place)));
        }
        for item in items.and_then(Node::as_list).unwrap_or_default() {
            let own = item.get("name").and_then(Node::scalar).unwrap_or_default();
            let name = if self.name.is_empty() { own } else { format!("{} / {own}", self.name) };
            let name: String = name.chars().take(NAME_CHARS_MAX).collect();
            if let Some(map) = item.as_map() {
                notes.unread(map, &ITEM, &format!("item {}", cut(&name)), &REQUESTS);
            }
            if let Some(map) = item.get("request").and_then(Node::as_map) {
                notes.unread(map, &REQUEST, &format!("request {}", cut(&name)), &REQUESTS);
            }
            let folder = item.get("item");
            if item.get("request").is_some() || folder.is_none() {
                sink(self.request(item, name.clone(), target))?;
            }
            if folder.is_some() {
                let none = Map::default();
                let scope = Scope::below(self.scope, variables(item.as_map().unwrap_or(&none)));
                let auth = auth::read(item.get("auth"), &scope).unwrap_or_else(|| self.auth.clone());
                Folder { name: &name, scope: &scope, auth: &auth }.walk(folder, target, sink, notes)?;
            }
        }
        ControlFlow::Continue(())
    }

    fn request(&self, item: &Node, name: String, target: &Target) -> RequestOutcome {
        let none = Map::default();
        let scope = Scope::below(self.scope, variables(item.as_map().unwrap_or(&none)));
        let refused = |url: String, method: String, error: &str| call::refused(name.clone(), url, method, error);
        let request = match item.get("request") {
            Some(request @ (Node::Map(_) | Node::Text(_))) => request,
            Some(_) => {
                return refused(String::new(), String::new(), "the member `request` is neither an object nor a text");
            }
            None => return refused(String::new(), String::new(), "the item has neither `request` nor `item`"),
        };
        // A plain text is the URL of a GET.
        let url = if request.as_text().is_some() { Some(request) } else { request.get("url") };
        let saved = item.get("response").and_then(Node::as_list).unwrap_or_default();
        let originals = || saved.iter().filter_map(|answer| answer.get("originalRequest"));
        let mut path_variables = PathVariables::default();
        for url in std::iter::once(url).chain(originals().map(|original| original.get("url"))) {
            path_variables.add(url, &scope);
        }
        let auth = auth::read(request.get("auth"), &scope).unwrap_or_else(|| self.auth.clone());
        let own = match read_call(request, url, &scope, &path_variables) {
            Ok(own) => own.complete(&auth),
            Err(Fault { url, method, error }) => return refused(url, method, &error),
        };
        let answers = saved.iter().filter(|answer| answer.as_map().is_some()).map(|saved| {
            let original = saved.get("originalRequest").filter(|original| original.as_map().is_some());
            let original = original.and_then(|original| {
                let auth = auth::read(original.get("auth"), &scope).unwrap_or_else(|| auth.clone());
                let call = read_call(original, original.get("url"), &scope, &path_variables).ok()?;
                Some(placed(call, &own).complete(&auth))
            });
            (original.unwrap_or_else(|| own.clone()), answer(saved))
        });
        let answers = answers.collect();
        call::outcome(name, own, answers, &auth, target)
    }
}

/// A call whose host is a variable without a value is one to the host of the request that it was saved with.
fn placed(mut call: Call, own: &Call) -> Call {
    if let Some((_, rest)) = call.address.url.split_once("://{{")
        && let Some(host) = &own.address.host
        && let Some((scheme, _)) = own.address.url.split_once("://")
    {
        let path = rest.find('/').map_or("", |at| &rest[at..]);
        call.address.url = format!("{scheme}://{host}{path}");
        call.address.host = Some(host.clone());
    }
    call
}

/// Longer paths of names are cut.
const NAME_CHARS_MAX: usize = 300;

struct Fault {
    url: String,
    method: String,
    error: String,
}

fn read_call(request: &Node, url: Option<&Node>, scope: &Scope<'_>, variables: &PathVariables) -> Result<Call, Fault> {
    let is_text = request.as_text().is_some();
    let method = if is_text { Some("GET".to_owned()) } else { request.get("method").and_then(Node::scalar) };
    let method = scope.resolve(method.unwrap_or_default().trim()).to_ascii_uppercase();
    let fault = |url: &str, error: &str| Fault { url: url.to_owned(), method: method.clone(), error: error.to_owned() };
    let address = match url::read(url, scope, variables) {
        Ok(Some(address)) => address,
        Ok(None) => return Err(fault("", "No url field exists")),
        Err(reason) => return Err(fault("", &reason)),
    };
    if method.is_empty() {
        return Err(fault(&address.url, "No method field exists"));
    }
    Ok(Call {
        headers: headers(request.get("header"), scope),
        body: body::read(request.get("body"), scope),
        method,
        address,
    })
}

fn answer(saved: &Node) -> Answer {
    // What a server answered is kept as it was: braces in it are no variables.
    let nothing = Scope::root(std::iter::empty());
    let mut headers = headers(saved.get("header"), &nothing);
    let body = saved.get("body").and_then(Node::scalar).unwrap_or_default();
    if !body.is_empty() && saved.get("_postman_previewlanguage").and_then(Node::as_text) == Some("json") {
        headers.entry("content-type".to_owned()).or_insert_with(|| "application/json".to_owned());
    }
    Answer {
        status_code: status_code(saved.get("code")),
        status: saved.get("status").and_then(Node::scalar).unwrap_or_default(),
        headers,
        body,
    }
}
