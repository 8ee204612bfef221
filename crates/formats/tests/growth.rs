//! The work of a document grows with its size: ten times as much of any part costs at most fifteen times as many
//! allocated bytes.

use std::io::{Cursor, Write as _};
use std::ops::ControlFlow;

use allocation_counter::measure;
use portolan_formats::archive::Archive;
use portolan_formats::{Format, Target, detect, har, imperva, openapi, postman};
use portolan_record::Source;
use zip::{ZipWriter, write::SimpleFileOptions};

/// Growth that is taken for ten times the input.
const FACTOR_MAX: f64 = 15.0;

fn target() -> Target {
    Target { account_id: 1, collection_id: 1, time: 5, source: Source::Other }
}

/// Converts a document as imports do; answers the records and the errors.
fn convert(bytes: &[u8]) -> (usize, Vec<String>) {
    if let Ok(archive) = Archive::read(bytes) {
        let all = archive.documents.iter().map(|document| convert(&document.bytes));
        return all.fold((0, Vec::new()), |sum, one| (sum.0 + one.0, [sum.1, one.1].concat()));
    }
    match detect(bytes).unwrap_or_else(|| panic!("no format: {}", String::from_utf8_lossy(&bytes[..80]))) {
        Format::Har => {
            let (mut records, mut errors) = (0, Vec::new());
            let converted = har::convert_slice(bytes, &target(), &mut |item: har::Item<'_>| {
                match item {
                    har::Item::Record(_) => records += 1,
                    har::Item::Refused { reason, .. } => errors.push(reason),
                }
                ControlFlow::Continue(())
            });
            errors.extend(converted.err().map(|error| error.to_string()));
            (records, errors)
        }
        Format::OpenApi => match openapi::Document::parse(bytes) {
            Ok(document) => {
                let (mut records, mut errors) = (0, Vec::new());
                for outcome in document.operations(&target()) {
                    records += usize::from(outcome.record.is_some());
                    errors.extend(outcome.errors.iter().map(|error| error.error.to_string()));
                }
                (records, errors)
            }
            Err(error) => (0, vec![error.to_string()]),
        },
        Format::Postman => match postman::Document::parse(bytes) {
            Ok(document) => {
                let (mut records, mut errors) = (0, Vec::new());
                for collection in document.collections() {
                    collection.convert(&target(), &mut |outcome| {
                        records += outcome.records.len();
                        errors.extend(outcome.errors.iter().map(|error| error.error.to_string()));
                        ControlFlow::Continue(())
                    });
                }
                (records, errors)
            }
            Err(error) => (0, vec![error.to_string()]),
        },
        Format::Imperva => match imperva::Document::parse(bytes) {
            Ok(document) => {
                let (mut records, mut errors) = (0, Vec::new());
                for outcome in document.convert(&Default::default(), target(), false) {
                    records += outcome.records.len();
                    errors.extend(outcome.errors.iter().map(|error| error.error.to_string()));
                }
                (records, errors)
            }
            Err(error) => (0, vec![error.to_string()]),
        },
    }
}

fn repeated(count: usize, part: impl Fn(usize) -> String, separator: &str) -> String {
    (0..count).map(part).collect::<Vec<_>>().join(separator)
}

fn capture(request: &str, response: &str, count: usize) -> String {
    let entry = format!(
        r#"{{"startedDateTime":"2026-01-01T00:00:00Z","request":{{"method":"POST","url":"http://h.test/a"{request}}},
        "response":{{"status":200{response}}}}}"#
    );
    format!(r#"{{"log":{{"version":"1.2","entries":[{}]}}}}"#, vec![entry; count].join(","))
}

fn document(operation: &str, components: &str) -> String {
    format!(
        r#"{{"openapi":"3.0.0","info":{{"title":"t","version":"1"}},"servers":[{{"url":"http://h.test"}}],
        "paths":{{"/a":{{"post":{{"responses":{{"200":{{"description":"d"}}}}{operation}}}}}}},"components":{{{components}}}}}"#
    )
}

fn body(schema: &str, components: &str) -> String {
    document(&format!(r#","requestBody":{{"content":{{"application/json":{{"schema":{schema}}}}}}}"#), components)
}

fn collection(items: &str, rest: &str) -> String {
    format!(
        r#"{{"info":{{"name":"n","schema":"https://schema.getpostman.com/json/collection/v2.1.0/collection.json"}},
        "item":[{items}]{rest}}}"#
    )
}

