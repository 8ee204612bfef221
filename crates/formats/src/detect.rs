use std::borrow::Cow;

use crate::members::{Members, is_archive};
use crate::{foreign, text};

/// A file format that this crate converts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An HTTP Archive.
    Har,
    /// OpenAPI 3.x, Swagger 1.2 and 2.0, AsyncAPI 2 and 3, as JSON or YAML; GraphQL as schema or introspection; gRPC as
    /// set of descriptors or `.proto` file.
    OpenApi,
    /// A Postman collection of version 1, 2.0 or 2.1; exports of Insomnia 4 and 5, exports
    /// and requests of Bruno, saved items of Burp.
    Postman,
    /// An API schema as Imperva exports it.
    Imperva,
}

/// Names the format of a file by its first bytes: the more of them, the surer. `None` when nothing tells.
///
/// The members of the outermost object decide, or those of the objects in an outermost list: `log` for a HAR, `openapi`
/// or `swagger` for a specification, `item` or `requests` for a Postman collection. Members that only one format has,
/// such as `paths`, tell where the deciding one stands later than the prefix reaches. An archive is of the format of its
/// first document; [`crate::archive`] reads it.
pub fn detect(prefix: &[u8]) -> Option<Format> {
    // An archive may hold the text of a document without being one.
    if is_archive(prefix) {
        return first_of_archive(prefix).map(|(format, _)| format);
    }
    if let Some(format) = foreign::of_bytes(prefix) {
        return Some(format);
    }
    let text = text::decode_prefix(prefix);
    let text = text.trim_start();
    if let Some(format) = foreign::of_text(text) {
        return Some(format);
    }
    let mut guess = None;
    let mut decided = None;
    let mut is_foreign = false;
    let is_json = text.starts_with(['{', '[']);
    let mut judge = |name: &str| {
        match name {
            "log" => decided = decided.or(Some(Format::Har)),
            "openapi" | "swagger" => decided = decided.or(Some(Format::OpenApi)),
            // Documents of other tools, whose further members have names of these.
            "_postman_variable_scope" => is_foreign = true,
            name if foreign::of_member(name).is_some() => decided = foreign::of_member(name),
            "item" | "requests" if text.starts_with('{') => decided = decided.or(Some(Format::Postman)),
            "services" if is_json => decided = decided.or(Some(Format::Imperva)),
            "paths" | "basePath" | "components" | "securityDefinitions" => guess = Some(Format::OpenApi),
            "collection" | "collections" | "order" | "folders_order" if is_json => {
                guess = guess.or(Some(Format::Postman));
            }
            "items" if is_json => guess = guess.or(Some(Format::Postman)),
            "data" if is_json && text.contains("\"__schema\"") => guess = Some(Format::OpenApi),
            "data" if is_json => guess = guess.or(Some(Format::Imperva)),
            _ => {}
        }
        decided.is_some() || is_foreign
    };
    if is_json {
        json_members(text.as_bytes(), &mut judge);
    } else {
        yaml_members(text, &mut judge);
    }
    if is_foreign { None } else { decided.or(guess) }
}

/// Members that are looked at for the format of an archive.
const PEEK_MEMBERS_MAX: usize = 100;

/// The format of the first document that stands in the first bytes of an archive, and those of the document: that of a
/// capture where there is no other.
fn first_of_archive(prefix: &[u8]) -> Option<(Format, Vec<u8>)> {
    let mut found = None;
    for (path, content) in Members::of(prefix).take(PEEK_MEMBERS_MAX) {
        let format = match path.rsplit_once('.').map(|(_, extension)| extension) {
            Some("proto") => Some(Format::OpenApi),
            Some("bru") => Some(Format::Postman),
            _ if is_archive(&content) => None,
            _ => detect(&content),
        };
        match format {
            None => {}
            // A capture alone is read entry by entry, so an archive of captures is read as documents.
            Some(Format::Har) => found = found.or(Some((Format::OpenApi, content))),
            Some(format) => return Some((format, content)),
        }
    }
    found
}

