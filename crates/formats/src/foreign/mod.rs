//! Documents of other tools, brought into the form of a format that is converted: collections into one of Postman,
//! descriptions into one of OpenAPI. What is brought over is read and checked like any other document of that form.

mod asyncapi;
mod bru;
mod bruno;
mod build;
mod burp;
mod graphql;
mod insomnia;
mod protobuf;
mod swagger12;

pub(crate) use bru::Files as BruFiles;
pub(crate) use build::{Foreign, REQUESTS};
pub(crate) use protobuf::Sources as ProtoSources;

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
    if burp::is_export(text) || insomnia::is_v5(text) || bru::is_request(text) {
        return Some(Format::Postman);
    }
    (protobuf::is_source(text) || graphql::is_sdl(text)).then_some(Format::OpenApi)
}

/// The same by the first bytes of a file that is no text.
pub(crate) fn of_bytes(prefix: &[u8]) -> Option<Format> {
    protobuf::is_descriptor_set(prefix).then_some(Format::OpenApi)
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
    Ok(bru::is_request(text).then(|| bru::of_request(text)))
}

/// The same of a document that is parsed.
pub(crate) fn collection(root: &Node) -> Option<Foreign> {
    insomnia::collection_v4(root).or_else(|| bruno::collection(root))
}

/// Files of Bruno below the folder of a collection as one of Postman.
///
/// # Errors
/// When none of them is a request.
pub(crate) fn collection_of_files(name: &str, files: &BruFiles) -> Result<Foreign, FormatError> {
    bru::of_files(name, files)
}

/// `.proto` files as one description of OpenAPI.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn description_of_sources(sources: &ProtoSources) -> Result<Foreign, FormatError> {
    protobuf::of_sources(sources)
}

/// A description that is no text as one of OpenAPI.
///
/// # Errors
/// What is wrong with the bytes.
pub(crate) fn description_of_bytes(bytes: &[u8]) -> Result<Option<Foreign>, FormatError> {
    if !protobuf::is_descriptor_set(bytes) {
        return Ok(None);
    }
    protobuf::of_descriptor_set(bytes).map(Some)
}

/// A description in the schema language of GraphQL, or one `.proto` file, as one of OpenAPI.
///
/// # Errors
/// What is wrong with the text.
pub(crate) fn description_of_text(text: &str) -> Result<Option<Foreign>, FormatError> {
    if protobuf::is_source(text) {
        let sources = ProtoSources::from([("the.proto".to_owned(), text.to_owned())]);
        return protobuf::of_sources(&sources).map(Some);
    }
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
