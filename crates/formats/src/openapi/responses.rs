use portolan_record::{DeclaredParameter, Location};

use super::body::Body;
use super::context::Context;
use super::parameters::{declared, value};
use super::schema::Direction;
use crate::tree::{Map, Node};

/// What an operation's `responses` declare.
#[derive(Default)]
pub(super) struct Responses {
    /// Declared codes, without ranges and `default`.
    pub(super) codes: Vec<i32>,
    /// The first answer that means success, or 200.
    pub(super) status: Option<i32>,
    pub(super) parameters: Vec<DeclaredParameter>,
    pub(super) faults: Vec<String>,
}

/// Most responses and headers of one operation. There are fewer status codes than this.
const RESPONSES_MAX: usize = 600;
const HEADERS_MAX: usize = 200;

impl Responses {
    pub(super) fn read<'d>(operation: &'d Node, context: &Context<'d>) -> Self {
        let mut responses = Self::default();
        let listed = operation.get("responses").and_then(Node::as_map);
        for (name, response) in listed.into_iter().flat_map(Map::iter).take(RESPONSES_MAX) {
            if let Some(code) = code(name) {
                responses.codes.push(code);
            }
            // Without any success told, the default is what a caller gets.
            let is_only =
                name == "default" && !listed.is_some_and(|listed| listed.iter().any(|(name, _)| tells_success(name)));
            // The range means any success; the inventory needs one code, and a code of its own is more exact.
            let range = name.eq_ignore_ascii_case("2XX");
            let code = match code(name) {
                Some(code @ (200..=299 | 302)) => code,
                None if is_only => 200,
                None if range && listed.is_some_and(|listed| listed.get("200").is_none()) => 200,
                _ => continue,
            };
            responses.status.get_or_insert(code);
            match context.refs().resolve(response) {
                Ok(response) => responses.add(code, response, context),
                Err(reason) => responses.faults.push(reason),
            }
        }
        responses.codes.sort_unstable();
        responses.codes.dedup();
        responses
    }

    fn add<'d>(&mut self, code: i32, response: &'d Node, context: &Context<'d>) {
        for (name, header) in
            response.get("headers").and_then(Node::as_map).into_iter().flat_map(Map::iter).take(HEADERS_MAX)
        {
            if name.eq_ignore_ascii_case("content-type") {
                continue;
            }
            match context.refs().resolve(header) {
                Ok(header) => {
                    let mut leaf = value(header, context.schemas());
                    leaf.name = name.to_ascii_lowercase();
                    leaf.required = header.get("required").is_some_and(Node::is_true);
                    self.parameters.push(declared(leaf, Location::Header, code));
                }
                Err(reason) => self.faults.push(reason),
            }
        }
        let body = context.response_body(response);
        self.faults.extend(body.append(context, Direction::Response, code, &mut self.parameters));
    }
}

fn tells_success(name: &str) -> bool {
    name.eq_ignore_ascii_case("2XX") || matches!(code(name), Some(200..=299 | 302))
}

fn code(name: &str) -> Option<i32> {
    match name.parse() {
        Ok(code @ 100..=599) if name.len() == 3 => Some(code),
        _ => None,
    }
}

impl<'d> Context<'d> {
    fn response_body(&self, response: &'d Node) -> Body<'d> {
        if !self.swagger() {
            return Body::of_content(response.get("content"));
        }
        let mut body = Body::new(response.get("schema"), Vec::new());
        for (media_type, example) in response.get("examples").and_then(Node::as_map).into_iter().flat_map(Map::iter) {
            if media_type.contains("json") {
                body.examples.push(example);
            }
        }
        body
    }
}