/// The bytes of the first document of an archive; of other files all of them.
pub(crate) fn first_document(prefix: &[u8]) -> Cow<'_, [u8]> {
    match is_archive(prefix).then(|| first_of_archive(prefix)).flatten() {
        Some((_, content)) => Cow::Owned(content),
        None => Cow::Borrowed(prefix),
    }
}

/// Calls `judge` with each member name of the outermost object, or of the objects in an outermost list, until it
/// answers true.
fn json_members(text: &[u8], judge: &mut dyn FnMut(&str) -> bool) {
    let outermost = if text.first() == Some(&b'[') { 2 } else { 1 };
    let mut depth = 0_u32;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => depth = depth.saturating_add(1),
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let start = at;
                while let Some(&inner) = text.get(at) {
                    at += if inner == b'\\' { 2 } else { 1 };
                    if inner == b'"' {
                        break;
                    }
                }
                let rest = text.get(at..).unwrap_or_default();
                let name = text.get(start..at.saturating_sub(1)).unwrap_or_default();
                if depth == outermost && rest.trim_ascii_start().first() == Some(&b':') {
                    let name = std::str::from_utf8(name).unwrap_or_default();
                    if judge(name) {
                        return;
                    }
                }
            }
            _ => {}
        }
    }
}

/// Calls `judge` with the name of each line that starts a member at the left margin until it answers true.
fn yaml_members(text: &str, judge: &mut dyn FnMut(&str) -> bool) {
    for line in text.lines() {
        if let Some((name, _)) = line.split_once(':')
            && judge(name.trim_end().trim_matches(['"', '\'']))
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outermost_members_decide() {
        let check = |text: &str, expected: Option<Format>| {
            assert_eq!(detect(text.as_bytes()), expected, "{text}");
            let mut wide = vec![0xFF, 0xFE];
            wide.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
            assert_eq!(detect(&wide), expected, "{text}");
            assert_eq!(detect(&[b"\xEF\xBB\xBF", text.as_bytes()].concat()), expected, "{text}");
        };
        check(r#"{"log": {"version": "1.2", "entries": ["#, Some(Format::Har));
        check(r#"  {"_x": {"openapi": 1}, "log": {"#, Some(Format::Har));
        check(r#"{"info": {"title": "log"}, "openapi": "3.1.0""#, Some(Format::OpenApi));
        check(r#"{"info": {"title": "a \"b"}, "paths": {"/a": {"#, Some(Format::OpenApi));
        check("# a comment\nopenapi: 3.0.0\n", Some(Format::OpenApi));
        check("info:\n  title: x\nswagger: '2.0'\n", Some(Format::OpenApi));
        check("\"swagger\": \"2.0\"\n", Some(Format::OpenApi));
        check(r#"{"info": {"schema": "x"}, "item": []}"#, Some(Format::Postman));
        check(r#"{"collection": {"info": {}, "item": [{"data": 1"#, Some(Format::Postman));
        check(r#"{"id": "x", "order": ["y"], "folders": [], "requests": ["#, Some(Format::Postman));
        check(r#"{"services": [{"hostname": "h"}]}"#, Some(Format::Imperva));
        check(r#" [{"data": {"item": 1}}]"#, Some(Format::Imperva));
        check(r#"{"data": {}, "openapi": "3.0.0"}"#, Some(Format::OpenApi));
        check(r#"[{"v": 2, "name": "x", "folders": [], "requests": [{"#, None);
        check(r#"{"swaggerVersion": "1.2", "basePath": "http://h", "apis": ["#, Some(Format::OpenApi));
        check("asyncapi: 3.0.0\ncomponents: {}\n", Some(Format::OpenApi));
        check(r#"{"_type":"export","__export_format":4,"resources":["#, Some(Format::Postman));
        assert_eq!(detect(b"PK\x03\x04\n\0openapi: 3.0.0\nopenapi: 3.0.0\n"), None);
        check("item: 1\ndata: 2\n", None);
        check("hello", None);
        check("", None);
        check("{\"a\\", None);
    }
}
