//! Archives of documents, gRPC descriptions and the files of Bruno.

use std::io::{Cursor, Write as _};
use std::ops::ControlFlow;

use portolan_formats::archive::{Archive, MEMBERS_MAX, RATIO_MAX};
use portolan_formats::{Format, Target, detect, name, openapi, postman};
use portolan_record::{Location, Source};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fn target(source: Source) -> Target {
    Target { account_id: 1, collection_id: 1, time: 5, source }
}

fn archive(members: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn operations(bytes: &[u8]) -> Vec<String> {
    let document = openapi::Document::parse(bytes).unwrap();
    let target = target(Source::OpenApi);
    let found = document.operations(&target);
    found.map(|outcome| format!("{} {}", outcome.method, outcome.url)).collect()
}

/// Method, URL and credentials of each request.
fn requests(bytes: &[u8]) -> Vec<String> {
    let document = postman::Document::parse(bytes).unwrap();
    let mut found = Vec::new();
    for collection in document.collections() {
        collection.convert(&target(Source::Postman), &mut |outcome| {
            assert!(!outcome.records.is_empty(), "{:?}", outcome.errors);
            found.push(format!("{} {} {}", outcome.name, outcome.method, outcome.url));
            ControlFlow::Continue(())
        });
    }
    found
}

const SPECIFICATION: &[u8] = b"openapi: 3.0.0\ninfo: {title: Shop}\npaths: {/orders: {get: {}}}\n";
const CAPTURE: &[u8] = br#"{"log": {"entries": []}}"#;

#[test]
fn an_archive_gives_each_of_its_documents() {
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let members: [(&str, &[u8]); 4] = [
            ("logo.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
            ("calls.har", CAPTURE),
            ("api/openapi.yaml", SPECIFICATION),
            ("__MACOSX/api/._openapi.yaml", b"\0\x05\x16\x07"),
        ];
        let bytes = archive(&members, method);
        assert_eq!(detect(&bytes), Some(Format::OpenApi));
        assert_eq!(name(Format::OpenApi, &bytes).as_deref(), Some("Shop"));
        let read = Archive::read(&bytes).unwrap();
        let documents: Vec<_> = read.documents.iter().map(|member| (&*member.name, member.format)).collect();
        assert_eq!(documents, [("calls.har", Format::Har), ("api/openapi.yaml", Format::OpenApi)]);
        assert_eq!(read.documents[1].bytes, SPECIFICATION);
        let notes: Vec<_> = read.notes.iter().map(|note| &*note.error).collect();
        assert_eq!(notes, ["logo.png is left out: this is a PNG image"]);
        // A prefix that ends within a member tells as much.
        assert_eq!(detect(&bytes[..bytes.len() - 80]), Some(Format::OpenApi));
    }
    let captures = archive(&[("a.har", CAPTURE), ("b.har", CAPTURE)], CompressionMethod::Deflated);
    assert_eq!(detect(&captures), Some(Format::OpenApi));
    assert_eq!(Archive::read(&captures).unwrap().documents.len(), 2);
}

/// Paths, parameters and schemas in files of their own, as generators of projects lay them out.
#[test]
fn files_of_an_archive_point_into_each_other() {
    let members: [(&str, &[u8]); 6] = [
        (
            "api/openapi.yaml",
            b"openapi: 3.1.0\ninfo: {title: Shop, version: '1'}\nservers: [{url: 'https://shop.example/v1'}]\npaths:\n  \
              /orders/{orderId}: {$ref: paths/order.yaml}\n  /stock: {$ref: 'paths/all.yaml#/stock'}\n  /far: {$ref: \
              'https://other.example/far.yaml'}\n  /gone: {$ref: '../../gone.yaml'}\n",
        ),
        (
            "api/paths/order.yaml",
            b"parameters: [{$ref: '../parameters.json#/orderId'}]\nget: {responses: {'200': {content: {application/json: \
              {schema: {$ref: '../schemas/order.yaml'}}}}}}\n",
        ),
        ("api/paths/all.yaml", b"stock: {post: {requestBody: {$ref: '#/body'}}}\nbody: {content: {application/json: {schema: \
            {type: object, properties: {sku: {type: string}}}}}}\n"),
        ("api/parameters.json", br#"{"orderId": {"in": "path", "name": "orderId", "required": true, "schema": {"type": "integer"}}}"#),
        (
            "api/schemas/order.yaml",
            b"type: object\nproperties: {total: {type: number}, next: {$ref: order.yaml}, buyer: {$ref: '#/$defs/buyer'}}\n\
              $defs: {buyer: {type: object, properties: {email: {type: string, format: email}}}}\n",
        ),
        ("README.md", b"# Shop\n"),
    ];
    let read = Archive::read(&archive(&members, CompressionMethod::Deflated)).unwrap();
    let names: Vec<_> = read.documents.iter().map(|member| &*member.name).collect();
    let notes: Vec<_> = read.notes.iter().map(|note| &*note.error).collect();
    assert_eq!((names, notes), (vec!["api/openapi.yaml"], vec!["README.md is left out: this is a Markdown text"]));
    let document = openapi::Document::parse(&read.documents[0].bytes).unwrap();
    let mut found = Vec::new();
    for outcome in document.operations(&target(Source::OpenApi)) {
        assert_eq!(outcome.errors, []);
        let declared = outcome.record.as_ref().unwrap().declaration.as_ref().unwrap();
        let names: Vec<_> = declared.parameters.iter().map(|parameter| &*parameter.name).collect();
        found.push(format!("{} {} {}", outcome.method, outcome.url, names.join(" ")));
    }
    assert_eq!(
        found,
        [
            "GET https://shop.example/v1/orders/INTEGER 2 content-type total next buyer#email",
            "POST https://shop.example/v1/stock content-type sku",
        ]
    );
    let errors: Vec<_> = document.errors().iter().map(|error| &*error.error).collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(
        errors[0].starts_with("path /far cannot be read: reference https://other.example/far.yaml points to another")
    );
    assert!(errors[1].starts_with("path /gone cannot be read: reference ../../gone.yaml points to another document"));
}

#[test]
fn archives_are_bounded_and_refused_with_a_reason() {
    let refused = |bytes: &[u8], expected: &str| {
        let error = Archive::read(bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    };
    let many: Vec<String> = (0..=MEMBERS_MAX).map(|at| at.to_string()).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), &b""[..])).collect();
    refused(&archive(&many, CompressionMethod::Stored), "more than 10000 members");
    let blank = vec![b' '; 16 << 20];
    let bomb = archive(&[("bomb.json", &blank)], CompressionMethod::Deflated);
    refused(&bomb, &format!("more than {RATIO_MAX} times its bytes"));
    let nothing = archive(&[("a.txt", b"hello"), ("inner.zip", &bomb)], CompressionMethod::Stored);
    refused(&nothing, "no document of an accepted format; a.txt is left out: nothing in its first bytes");
    refused(&nothing, "inner.zip is left out: this is a zip archive");
    refused(&nothing[..nothing.len() / 2], "not an archive of documents: ");
    assert_eq!(detect(&nothing), None);
    let broken = archive(&[("a.proto", b"syntax = \"proto3\";\nmessage A { int32 }\n")], CompressionMethod::Stored);
    refused(&broken, "the file a.proto does not compile: line 2: ");
}

