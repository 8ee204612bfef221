use portolan_record::{DeclaredParameter, Location};

use super::context::Context;
use super::parameters::declared;
use super::schema::{Direction, Leaf, add_body_example};
use crate::tree::{Map, Node};

/// Most media types kept of one body.
pub(super) const MEDIA_TYPES_MAX: usize = 5;

/// A request's or response's body as declared.
#[derive(Default)]
pub(super) struct Body<'d> {
    schemas: Vec<&'d Node>,
    media_types: Vec<&'d str>,
    /// Examples of the whole body.
    pub(super) examples: Vec<&'d Node>,
}

impl<'d> Body<'d> {
    pub(super) fn new(schema: Option<&'d Node>, media_types: Vec<&'d str>) -> Self {
        Self { schemas: schema.into_iter().collect(), media_types, examples: Vec::new() }
    }

    /// Every alternative of `content`, those of JSON first: their leaves together are what the body may hold.
    pub(super) fn of_content(content: Option<&'d Node>) -> Self {
        let Some(content) = content.and_then(Node::as_map) else { return Self::default() };
        let is_json = |name: &str| name.split(';').next().unwrap_or_default().trim_end().ends_with("json");
        let media_types = content.iter().map(|(name, _)| name).take(MEDIA_TYPES_MAX).collect();
        let mut body = Self::new(None, media_types);
        let mut alternatives: Vec<_> = content.iter().take(MEDIA_TYPES_MAX).collect();
        alternatives.sort_by_key(|(name, _)| !is_json(name));
        for (at, (name, media)) in alternatives.into_iter().enumerate() {
            body.schemas.extend(media.get("schema"));
            // Examples of other forms are texts of their own.
            if at == 0 || is_json(name) {
                body.examples.extend(media.get("example"));
                let named = media.get("examples").and_then(Node::as_map).into_iter().flat_map(Map::iter);
                body.examples.extend(named.take(MEDIA_TYPES_MAX).filter_map(|(_, example)| example.get("value")));
            }
        }
        body
    }

    /// Adds the body's leaves and its media types; answers what could not be read.
    pub(super) fn append(
        &self,
        context: &Context<'d>,
        direction: Direction,
        code: i32,
        parameters: &mut Vec<DeclaredParameter>,
    ) -> Option<String> {
        if !self.media_types.is_empty() {
            let examples = self.media_types.iter().filter(|name| name.len() <= 256).map(|name| (*name).to_owned());
            let leaf = Leaf {
                name: "content-type".to_owned(),
                schema_type: "string".to_owned(),
                examples: examples.collect(),
                ..Leaf::default()
            };
            let known = |other: &DeclaredParameter| {
                other.location == Location::Header && other.response_code == code && other.name == leaf.name
            };
            if !parameters.iter().any(known) {
                parameters.push(declared(leaf, Location::Header, code));
            }
        }
        let (mut leaves, mut fault): (Vec<Leaf>, _) = (Vec::new(), None);
        for schema in &self.schemas {
            let (more, reason) = context.schemas().leaves(schema, direction);
            fault = fault.or(reason);
            let is_first = leaves.is_empty();
            let known: std::collections::HashSet<String> = leaves.iter().map(|leaf| leaf.name.clone()).collect();
            leaves.extend(more.into_iter().filter(|leaf| !known.contains(&leaf.name)).map(|mut leaf| {
                // The first form of the body does without it.
                leaf.required &= is_first;
                leaf
            }));
        }
        for example in &self.examples {
            add_body_example(&mut leaves, example);
        }
        parameters.extend(leaves.into_iter().map(|leaf| declared(leaf, Location::Body, code)));
        fault
    }
}