fn request(rest: &str) -> String {
    format!(r#"{{"name":"r","request":{{"method":"GET","url":"http://h.test/a"{rest}}}}}"#)
}

/// A document with `count` of one part, by the part's name.
fn with(part: &str, count: usize) -> Vec<u8> {
    let n = count;
    let text = match part {
        "HAR entries" => capture("", "", n),
        "HAR headers" => {
            let all = repeated(n, |at| format!(r#"{{"name":"h{at}","value":"v"}}"#), ",");
            capture(&format!(r#","headers":[{all}]"#), "", 1)
        }
        "HAR cookies" => {
            let all = repeated(n, |at| format!(r#"{{"name":"c{at}","value":"v"}}"#), ",");
            capture(&format!(r#","cookies":[{all}]"#), "", 1)
        }
        "HAR query" => {
            let all = repeated(n, |at| format!(r#"{{"name":"q{at}","value":"v"}}"#), ",");
            capture(&format!(r#","queryString":[{all}]"#), "", 1)
        }
        "HAR parameters of a body" => {
            let all = repeated(n, |at| format!(r#"{{"name":"p{at}","value":"v","fileName":"f"}}"#), ",");
            capture(&format!(r#","postData":{{"mimeType":"multipart/form-data","params":[{all}]}}"#), "", 1)
        }
        "HAR body" => capture("", &format!(r#","content":{{"text":"{}"}}"#, r"\u00e9\n".repeat(n)), 1),
        "HAR unknown members" => capture(&repeated(n, |at| format!(r#","_x{at}":{{"y":[1]}}"#), ""), "", 1),
        "OpenAPI operations" => {
            let all = repeated(n, |at| format!(r#""/p{at}/{{id}}":{{"get":{{}},"post":{{}}}}"#), ",");
            format!(r#"{{"openapi":"3.0.0","info":{{"title":"t","version":"1"}},"paths":{{{all}}}}}"#)
        }
        "YAML operations" => {
            let all = repeated(n, |at| format!("  /p{at}:\n    get: {{}}\n    post: {{}}\n"), "");
            format!("openapi: 3.0.0\ninfo: {{title: t, version: '1'}}\npaths:\n{all}")
        }
        "YAML anchors" => {
            let all = repeated(n, |at| format!("  /p{at}:\n    get: &a{at} {{}}\n    post: *a{at}\n"), "");
            format!("openapi: 3.0.0\ninfo: {{title: t, version: '1'}}\npaths:\n{all}")
        }
        "OpenAPI parameters" => {
            let all = repeated(n, |at| format!(r#"{{"name":"q{at}","in":"query","schema":{{"type":"string"}}}}"#), ",");
            document(&format!(r#","parameters":[{all}]"#), "")
        }
        "OpenAPI properties" => {
            let all = repeated(n, |at| format!(r#""m{at}":{{"type":"string"}}"#), ",");
            body(&format!(r#"{{"type":"object","properties":{{{all}}}}}"#), "")
        }
        "OpenAPI references" => {
            let all = repeated(n, |at| format!(r##""m{at}":{{"$ref":"#/components/schemas/s{at}"}}"##), ",");
            let schemas = repeated(n, |at| format!(r#""s{at}":{{"type":"string"}}"#), ",");
            body(&format!(r#"{{"type":"object","properties":{{{all}}}}}"#), &format!(r#""schemas":{{{schemas}}}"#))
        }
        "OpenAPI chain of references" => {
            let chain = |at: usize| {
                format!(r##""s{at}":{{"properties":{{"n":{{"$ref":"#/components/schemas/s{}"}}}}}}"##, at + 1)
            };
            let schemas = format!(r#""schemas":{{{},"s{n}":{{"type":"string"}}}}"#, repeated(n, chain, ","));
            body(r##"{"$ref":"#/components/schemas/s0"}"##, &schemas)
        }
        "OpenAPI cycle of references" => {
            let all = repeated(n, |at| format!(r##""m{at}":{{"$ref":"#/components/schemas/s"}}"##), ",");
            let schema = format!(r#""schemas":{{"s":{{"type":"object","properties":{{{all}}}}}}}"#);
            body(r##"{"$ref":"#/components/schemas/s"}"##, &schema)
        }
        "OpenAPI alternatives" => {
            let all = repeated(n, |at| format!(r#"{{"properties":{{"a{at}":{{"type":"string"}}}}}}"#), ",");
            body(&format!(r#"{{"oneOf":[{all}]}}"#), "")
        }
        "OpenAPI responses" => {
            let all = repeated(n, |at| format!(r#""{}":{{"description":"d"}}"#, 100 + at), ",");
            document("", "").replace(r#""200":{"description":"d"}"#, &all)
        }
        "OpenAPI servers" => {
            let all = repeated(n, |at| format!(r#"{{"url":"http://h{at}.test"}}"#), ",");
            document("", "").replace(r#"{"url":"http://h.test"}"#, &all)
        }
        "OpenAPI security" => {
            let all = repeated(n, |at| format!(r#"{{"s{at}":[]}}"#), ",");
            let schemes = repeated(n, |at| format!(r#""s{at}":{{"type":"apiKey","in":"header","name":"h{at}"}}"#), ",");
            document(&format!(r#","security":[{all}]"#), &format!(r#""securitySchemes":{{{schemes}}}"#))
        }
        "OpenAPI examples" => {
            let all = repeated(n, |at| format!(r#""m{at}":{at}"#), ",");
            body(&format!(r#"{{"type":"object","example":{{{all}}}}}"#), "")
        }
        "OpenAPI tags" => document(&format!(r#","tags":[{}]"#, repeated(n, |at| format!(r#""t{at}""#), ",")), ""),
        "Swagger 2 operations" => {
            let all = repeated(n, |at| format!(r#""/p{at}":{{"get":{{}},"post":{{}}}}"#), ",");
            format!(r#"{{"swagger":"2.0","info":{{"title":"t","version":"1"}},"paths":{{{all}}}}}"#)
        }
        "Postman items" => collection(&repeated(n, |_| request(""), ","), ""),
        "Postman folders" => {
            collection(&repeated(n, |at| format!(r#"{{"name":"f{at}","item":[{}]}}"#, request("")), ","), "")
        }
        "Postman depth" => {
            let open = format!(r#"{{"name":"f","auth":{{"type":"noauth"}},"item":[{},"#, request(""));
            collection(&format!("{}{}{}", open.repeat(n), request(""), "]}".repeat(n)), "")
        }
        "Postman variables" => {
            let all = repeated(n, |at| format!(r#"{{"key":"v{at}","value":"x"}}"#), ",");
            collection(&request(""), &format!(r#","variable":[{all}]"#))
        }
        "Postman chain of variables" => {
            let all = repeated(n, |at| format!(r#"{{"key":"v{at}","value":"{{{{v{}}}}}x"}}"#, at + 1), ",");
            let used = request("").replace("http://h.test/a", "http://h.test/{{v0}}");
            collection(&used, &format!(r#","variable":[{all}]"#))
        }
        "Postman uses of a variable" => {
            let used = request("").replace("/a", &format!("/{}", "{{v}}".repeat(n)));
            collection(&used, r#","variable":[{"key":"v","value":"xy"}]"#)
        }
        "Postman headers" => {
            let all = repeated(n, |at| format!(r#"{{"key":"h{at}","value":"v"}}"#), ",");
            collection(&request(&format!(r#","header":[{all}]"#)), "")
        }
        "Postman responses" => {
            let all = repeated(n, |at| format!(r#"{{"code":200,"body":"{at}"}}"#), ",");
            collection(&request("").replace(r#""request""#, &format!(r#""response":[{all}],"request""#)), "")
        }
        "Postman form" => {
            let all = repeated(n, |at| format!(r#"{{"key":"k{at}","value":"v"}}"#), ",");
            collection(&request(&format!(r#","body":{{"mode":"formdata","formdata":[{all}]}}"#)), "")
        }
        "Imperva endpoints" => {
            let all = repeated(
                n,
                |at| format!(r#"{{"data":{{"hostName":"h.test","method":"GET","resource":"/p{at}"}}}}"#),
                ",",
            );
            format!("[{all}]")
        }
        "Imperva parameters" => {
            let all = repeated(n, |at| format!(r#"{{"name":"q{at}","dataTypes":["Number"]}}"#), ",");
            format!(
                r#"[{{"services":[{{"hostname":"h.test","traffic":[{{"method":"GET","resource":"/a","request":
                {{"queryParamList":[{all}]}}}}]}}]}}]"#
            )
        }
        "Insomnia requests" => {
            let all = repeated(
                n,
                |at| {
                    format!(
                        r#"{{"_type":"request","_id":"r{at}","parentId":"w","name":"r","method":"GET","url":"http://h.test/{at}"}}"#
                    )
                },
                ",",
            );
            format!(
                r#"{{"_type":"export","__export_format":4,"resources":[{{"_type":"workspace","_id":"w","name":"w"}},{all}]}}"#
            )
        }
        "Burp items" => {
            let item = "<item><url><![CDATA[http://h.test/a]]></url><method>GET</method><status>200</status>\
                <request base64=\"false\"><![CDATA[GET /a HTTP/1.1\r\nHost: h.test\r\n\r\n]]></request>\
                <response base64=\"false\"><![CDATA[HTTP/1.1 200 OK\r\n\r\n{}]]></response></item>";
            format!("<?xml version=\"1.0\"?>\n<items burpVersion=\"1\" exportTime=\"x\">{}</items>", item.repeat(n))
        }
        "GraphQL fields" => {
            format!("type Query {{\n{}}}\n", repeated(n, |at| format!("  f{at}(a: Int): String\n"), ""))
        }
        "proto methods" => format!(
            "syntax = \"proto3\";\npackage a;\nservice S {{\n{}}}\nmessage M {{ string a = 1; }}\n",
            repeated(n, |at| format!("  rpc Do{at}(M) returns (M);\n"), "")
        ),
        "AsyncAPI channels" => {
            let all = repeated(
                n,
                |at| format!(r#""c{at}":{{"publish":{{"message":{{"payload":{{"type":"object"}}}}}}}}"#),
                ",",
            );
            format!(
                r#"{{"asyncapi":"2.6.0","info":{{"title":"t","version":"1"}},"servers":{{"s":{{"url":"h.test","protocol":"ws"}}}},"channels":{{{all}}}}}"#
            )
        }
        "archive members" => {
            let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
            for at in 0..n {
                writer.start_file(format!("{at}.har"), SimpleFileOptions::default()).unwrap();
                writer.write_all(capture("", "", 1).as_bytes()).unwrap();
            }
            return writer.finish().unwrap().into_inner();
        }
        other => panic!("no part {other}"),
    };
    text.into_bytes()
}

#[test]
fn ten_times_as_much_costs_little_more_than_ten_times() {
    let mut table = String::new();
    let mut slow = Vec::new();
    for (part, from) in [
        ("HAR entries", 300),
        ("HAR headers", 300),
        ("HAR cookies", 300),
        ("HAR query", 100),
        ("HAR parameters of a body", 300),
        ("HAR body", 10_000),
        ("HAR unknown members", 1_000),
        ("OpenAPI operations", 300),
        ("YAML operations", 300),
        ("YAML anchors", 300),
        ("OpenAPI parameters", 100),
        ("OpenAPI properties", 300),
        ("OpenAPI references", 300),
        ("OpenAPI chain of references", 100),
        ("OpenAPI cycle of references", 100),
        ("OpenAPI alternatives", 300),
        ("OpenAPI responses", 50),
        ("OpenAPI servers", 300),
        ("OpenAPI security", 300),
        ("OpenAPI examples", 300),
        ("OpenAPI tags", 300),
        ("Swagger 2 operations", 300),
        ("Postman items", 300),
        ("Postman folders", 300),
        ("Postman depth", 5),
        ("Postman variables", 300),
        ("Postman chain of variables", 100),
        ("Postman uses of a variable", 100),
        ("Postman headers", 300),
        ("Postman responses", 100),
        ("Postman form", 300),
        ("Imperva endpoints", 300),
        ("Imperva parameters", 100),
        ("Insomnia requests", 300),
        ("Burp items", 300),
        ("GraphQL fields", 300),
        ("proto methods", 300),
        ("AsyncAPI channels", 300),
        ("archive members", 50),
    ] {
        let (few, many) = (with(part, from), with(part, from * 10));
        // What is loaded once for all.
        let (records, errors) = convert(&few);
        assert!(records > 0, "{part}: {errors:?}");
        let bytes = |document: &[u8]| measure(|| drop(convert(document))).bytes_total;
        let (few, many) = (bytes(&few), bytes(&many));
        let factor = many as f64 / few as f64;
        table.push_str(&format!("{part:30} {from:6} {few:12} {many:12} {factor:.1}\n"));
        if factor > FACTOR_MAX {
            slow.push(part);
        }
    }
    println!("{table}");
    assert!(slow.is_empty(), "{slow:?} grow too fast:\n{table}");
}
