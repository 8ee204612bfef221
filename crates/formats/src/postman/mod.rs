//! Postman collections of version 1, 2.0 and 2.1: each request becomes one outcome with its records.
//!
//! A request without saved answers becomes a record without an answer (status 0), which makes an endpoint and claims
//! nothing about answers. Each saved answer becomes a record of its own. Scripts are data and never run; variables are
//! replaced by their values within limits, and one without a value stays as written.
//!
//! Exports of Insomnia and Bruno and saved items of Burp are read as collections.
//!
//! A file holds one collection, one wrapped in `collection` as the Postman API answers it, or many in `collections` as
//! an account export does.

mod auth;
mod body;
mod call;
mod outcome;
mod scope;
mod url;
mod v1;
mod v2;

use std::ops::ControlFlow;

use crate::notes::Notes;
use crate::tree::{self, Map, Node};
use crate::{FormatError, ImportError, Target, foreign, text};
pub use outcome::RequestOutcome;
use scope::{Scope, variables};

/// A parsed file.
pub struct Document {
    root: Node,
    errors: Vec<ImportError>,
}

/// One collection of a file.
pub struct Collection<'d> {
    node: &'d Map,
    /// The whole file, which may hold environments beside the collection.
    root: &'d Node,
}

impl Document {
    /// Parses a file: JSON, in UTF-8 or UTF-16.
    ///
    /// # Errors
    /// [`FormatError`] with the line where the text is no JSON, [`FormatError::NotPostman`] where it is but holds no
    /// collection, [`FormatError::TooLarge`] above the limits.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let text = text::decode(bytes)?;
        if text.trim().is_empty() {
            return Err(not_postman("the text is empty"));
        }
        let mut notes = Notes::default();
        let root = match foreign::collection_of_text(&text)? {
            Some(foreign) => foreign.unpack(&mut notes),
            None => {
                let tree = tree::parse_json(&text)?;
                notes.duplicates(&tree.duplicates);
                foreign::collection(&tree.root).map_or(tree.root, |foreign| foreign.unpack(&mut notes))
            }
        };
        let mut document = Self { root, errors: Vec::new() };
        if document.root.as_map().is_none() {
            return Err(not_postman("the outermost value is not an object"));
        }
        if document.collections().next().is_none() {
            return Err(not_postman("it has neither a member `item` nor a member `requests`"));
        }
        document.note(&mut notes);
        document.errors = notes.into_errors();
        Ok(document)
    }

    /// What the file holds beside its collections and what of it is not read.
    pub fn errors(&self) -> &[ImportError] {
        &self.errors
    }

    fn note(&self, notes: &mut Notes) {
        let Some(root) = self.root.as_map() else { return };
        let listed = self.root.get("collections");
        if listed.is_some_and(|listed| !matches!(listed, Node::List(_) | Node::Null)) {
            notes.warn("the file: `collections` is not a list and left out".to_owned());
        }
        let listed = listed.and_then(Node::as_list).unwrap_or_default();
        let places = std::iter::once(&self.root).chain(listed);
        let is_read = |node: &Node| collection_at(node).is_some();
        for (at, node) in listed.iter().enumerate().filter(|(_, node)| !is_read(node)) {
            let count = foreign::REQUESTS.count(node);
            let held = foreign::REQUESTS.counted(count);
            notes.warn(format!("collection {} of the list is none and left out with {held}", at + 1));
        }
        // Of a wrapper the collection alone is read.
        for node in places.filter(|node| collection_at(node).is_some_and(|(_, is_wrapped)| is_wrapped)) {
            if let Some(map) = node.as_map() {
                notes.unread(map, &["collection", "collections"], "beside the collection", &foreign::REQUESTS);
            }
        }
        if !is_read(&self.root) {
            notes.unread(root, &["collections"], "the file", &foreign::REQUESTS);
        }
    }

    /// Its collections: one, or those of a workspace.
    pub fn collections(&self) -> impl Iterator<Item = Collection<'_>> {
        let listed = self.root.get("collections").and_then(Node::as_list).unwrap_or_default();
        let found = std::iter::once(&self.root).chain(listed).filter_map(collection_at);
        found.map(|(node, _)| Collection { node, root: &self.root })
    }
}

/// The collection at a place, and whether it stands in a member `collection` of it.
fn collection_at(node: &Node) -> Option<(&Map, bool)> {
    let inner = node.get("collection").filter(|inner| inner.as_map().is_some());
    let is_wrapped = inner.is_some();
    let node = inner.unwrap_or(node);
    let is_collection = node.get("item").or_else(|| node.get("requests")).is_some_and(|n| n.as_list().is_some());
    let has_info = node.get("info").is_some_and(|info| info.as_map().is_some());
    Some((node.as_map().filter(|_| is_collection || has_info)?, is_wrapped))
}

impl<'d> Collection<'d> {
    /// The id that Postman gave the collection.
    pub fn id(&self) -> Option<String> {
        let info = self.info();
        let id = info.and_then(|info| info.get("_postman_id")).or_else(|| self.node.get("id"));
        id.and_then(Node::scalar).filter(|id| !id.trim().is_empty())
    }

    /// As its author called it.
    pub fn name(&self) -> Option<String> {
        let name = self.info().and_then(|info| info.get("name")).or_else(|| self.node.get("name"));
        name.and_then(Node::scalar).map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
    }

    /// Whether the collection names itself as its version asks: in `info` from version 2 on.
    pub fn has_info(&self) -> bool {
        self.info().is_some() || self.node.get("item").is_none()
    }

    /// Version 2 names itself in a member `info`.
    fn info(&self) -> Option<&'d Node> {
        self.node.get("info").filter(|info| info.as_map().is_some())
    }

    /// Converts each request in document order, until `sink` breaks off. Returns what is wrong with the collection as a
    /// whole.
    pub fn convert(
        &self,
        target: &Target,
        sink: &mut dyn FnMut(RequestOutcome) -> ControlFlow<()>,
    ) -> Vec<ImportError> {
        let own = Scope::root(variables(self.node));
        let environment = Scope::below(&own, environment(self.root));
        let (mut total, mut without_url) = (0, 0);
        let mut counted = |outcome: RequestOutcome| {
            total += 1;
            without_url += u64::from(outcome.url.is_empty());
            sink(outcome)
        };
        let mut notes = Notes::default();
        let is_v1 = self.node.get("item").is_none() && self.node.get("requests").is_some();
        // A caller that breaks off has its own reason.
        let _ = if is_v1 {
            v1::convert(self.node, &environment, target, &mut counted, &mut notes)
        } else {
            v2::convert(self.node, &environment, target, &mut counted, &mut notes)
        };
        let mut errors = notes.into_errors();
        if total == 0 {
            errors.push(ImportError::error("Collection has no requests".to_owned()));
        }
        if without_url > 0 {
            errors.push(ImportError::warning(format!("No urls found in {without_url} apis")));
        }
        errors
    }
}

/// The values of the environments and globals that a file holds beside its collections.
fn environment(root: &Node) -> impl Iterator<Item = &Node> {
    let listed = root.get("environments").and_then(Node::as_list).unwrap_or_default();
    let globals = root.get("globals").and_then(Node::as_list).unwrap_or_default();
    let environments = root.get("environment").into_iter().chain(listed);
    let values = environments.filter_map(|environment| environment.get("values")).chain(root.get("values"));
    globals.iter().chain(values.filter_map(Node::as_list).flatten())
}

fn not_postman(reason: &str) -> FormatError {
    FormatError::NotPostman(reason.to_owned())
}

#[cfg(test)]
mod tests;