const SHOP: &str = r#"
// The shop.
syntax = "proto3";
package shop.v1;
import "google/api/annotations.proto";
import "google/api/field_behavior.proto";
import "google/protobuf/timestamp.proto";
import "shop/v1/types.proto";

service Orders {
  option (google.api.default_host) = "shop.example";
  rpc Get(GetRequest) returns (Order) {
    option (google.api.http) = {
      get: "/v1/{name=shops/*/orders/*}"
      additional_bindings { post: "/v1/orders:find" body: "*" }
    };
    option (google.api.method_signature) = "name";
  }
  rpc Link(GetRequest) returns (Order) {
    option (google.api.http) = { custom: { kind: "LINK" path: "/v1/orders/{view.level}" } };
  }
  rpc Watch(stream GetRequest) returns (stream Order);
}

message GetRequest {
  string name = 1 [(google.api.field_behavior) = REQUIRED];
  View view = 2;
  int64 page_size = 3;
}
"#;

const TYPES: &str = r#"
syntax = "proto3";
package shop.v1;
import "google/protobuf/timestamp.proto";
message View { int32 level = 1; repeated string parts = 2; }
message Order {
  string customer_email = 1;
  google.protobuf.Timestamp made_at = 2;
  map<string, Line> lines = 3;
  Order parent = 4;
  message Line { int64 units = 1; }
}
"#;

