//! Converters take any bytes: they answer records or reasons and never panic.

use std::ops::ControlFlow;

use portolan_formats::archive::Archive;
use portolan_formats::openapi::Document;
use portolan_formats::{Target, detect, har, imperva, name, postman, unknown};
use portolan_record::{Record, Source};
use proptest::prelude::*;

const HAR: &str = r#"{"log": {"version": "1.2", "entries": [
    {"request": {"method": "POST", "url": "https://h/a?b=1", "headers": [{"name": "Cookie", "value": "a=\u00e9"}],
      "postData": {"text": "", "params": [{"name": "x", "value": "y z"}]}},
     "response": {"status": 200, "headers": [], "content": {"text": "eyJhIjoxfQ==", "encoding": "base64"}}},
    {"request": {"method": "GET", "url": "/b"}, "response": {"status": 0}}]}}"#;

const YAML: &str =
    "openapi: 3.0.3\ninfo: {title: t}\nservers: [{url: 'https://{h}/v1', variables: {h: {default: a.b}}}]
paths:\n  /a/{id}:\n    parameters: [{$ref: '#/components/parameters/id'}]\n    post:
      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/s'}}}}
      responses: {200: {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/s'}}}}}
components:\n  parameters: {id: {name: id, in: path, schema: {type: integer}}}
  schemas: {s: {allOf: [{type: object, properties: {a: {type: string}}}, {$ref: '#/components/schemas/s'}]}}
";

const POSTMAN: &str = r#"{"info": {"name": "n", "_postman_id": "i"}, "variable": [{"key": "a", "value": "{{b}}"}, {"key": "b", "value": "x{{a}}"}],
  "auth": {"type": "apikey", "apikey": [{"key": "key", "value": "k"}, {"key": "in", "value": "query"}]},
  "item": [{"name": "f", "item": [{"name": "r", "request": {"method": "POST", "url": {"raw": "{{a}}/:id?x=1", "host": ["{{a}}"], "path": [":id"],
    "query": [{"key": "x", "value": "1"}], "variable": [{"key": "id", "value": "7"}]}, "header": [{"key": "A", "value": "b"}],
    "body": {"mode": "formdata", "formdata": [{"key": "a", "type": "file", "src": ["/x"]}]}},
    "response": [{"code": 200, "body": "{}", "originalRequest": {"url": "https://h/9", "method": "GET"}}]}]},
    {"name": "g", "request": "https://h/{{b}}"}]}"#;

const POSTMAN_V1: &str = r#"{"id": "c", "name": "n", "order": ["r"], "folders": [{"id": "f", "order": ["r"], "folders_order": ["f"]}],
  "requests": [{"id": "r", "method": "PUT", "url": "h/:id", "pathVariables": {"id": "1"}, "headers": "a: b\n", "dataMode": "raw",
    "rawModeData": "{\"a\": {{x}}}", "responses": [{"responseCode": {"code": 200}, "text": "t"}]}]}"#;

const IMPERVA: &str = r#"[{"services": [{"hostname": "h", "traffic": [{"method": "POST", "resource": "/a/{b}", "request": {
  "queryParamList": [{"name": "q", "dataTypes": ["Number", "String"]}], "contentTypeToRequestBody": {"text/xml":
  [{"name": "o", "dataTypes": [{"type": "Object", "properties": [{"name": "l", "dataTypes": [{"type": "Array", "items": ["String"]}]}]}]}]}}}]}]},
  {"data": {"hostName": "h", "method": "GET", "resource": "/"}}]"#;

fn target() -> Target {
    Target { account_id: 1, collection_id: 2, time: 3, source: Source::Other }
}

fn check(bytes: &[u8]) {
    detect(bytes);
    let mut items = 0;
    let mut count = |item: har::Item<'_>| {
        items += 1;
        if let har::Item::Record(record) = item {
            let json = record.to_json();
            assert_eq!(Record::parse(&json).unwrap(), record);
        }
        ControlFlow::Continue(())
    };
    let converted = har::convert_slice(bytes, &target(), &mut count);
    let counted = har::validate_reader(bytes);
    assert_eq!(converted.is_ok(), counted.is_ok(), "{converted:?} {counted:?}");
    if let Ok(counted) = counted {
        assert_eq!(counted, items);
    }
    if let Ok(document) = Document::parse(bytes) {
        let outcomes: Vec<_> = document.operations(&target()).collect();
        assert_eq!(outcomes.len(), document.operation_count());
        for record in outcomes.iter().filter_map(|outcome| outcome.record.as_ref()) {
            assert_eq!(&Record::parse(&record.to_json()).unwrap(), record);
        }
    }
}

