use portolan_path::Kind;
use portolan_record::{Declaration, DeclaredParameter, Location, Record};

use super::body::{Body, MEDIA_TYPES_MAX};
use super::context::Context;
use super::outcome::OperationOutcome;
use super::parameters::{Parameters, REQUEST, declared};
use super::responses::Responses;
use super::schema::{Direction, Leaf};
use super::security;
use super::server::Server;
use super::template::Address;
use crate::ImportError;
use crate::tree::Node;

/// One (path, method) pair of the document.
pub(super) struct Operation<'d> {
    pub(super) path: &'d str,
    pub(super) item: &'d Node,
    /// As the document writes it, in any case.
    pub(super) method: &'d str,
    pub(super) node: &'d Node,
}

/// Longest summary that is kept, in characters.
const SUMMARY_CHARS_MAX: usize = 500;
/// Tags of one operation.
const TAGS_MAX: usize = 20;
/// Longest tag.
const TAG_CHARS_MAX: usize = 100;

/// Most error rows of one operation; what follows repeats them.
const ERRORS_MAX: usize = 20;

impl<'d> Context<'d> {
    pub(super) fn convert(&self, operation: &Operation<'d>) -> OperationOutcome {
        let servers = Server::all(self.root, operation.item, operation.node, self.swagger);
        let given = Parameters::read(operation.item, operation.node, self.refs(), &self.schemas);
        let at = |server: &Server| {
            Address::new(server, operation.path, &|name| given.path.get(name).map_or(Kind::String, kind))
        };
        let (server, others) = servers.split_first().expect("an operation has a server");
        let address = at(server);
        let mut addresses: Vec<String> = others.iter().map(|server| at(server).url).collect();
        addresses.retain(|url| *url != address.url);
        let mut outcome = OperationOutcome {
            url: address.url.clone(),
            path: operation.path.to_owned(),
            method: operation.method.to_ascii_uppercase(),
            record: None,
            errors: Vec::new(),
        };
        if !matches!(operation.node, Node::Map(_) | Node::Null) {
            let text = "Error while converting message to Akto format: the operation is not an object";
            outcome.errors.push(ImportError::error(text.to_owned()));
            return outcome;
        }
        let declared_all = address.variables.iter().flat_map(|v| &v.names).all(|name| given.path.contains_key(&**name));
        for fault in &given.faults {
            let text = format!("unable to parse path parameters: {fault}");
            outcome.errors.push(match declared_all {
                true => ImportError::warning(text),
                false => ImportError::error(text),
            });
        }
        if declared_all || given.faults.is_empty() {
            let mut declaration = self.declaration(operation, given, &address, &mut outcome.errors);
            declaration.0.addresses = addresses;
            outcome.record = Some(self.record(server, &outcome, declaration));
        }
        outcome.errors.truncate(ERRORS_MAX);
        outcome
    }

    fn record(&self, server: &Server, outcome: &OperationOutcome, given: (Declaration, i32)) -> Record<'static> {
        let (declaration, status_code) = given;
        let headers = server.host().map(|host| serde_json::json!({ "host": host }).to_string());
        Record {
            account_id: self.target.account_id,
            collection_id: self.target.collection_id,
            source: self.target.source,
            method: outcome.method.clone().into(),
            path: outcome.url.clone().into(),
            protocol: "HTTP/1.1".into(),
            request_headers: headers.unwrap_or_default().into(),
            status_code,
            time: self.target.time,
            ip: "null".into(),
            direction: 1,
            declaration: Some(Box::new(declaration)),
            ..Record::default()
        }
    }

    /// The declaration and the status that stands for the operation.
    fn declaration(
        &self,
        operation: &Operation<'d>,
        given: Parameters<'d>,
        address: &Address,
        errors: &mut Vec<ImportError>,
    ) -> (Declaration, i32) {
        let node = operation.node;
        let mut parameters = path_parameters(&given, address);
        let body = self.request_body(operation, &given, errors);
        parameters.extend(given.plain);
        if let Some(fault) = body.append(self, Direction::Request, REQUEST, &mut parameters) {
            errors.push(ImportError::error(format!("Unable to parse request body: {fault}")));
        }
        parameters.extend(given.form.into_iter().map(|leaf| declared(leaf, Location::Body, REQUEST)));
        let responses = Responses::read(node, self);
        for fault in &responses.faults {
            let text = format!("Error while converting response to Akto format: {fault}");
            errors.push(ImportError::warning(text));
        }
        parameters.extend(responses.parameters);
        let (auth, unknown) = security::declared(self.root, node, self.swagger);
        for name in unknown {
            errors.push(ImportError::warning(format!("unable to parse security schemes: {name}")));
        }
        if !self.schemas.spend(1) {
            let text = "the document's schemas are too large together: some parameters are left out";
            errors.push(ImportError::warning(text.to_owned()));
        }
        let summary = node.get("summary").or_else(|| operation.item.get("summary")).and_then(Node::as_text);
        let declaration = Declaration {
            deprecated: node.get("deprecated").is_some_and(Node::is_true),
            tags: tags(node),
            addresses: Vec::new(),
            summary: summary.map(|summary| summary.chars().take(SUMMARY_CHARS_MAX).collect()),
            response_codes: responses.codes,
            parameters,
            auth,
            specification: Some(self.specification.clone()),
        };
        (declaration, responses.status.unwrap_or(200))
    }

    fn request_body(
        &self,
        operation: &Operation<'d>,
        given: &Parameters<'d>,
        errors: &mut Vec<ImportError>,
    ) -> Body<'d> {
        if !self.swagger {
            let Some(body) = operation.node.get("requestBody") else { return Body::default() };
            return match self.refs().resolve(body) {
                Ok(body) => Body::of_content(body.get("content")),
                Err(reason) => {
                    errors.push(ImportError::error(format!("Unable to parse request body: {reason}")));
                    Body::default()
                }
            };
        }
        if given.body.is_none() && given.form.is_empty() {
            return Body::default();
        }
        let consumes = operation.node.get("consumes").or_else(|| self.root.get("consumes"));
        let media_types = consumes.and_then(Node::as_list).unwrap_or_default().iter().filter_map(Node::as_text);
        Body::new(given.body, media_types.take(MEDIA_TYPES_MAX).collect())
    }
}

/// One parameter a variable segment; a segment of several variables is one text.
fn path_parameters(given: &Parameters<'_>, address: &Address) -> Vec<DeclaredParameter> {
    let path = address.variables.iter().map(|variable| {
        let leaf = variable.names.first().filter(|_| variable.whole).and_then(|name| given.path.get(&**name));
        let mut leaf = leaf.cloned().unwrap_or_else(|| Leaf { schema_type: "string".to_owned(), ..Leaf::default() });
        leaf.name = variable.index.to_string();
        leaf.required = true;
        let label = variable.names.join(",");
        DeclaredParameter { label: (!label.is_empty()).then_some(label), ..declared(leaf, Location::Path, REQUEST) }
    });
    path.collect()
}

fn kind(leaf: &Leaf) -> Kind {
    match &*leaf.schema_type {
        "integer" => Kind::Integer,
        "number" => Kind::Float,
        _ => Kind::String,
    }
}

/// What the document sorts an operation under; what is no text is passed over.
fn tags(node: &Node) -> Vec<String> {
    let tags = node.get("tags").and_then(Node::as_list).unwrap_or_default().iter().filter_map(Node::as_text);
    let cut = |tag: &str| tag.chars().take(TAG_CHARS_MAX).collect::<String>();
    tags.map(cut).filter(|tag| !tag.is_empty()).take(TAGS_MAX).collect()
}
