//! OpenAPI 3.x and Swagger 2.0 documents: each operation under `paths` becomes one record with a declaration.
//!
//! Descriptions of Swagger 1.2, AsyncAPI, GraphQL and gRPC are read as such documents.
//!
//! A record says what the document declares (parameters, body leaves, responses, security) and invents no values.
//! Webhooks and callbacks are calls that the API makes, not endpoints, and are left out. References resolve inside
//! the document; one that points elsewhere is reported and never followed.

mod body;
mod context;
mod leftovers;
mod methods;
mod operation;
mod outcome;
mod parameters;
mod refs;
mod responses;
mod schema;
mod security;
mod server;
mod template;

use std::borrow::Cow;
use std::collections::VecDeque;

pub use crate::import_error::{ErrorType, ImportError};
pub use outcome::OperationOutcome;
pub use template::Shared;

use portolan_record::Specification;
use sha2::{Digest as _, Sha256};

use crate::notes::{Notes, cut};
use crate::tree::{self, Map, Node};
use crate::{FormatError, Target, foreign, text};
use context::Context;
use operation::Operation;
use refs::Refs;
use server::Server;

/// Most operations of one document. The largest public descriptions hold some twenty thousand.
pub const OPERATIONS_MAX: usize = 200_000;

/// A parsed document.
pub struct Document {
    root: Node,
    swagger: bool,
    version: String,
    /// Digest of the text.
    id: String,
    operation_count: usize,
    errors: Vec<ImportError>,
}