const FOUND: [&str; 6] = [
    "GET /v1/shops/STRING/orders/STRING",
    "LINK /v1/orders/INTEGER",
    "POST /shop.v1.Orders/Get",
    "POST /shop.v1.Orders/Link",
    "POST /shop.v1.Orders/Watch",
    "POST /v1/orders:find",
];

#[test]
fn folders_of_proto_files_are_one_description() {
    let members: [(&str, &[u8]); 2] =
        [("protos/shop/v1/orders.proto", SHOP.as_bytes()), ("protos/shop/v1/types.proto", TYPES.as_bytes())];
    let bytes = archive(&members, CompressionMethod::Deflated);
    assert_eq!(detect(&bytes), Some(Format::OpenApi));
    let read = Archive::read(&bytes).unwrap();
    assert_eq!(read.documents.len(), 1);
    assert_eq!(read.documents[0].name, "protos/shop/v1");
    let notes: Vec<_> = read.notes.iter().map(|note| &*note.error).collect();
    assert_eq!(notes, ["1 imported files are not there: google/api/field_behavior.proto"]);
    let mut found = operations(&read.documents[0].bytes);
    found.sort();
    assert_eq!(found, FOUND);
    let document = openapi::Document::parse(&read.documents[0].bytes).unwrap();
    assert_eq!(document.title(), Some("shop.v1"));
    let get =
        document.operations(&target(Source::OpenApi)).find(|outcome| outcome.url.starts_with("/v1/shops")).unwrap();
    let parameters = get.record.unwrap().declaration.unwrap().parameters;
    let named = |location: Location, code: i32| -> Vec<String> {
        let of =
            parameters.iter().filter(|parameter| parameter.location == location && parameter.response_code == code);
        of.map(|parameter| parameter.name.clone()).collect()
    };
    assert_eq!(named(Location::Query, -1), ["view.level", "view.parts", "page_size"]);
    let answer = named(Location::Body, 200);
    for name in ["customerEmail", "madeAt", "lines#*#units"] {
        assert!(answer.iter().any(|known| known == name), "{name}: {answer:?}");
    }
}

