//! Documents of other tools, brought into the form of a format that is converted: collections into one of Postman,
//! descriptions into one of OpenAPI. What is brought over is read and checked like any other document of that form.

mod asyncapi;
mod bruno;
mod build;
mod burp;
mod graphql;
mod insomnia;
mod swagger12;

pub(crate) use build::{Foreign, REQUESTS};

use crate::notes::Notes;
use crate::tree::Node;
use crate::{Format, FormatError};

/// The format into which a document of another tool is brought, by the name of an outermost member.
pub(crate) fn of_member(name: &str) -> Option<Format> {
    match name {
        "swaggerVersion" | "asyncapi" | "__schema" => Some(Format::OpenApi),
        "__export_format" | "exportedUsing" => Some(Format::Postman),
        _ => None,
    }
}

/// The same by the first text of a document that is no object.
pub(crate) fn of_text(text: &str) -> Option<Format> {
    if burp::is_export(text) || insomnia::is_v5(text) {
        return Some(Format::Postman);
    }
    graphql::is_sdl(text).then_some(Format::OpenApi)
}

/// A collection of another tool as one of Postman.
///
/// # Errors
/// What is wrong with a document of the tool.
pub(crate) fn collection_of_text(text: &str) -> Result<Option<Foreign>, FormatError> {
    if burp::is_export(text) {
        return burp::collection(text).map(Some);
    }
    if insomnia::is_v5(text) {
        let tree = crate::tree::parse(text)?;
        return Ok(Some(insomnia::collection_v5(&tree.root)));
    }
    Ok(None)
}

/// The same of a document that is parsed.
pub(crate) fn collection(root: &Node) -> Option<Foreign> {
    insomnia::collection_v4(root).or_else(|| bruno::collection(root))
}

/// A description in the schema language of GraphQL as one of OpenAPI.
///
/// # Errors
/// What is wrong with the text.
pub(crate) fn description_of_text(text: &str) -> Result<Option<Foreign>, FormatError> {
    if !graphql::is_sdl(text) {
        return Ok(None);
    }
    graphql::of_sdl(text).map(|value| Some(Foreign::new(&value, Notes::default())))
}

/// A description of another form as one of OpenAPI.
pub(crate) fn description(root: &Node) -> Option<Foreign> {
    swagger12::description(root).or_else(|| asyncapi::description(root)).or_else(|| graphql::of_introspection(root))
}

#[cfg(test)]
mod tests;