/// The other two converters: every outcome has records that can be read again, or a reason.
fn check_tools(bytes: &[u8]) {
    detect(bytes);
    let readable = |records: &[Record<'_>], errors: usize| {
        assert!(!records.is_empty() || errors > 0);
        for record in records {
            assert_eq!(&Record::parse(&record.to_json()).unwrap(), record);
        }
    };
    if let Ok(document) = postman::Document::parse(bytes) {
        for collection in document.collections() {
            collection.convert(&target(), &mut |outcome| {
                readable(&outcome.records, outcome.errors.len());
                ControlFlow::Continue(())
            });
        }
    }
    if let Ok(document) = imperva::Document::parse(bytes) {
        for multiple in [false, true] {
            let targets = Default::default();
            let outcomes: Vec<_> = document.convert(&targets, target(), multiple).collect();
            assert_eq!(outcomes.len(), document.endpoint_count());
            outcomes.iter().for_each(|outcome| readable(&outcome.records, outcome.errors.len()));
        }
    }
}

/// A text with some of its bytes replaced, some stretches cut out and some repeated.
fn mutated(text: impl Into<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let text = text.into();
    let change = (any::<prop::sample::Index>(), 0..24_usize, any::<u8>(), 0..3_u8);
    prop::collection::vec(change, 1..6).prop_map(move |changes| {
        let mut bytes = text.clone();
        for (at, length, byte, kind) in changes {
            if bytes.is_empty() {
                break;
            }
            let start = at.index(bytes.len());
            let end = (start + length).min(bytes.len());
            match kind {
                0 => bytes[start] = byte,
                1 => drop(bytes.drain(start..end)),
                _ => {
                    let copy = bytes[start..end].to_vec();
                    bytes.splice(start..start, copy);
                }
            }
        }
        bytes
    })
}

const PROTO: &str = "syntax = \"proto3\";\npackage a.b;\nimport \"google/api/annotations.proto\";\n
service S { rpc Do(M) returns (M) { option (google.api.http) = { get: \"/v1/{name=x/*}\" additional_bindings { post: \"/v1:do\" body: \"*\" } }; } }
message M { string name = 1; map<string, M> more = 2; }\n";

const BRU: &str = "meta {\n  name: a\n}\n\npost {\n  url: https://h/:id?a=1\n  body: json\n  auth: basic\n}\n\nbody:json {\n  {\"a\": 1}\n}\n";

fn archive() -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in [("a/openapi.yaml", YAML), ("a/b.proto", PROTO), ("c/one.bru", BRU), ("calls.har", HAR)] {
        writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut writer, text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn check_archive(bytes: &[u8]) {
    detect(bytes);
    assert!(!unknown(bytes).is_empty());
    if let Ok(archive) = Archive::read(bytes) {
        assert!(!archive.documents.is_empty());
        for document in archive.documents {
            name(document.format, bytes);
            check(&document.bytes);
        }
    }
}

proptest! {
    #[test]
    fn changed_archives_are_taken(bytes in mutated(archive()), at in any::<prop::sample::Index>()) {
        check_archive(&bytes);
        check_archive(&bytes[..at.index(bytes.len().max(1)).min(bytes.len())]);
    }

    #[test]
    fn changed_definitions_are_taken(proto in mutated(PROTO), bru in mutated(BRU)) {
        check(&proto);
        check_tools(&bru);
    }

    #[test]
    fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check(&bytes);
    }

    #[test]
    fn any_text_is_taken(text in "[\\[\\]{}:,\"\\\\ \\n#*&!a-c0-9$/-]{0,120}") {
        check(text.as_bytes());
        check(format!("openapi: 3.0.0\npaths: {text}\n").as_bytes());
        check(format!("{{\"log\": {{\"entries\": [{text}]}}}}").as_bytes());
    }

    #[test]
    fn changed_collections_and_schemas_are_taken(
        v2 in mutated(POSTMAN), v1 in mutated(POSTMAN_V1), schema in mutated(IMPERVA), text in "[\\[\\]{}:,\"a-c0-9$/]{0,80}",
    ) {
        for bytes in [&v2, &v1, &schema] {
            check_tools(bytes);
        }
        check_tools(format!("{{\"item\": [{text}]}}").as_bytes());
        check_tools(format!("{{\"item\": [{{\"request\": {{\"method\": \"A\", \"url\": \"{text}\"}}}}]}}").as_bytes());
        check_tools(format!("{{\"data\": [{text}]}}").as_bytes());
    }

    #[test]
    fn changed_captures_are_taken(bytes in mutated(HAR)) {
        check(&bytes);
    }

    #[test]
    fn changed_specifications_are_taken(bytes in mutated(YAML)) {
        check(&bytes);
    }
}