#[test]
fn sets_of_descriptors_are_read_with_their_rules() {
    let files = [("shop/v1/orders.proto", SHOP), ("shop/v1/types.proto", TYPES)];
    let folder = std::env::temp_dir().join(format!("portolan-doors-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("shop/v1")).unwrap();
    std::fs::create_dir_all(folder.join("google/api")).unwrap();
    let api = concat!(env!("CARGO_MANIFEST_DIR"), "/src/foreign/protobuf/");
    for name in ["http.proto", "annotations.proto"] {
        std::fs::copy(format!("{api}{name}"), folder.join("google/api").join(name)).unwrap();
    }
    for (name, text) in files {
        let text = text.replace("import \"google/api/field_behavior.proto\";", "");
        let text = text.replace("  option (google.api.default_host) = \"shop.example\";\n", "");
        let text = text.replace("    option (google.api.method_signature) = \"name\";\n", "");
        std::fs::write(folder.join(name), text.replace(" [(google.api.field_behavior) = REQUIRED]", "")).unwrap();
    }
    let mut compiler = protox::Compiler::new([&folder]).unwrap();
    compiler.open_file("shop/v1/orders.proto").unwrap();
    let without_imports = compiler.encode_file_descriptor_set();
    compiler.include_imports(true);
    let bytes = compiler.encode_file_descriptor_set();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(detect(&bytes[..200]), Some(Format::OpenApi));
    let mut found = operations(&bytes);
    found.sort();
    assert_eq!(found, FOUND);
    let error = openapi::Document::parse(&without_imports).err().unwrap().to_string();
    assert!(error.contains("the set of gRPC descriptors cannot be read"), "{error}");
    assert!(openapi::Document::parse(&bytes[..bytes.len() - 7]).is_err());
}

#[test]
fn a_proto_file_alone_is_read_where_it_needs_no_other() {
    let text = "/* a\n */ syntax = \"proto3\";\npackage a;\nservice S { rpc Do(M) returns (M); }\nmessage M { string mail = 1; }\n";
    assert_eq!(detect(text.as_bytes()), Some(Format::OpenApi));
    assert_eq!(operations(text.as_bytes()), ["POST /a.S/Do"]);
    let error = openapi::Document::parse(SHOP.as_bytes()).err().unwrap().to_string();
    assert!(
        error.contains("these imported files are not there: google/api/field_behavior.proto, shop/v1/types.proto"),
        "{error}"
    );
    let error = openapi::Document::parse(b"syntax = \"proto3\";\nmessage A {}\n").err().unwrap().to_string();
    assert!(error.contains("no method of a service"), "{error}");
    let deep = format!("syntax = \"proto3\";\n{}", "message A {".repeat(100_000));
    let error = openapi::Document::parse(deep.as_bytes()).err().unwrap().to_string();
    assert!(error.contains("it nests deeper than 64 levels"), "{error}");
}

const REQUEST: &str = "meta {\n  name: One order\n  type: http\n  seq: 1\n}\n\nget {\n  url: {{host}}/orders/:orderId?expand=lines\n  body: none\n  auth: inherit\n}\n\nparams:path {\n  orderId: 42\n}\n\nheaders {\n  X-Tenant: a\n  ~X-Off: b\n}\n";
const CREATE: &str = "meta {\n  name: New\n  type: http\n}\n\npost {\n  url: https://shop.example/orders\n  body: json\n  auth: apikey\n}\n\nauth:apikey {\n  key: X-Key\n  value: s3cret\n  placement: header\n}\n\nbody:json {\n  {\n    \"sku\": \"A\"\n  }\n}\n";

#[test]
fn files_of_bruno_are_a_collection() {
    assert_eq!(detect(CREATE.as_bytes()), Some(Format::Postman));
    assert_eq!(requests(CREATE.as_bytes()), ["New POST https://shop.example/orders"]);
    let document = postman::Document::parse(CREATE.as_bytes()).unwrap();
    let collection = document.collections().next().unwrap();
    collection.convert(&target(Source::Postman), &mut |outcome| {
        let record = &outcome.records[0];
        assert!(record.request_headers.contains("\"x-key\""), "{}", record.request_headers);
        assert_eq!(record.request_payload.split_whitespace().collect::<String>(), "{\"sku\":\"A\"}");
        ControlFlow::Continue(())
    });
    let members: [(&str, &[u8]); 6] = [
        ("shop/bruno.json", b"{\"version\": \"1\", \"name\": \"Shop\", \"type\": \"collection\"}"),
        ("shop/collection.bru", b"auth {\n  mode: bearer\n}\n\nauth:bearer {\n  token: t\n}\n"),
        ("shop/environments/dev.bru", b"vars {\n  host: https://dev.example\n}\n"),
        ("shop/orders/One order.bru", REQUEST.as_bytes()),
        ("shop/New.bru", CREATE.as_bytes()),
        ("shop/calls/Watch.bru", b"meta {\n  name: Watch\n  type: grpc\n}\n\ngrpc {\n  url: grpc://a\n}\n"),
    ];
    let bytes = archive(&members, CompressionMethod::Deflated);
    assert_eq!(detect(&bytes), Some(Format::Postman));
    let read = Archive::read(&bytes).unwrap();
    assert_eq!(read.documents.len(), 1);
    let found = requests(&read.documents[0].bytes);
    assert_eq!(
        found,
        ["New POST https://shop.example/orders", "orders / One order GET https://dev.example/orders/INTEGER"]
    );
    let notes: Vec<_> = read.notes.iter().map(|note| &*note.error).collect();
    assert_eq!(notes, ["calls/Watch.bru: a file of type `grpc` holds no HTTP request and is left out"]);
}