impl Document {
    /// Parses a document: JSON or YAML, in UTF-8 or UTF-16.
    ///
    /// # Errors
    /// [`FormatError`] with the line where the text is no JSON or YAML, [`FormatError::NotOpenApi`] where it is but
    /// holds no supported specification, [`FormatError::TooLarge`] above the limits.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut notes = Notes::default();
        let mut is_foreign = true;
        let of_bytes = foreign::description_of_bytes(bytes)?;
        let text = if of_bytes.is_some() { Cow::default() } else { text::decode(bytes)? };
        let root = match of_bytes {
            Some(foreign) => foreign.unpack(&mut notes),
            None if text.trim().is_empty() => return Err(not_openapi("the text is empty")),
            None => match foreign::description_of_text(&text)? {
                Some(foreign) => foreign.unpack(&mut notes),
                None => {
                    let tree = tree::parse(&text)?;
                    notes.duplicates(&tree.duplicates);
                    match foreign::description(&tree.root) {
                        Some(foreign) => foreign.unpack(&mut notes),
                        None => {
                            is_foreign = false;
                            tree.root
                        }
                    }
                }
            },
        };
        let map = root.as_map().ok_or_else(|| not_openapi("the outermost value is not an object"))?;
        let (swagger, version) = match (map.get("openapi"), map.get("swagger")) {
            (Some(version), _) => (false, version.scalar()),
            (None, Some(version)) => (true, version.scalar()),
            (None, None) => return Err(not_openapi("it has neither a member `openapi` nor a member `swagger`")),
        };
        let version = version.unwrap_or_default();
        let major = version.split('.').next().unwrap_or_default();
        if major != if swagger { "2" } else { "3" } {
            let version: String = version.chars().take(40).collect();
            return Err(not_openapi(&format!("version `{version}` is not supported, 2.0 and 3.x are")));
        }
        match map.get("paths") {
            Some(Node::Map(_)) => {}
            Some(Node::Null) => {}
            Some(_) => return Err(not_openapi("the member `paths` is not an object")),
            None if map.get("webhooks").is_some() || map.get("components").is_some() => {}
            None => return Err(not_openapi("the member `paths` is missing")),
        }
        let id = hex::encode(&Sha256::digest(bytes)[..16]);
        let mut document = Self { errors: Vec::new(), operation_count: 0, root, swagger, version, id };
        // What another form left out, its reader has noted.
        document.check_paths(if is_foreign { None } else { Some(&mut notes) })?;
        document.errors = notes.into_errors();
        document.check_security();
        Ok(document)
    }

    /// The title, when the document has one.
    pub fn title(&self) -> Option<&str> {
        self.root.get("info")?.get("title")?.as_text()
    }

    /// Where its operations are served: the first of its servers that names a host, without a slash at the end.
    pub fn server(&self) -> Option<String> {
        let servers = Server::all(&self.root, &Node::Null, &Node::Null, self.swagger);
        servers.into_iter().find_map(|server| Some(server.origin? + &server.path))
    }

    /// How the document is named in the records of its operations.
    pub fn specification(&self) -> Specification {
        let text = |name: &str| {
            let value =
                self.root.get("info").and_then(|info| info.get(name)).and_then(Node::scalar).unwrap_or_default();
            value.trim().chars().filter(|character| *character != '\0').take(NAME_CHARACTERS_MAX).collect()
        };
        Specification { id: self.id.clone(), title: text("title"), version: text("version") }
    }

    /// The version of the specification that the document follows, such as `3.0.1`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// How many operations [`Document::operations`] yields.
    pub fn operation_count(&self) -> usize {
        self.operation_count
    }

    /// What is wrong with the document outside of its operations.
    pub fn errors(&self) -> &[ImportError] {
        &self.errors
    }

    /// Every operation under `paths`, in document order, converted one at a time.
    pub fn operations(&self, target: &Target) -> impl Iterator<Item = OperationOutcome> {
        let specification = self.specification();
        let context = Context::new(&self.root, self.swagger, *target, specification);
        let mut shared = Shared::default();
        self.listed().map(move |operation| {
            let mut outcome = context.convert(&operation);
            if let Some(other) =
                shared.note(&outcome.method, &outcome.url, &outcome.path).filter(|_| outcome.record.is_some())
            {
                let (method, path) = (&outcome.method, cut(&outcome.path));
                let text = format!("{method} {path} shares the endpoint of {}", cut(other));
                outcome.errors.push(ImportError::warning(text));
            }
            outcome
        })
    }

    fn listed(&self) -> Listed<'_> {
        Listed { root: &self.root, paths: self.root.get("paths").and_then(Node::as_map), at: 0, ready: VecDeque::new() }
    }

    fn check_paths(&mut self, notes: Option<&mut Notes>) -> Result<(), FormatError> {
        let operations: Vec<_> = self.listed().take(OPERATIONS_MAX + 1).collect();
        if operations.len() > OPERATIONS_MAX {
            return Err(FormatError::TooLarge(format!("it holds more than {OPERATIONS_MAX} operations")));
        }
        if let Some(notes) = notes {
            leftovers::note(&self.root, &operations, notes);
        }
        self.operation_count = operations.len();
        Ok(())
    }

    fn check_security(&mut self) {
        let schemes = match self.swagger {
            true => self.root.get("securityDefinitions"),
            false => self.root.get("components").and_then(|components| components.get("securitySchemes")),
        };
        if let Some(schemes) = schemes
            && !matches!(schemes, Node::Map(_) | Node::Null)
        {
            self.errors.push(ImportError::warning("unable to parse security schemes not an object".to_owned()));
        }
    }
}

/// Longest title and version in the records.
const NAME_CHARACTERS_MAX: usize = 200;

fn not_openapi(reason: &str) -> FormatError {
    FormatError::NotOpenApi(reason.to_owned())
}

/// Walks the (path, method) pairs.
struct Listed<'d> {
    root: &'d Node,
    paths: Option<&'d Map>,
    at: usize,
    ready: VecDeque<Operation<'d>>,
}

impl<'d> Iterator for Listed<'d> {
    type Item = Operation<'d>;

    fn next(&mut self) -> Option<Operation<'d>> {
        while self.ready.is_empty() {
            let (path, item) = self.paths?.at(self.at)?;
            self.at += 1;
            if path.starts_with("x-") {
                continue;
            }
            // Members beside a reference add to the item that it names.
            let mut items = vec![item];
            if let Ok(target) = Refs::new(self.root).resolve(item)
                && !std::ptr::eq(target, item)
            {
                items.push(target);
            }
            for item in items {
                for (method, node) in methods::operations(item) {
                    if !self.ready.iter().any(|other| other.method.eq_ignore_ascii_case(method)) {
                        self.ready.push_back(Operation { path, item, method, node });
                    }
                }
            }
        }
        self.ready.pop_front()
    }
}

#[cfg(test)]
mod tests;
