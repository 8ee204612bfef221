//! Files of other tools at the door: each is sent over REST and by the command, and seen in the inventory; what is
//! refused is named and leaves nothing; what a reading notes is told everywhere.

use std::{io::Write as _, path::Path, process::Output};

use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::server::{Answer, Server, har};

const INSOMNIA_4: &str = r#"{"_type":"export","__export_format":4,"resources":[
    {"_id":"w","_type":"workspace","name":"Shop"},
    {"_id":"e","parentId":"w","_type":"environment","data":{"base":"https://four.example.org/v1"}},
    {"_id":"r","parentId":"w","_type":"request","name":"One","method":"GET","url":"{{ _.base }}/orders/42"}]}"#;
const INSOMNIA_5: &str = "type: collection.insomnia.rest/5.0\nname: Shop\nmeta:\n  id: w\ncollection:\n  - name: Orders\n    \
    children:\n      - url: '{{ _.host }}/orders'\n        name: All\n        method: GET\nenvironments:\n  name: Base\n  data:\n    \
    host: https://five.example.org\n";
const BRUNO: &str = r#"{"name":"Shop","version":"1","items":[{"type":"http-request","name":"One","request":
    {"method":"DELETE","url":"https://bruno.example.org/orders/7","headers":[]}}],"exportedUsing":"Bruno/v2"}"#;
const BURP: &str = "<?xml version=\"1.0\"?><items burpVersion=\"2031.1\"><item>\
    <url><![CDATA[https://burp.example.org/orders]]></url><method>POST</method><status>201</status>\
    <request base64=\"false\"><![CDATA[POST /orders HTTP/1.1\nContent-Type: application/json\n\n{\"sku\":\"A\"}]]></request>\
    <response base64=\"false\"><![CDATA[HTTP/1.1 201 Created\nContent-Type: application/json\n\n{\"orderId\":9}]]></response>\
    </item></items>";
const SWAGGER_1: &str = r#"{"swaggerVersion":"1.2","apiVersion":"1","basePath":"https://pets.example.org","apis":[{"path":
    "/pets/{id}","operations":[{"method":"GET","type":"void","parameters":[{"paramType":"path","name":"id","type":"integer"}]}]}]}"#;
const ASYNCAPI_2: &str = "asyncapi: 2.6.0\ninfo: {title: Lamps, version: '1'}\nservers:\n  live: {url: 'wss://lamps.example.org', \
    protocol: wss}\nchannels:\n  lamps/{id}:\n    parameters: {id: {schema: {type: integer}}}\n    subscribe: {message: {payload: \
    {type: object}}}\n";
const ASYNCAPI_3: &str = r##"{"asyncapi":"3.0.0","info":{"title":"L","version":"1"},"servers":{"a":{"host":"users.example.org",
    "protocol":"https","pathname":"/v1"}},"channels":{"signup":{"address":"users/signed-up","messages":{"m":{"payload":{"type":
    "object","properties":{"mail":{"type":"string"}}}}}}},"operations":{"onSignup":{"action":"receive","channel":{"$ref":
    "#/channels/signup"}}}}"##;
const GRAPHQL: &str = "type Query {\n  order(id: ID!): Order\n}\ntype Order { id: ID! }\n";
const INTROSPECTION: &str = r#"{"data":{"__schema":{"queryType":{"name":"Q"},"mutationType":null,"types":[
    {"name":"Q","kind":"OBJECT","fields":[{"name":"me","args":[{"name":"id"}]}]}]}}}"#;

const PROTO: &str = "syntax = \"proto3\";\npackage shop.v1;\nservice Orders { rpc Get(Wanted) returns (Wanted); }\n\
    message Wanted { string id = 1; }\n";

/// Each with its name and what it becomes.
const ACCEPTED: [(&str, &str, &str); 10] = [
    ("insomnia4", INSOMNIA_4, "GET https://four.example.org/v1/orders/INTEGER"),
    ("insomnia5", INSOMNIA_5, "GET https://five.example.org/orders"),
    ("bruno", BRUNO, "DELETE https://bruno.example.org/orders/INTEGER"),
    ("burp", BURP, "POST https://burp.example.org/orders"),
    ("swagger1", SWAGGER_1, "GET https://pets.example.org/pets/INTEGER"),
    ("asyncapi2", ASYNCAPI_2, "GET https://lamps.example.org/lamps/INTEGER"),
    ("asyncapi3", ASYNCAPI_3, "POST https://users.example.org/v1/users/signed-up"),
    ("graphql", GRAPHQL, "POST /graphql"),
    ("introspection", INTROSPECTION, "POST /graphql"),
    ("orders.proto", PROTO, "POST /shop.v1.Orders/Get"),
];

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

async fn send(server: &Server, name: &str, content: Vec<u8>) -> Answer {
    let url = format!("{}/v1/imports?collectionName={name}", server.http);
    server.send(reqwest::Client::new().post(url).header("x-api-key", &server.api_key).body(content)).await.unwrap()
}

async fn command(server: &Server, directory: &Path, arguments: &[&str], files: &[(&str, Vec<u8>)]) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_portolan"));
    command.arg("import").args(["--url", &server.http, "--api-key", &server.api_key]).args(arguments);
    for (name, content) in files {
        let file = directory.join(name);
        std::fs::write(&file, content).unwrap();
        command.arg(file);
    }
    command.output().await.unwrap()
}

pub async fn files_of_other_tools_become_endpoints(test: TestDb) {
    let server = Server::start(&test).await;
    for (index, (name, text, expected)) in ACCEPTED.into_iter().enumerate() {
        let content = if index % 2 == 0 { text.as_bytes().to_vec() } else { gzip(text) };
        let answer = send(&server, name, content).await.expect(200).json();
        let job = server.wait_for_job(answer["jobId"].as_str().unwrap()).await;
        assert_eq!((&job["state"], &job["importedItems"]), (&json!("SUCCEEDED"), &json!(1)), "{name}: {job}");
        assert_eq!(server.endpoints(job["collectionId"].as_i64().unwrap()).await, [expected], "{name}");
    }
    // Several in an archive are one import, whatever the first of them is.
    let capture = har(&[("GET", "http://zip.test/a", "", 200, "{}")]);
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in [("calls.har", capture.as_str()), ("pets.json", SWAGGER_1)] {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    let answer = send(&server, "zip", archive.finish().unwrap().into_inner()).await.expect(200).json();
    let job = server.wait_for_job(answer["jobId"].as_str().unwrap()).await;
    assert_eq!((&job["state"], &job["importedItems"]), (&json!("SUCCEEDED"), &json!(2)), "{job}");
    let mut endpoints = server.endpoints(job["collectionId"].as_i64().unwrap()).await;
    endpoints.sort_unstable();
    assert_eq!(endpoints, ["GET http://zip.test/a", "GET https://pets.example.org/pets/INTEGER"]);

    let directory = tempfile::tempdir().unwrap();
    let files = ACCEPTED.map(|(name, text, _)| (name, gzip(text)));
    let output = command(&server, directory.path(), &["--collection", "All"], &files).await;
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    let mut expected: Vec<_> = ACCEPTED.map(|(.., expected)| expected).to_vec();
    expected.sort_unstable();
    expected.dedup();
    for (_, url) in expected.iter().map(|endpoint| endpoint.split_once(' ').unwrap()) {
        // The command prints the names of variables.
        let literal = url.split("INTEGER").next().unwrap();
        assert!(printed.contains(literal), "{url} is not in {printed}");
    }
    let list = server.post("/api/getAllCollections", json!({})).await.expect(200).json();
    let all = list["apiCollections"].as_array().unwrap().iter().find(|collection| collection["name"] == "All").unwrap();
    let mut endpoints = server.endpoints(all["id"].as_i64().unwrap()).await;
    endpoints.sort_unstable();
    assert_eq!(endpoints, expected);
}

/// The names of collections, the ids of jobs, and the files in the spool.
async fn traces(server: &Server) -> Value {
    let collections = server.post("/api/getAllCollectionsBasic", json!({})).await.expect(200).json();
    let jobs = server.get("/v1/jobs").await.expect(200).json();
    let spool = std::fs::read_dir(server.data_dir.join("uploads")).into_iter().flatten();
    let files: Vec<_> = spool.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    json!([collections, jobs, files])
}

pub async fn what_is_refused_is_named_and_leaves_nothing(test: TestDb) {
    let server = Server::start(&test).await;
    let before = traces(&server).await;
    let directory = tempfile::tempdir().unwrap();
    for (text, kind) in [
        (
            "<?xml version=\"1.0\"?><wsdl:definitions xmlns:wsdl=\"http://schemas.xmlsoap.org/wsdl/\"/>",
            "a WSDL 1.1 document",
        ),
        ("<description xmlns=\"http://www.w3.org/ns/wsdl\"/>", "a WSDL 2.0 document"),
        ("#%RAML 1.0\ntitle: A\n", "a RAML document"),
        ("FORMAT: 1A\n# A\n", "an API Blueprint document"),
        ("curl https://a.example", "a curl command"),
        ("%PDF-1.7\n", "a PDF"),
        (r#"{"values": [], "_postman_variable_scope": "environment"}"#, "a Postman environment"),
        ("<!DOCTYPE html><html></html>", "an HTML page"),
    ] {
        let named = format!("this is {kind}; accepted are HAR");
        for content in [text.as_bytes().to_vec(), gzip(text)] {
            let refused = send(&server, "refused", content).await.expect(400);
            assert_eq!(refused.header("x-portolan-error"), "FORMAT_UNKNOWN");
            assert!(refused.body.contains(&named), "{kind}: {}", refused.body);
        }
        let output = command(&server, directory.path(), &[], &[("refused", text.as_bytes().to_vec())]).await;
        let printed = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && printed.contains(&named), "{kind}: {printed}");
    }
    assert_eq!(traces(&server).await, before);
}

/// Two paths of one endpoint, and an operation where none belongs: the answer, the log of the upload, the job and the
/// command name both.
pub async fn what_a_reading_notes_is_told_everywhere(test: TestDb) {
    const DOCUMENT: &str = r#"
openapi: 3.0.3
info: {title: Notes, version: "1"}
servers: [{url: "https://notes.example.org"}]
paths:
  /pets/{id}: {get: {parameters: [{name: id, in: path, required: true, schema: {type: string}}], responses: {}}}
  /pets/{name}: {get: {parameters: [{name: name, in: path, required: true, schema: {type: string}}], responses: {}}}
oddity: {get: {operationId: hidden, responses: {}}}
"#;
    let server = Server::start(&test).await;
    let expect = |place: &str, told: &str| {
        for note in ["GET /pets/{name} shares the endpoint of", "oddity"] {
            assert!(told.contains(note), "{place} does not tell of {note}: {told}");
        }
    };
    let id = server.create_collection("Notes").await;
    for target in [-1, id] {
        let document = json!({"openAPIString": DOCUMENT, "apiCollectionId": target});
        let answer = server.post("/api/importDataFromOpenApiSpec", document).await.expect(200).json();
        expect("the answer", &answer["notes"].to_string());
        let upload = json!({"uploadId": answer["uploadId"]});
        let log = server.post("/api/fetchSwaggerImportLogs", upload).await.expect(200).json();
        expect("the log", &log.to_string());
        let job = server.wait_for_job(answer["jobId"].as_str().unwrap()).await;
        expect("the job", &job["notes"].to_string());
    }
    let answer = send(&server, "sent", DOCUMENT.as_bytes().to_vec()).await.expect(200).json();
    expect("the job", &server.wait_for_job(answer["jobId"].as_str().unwrap()).await["notes"].to_string());
    let log = json!({"uploadId": answer["uploadId"]});
    expect("the log", &server.post("/api/fetchSwaggerImportLogs", log).await.expect(200).body);
    let directory = tempfile::tempdir().unwrap();
    let files = [("notes.yaml", DOCUMENT.as_bytes().to_vec())];
    let output = command(&server, directory.path(), &["--collection", "printed"], &files).await;
    expect("the command", &String::from_utf8(output.stdout).unwrap());

    let collection = json!({"info": {"name": "Odd"}, "item": [
        {"name": "one", "request": {"method": "GET", "url": "https://notes.example.org/one"}},
        {"name": "again", "request": {"method": "GET", "url": "https://notes.example.org/one?page=2"}},
        {"name": "lost", "requests": {"method": "GET", "url": "https://notes.example.org/lost"}}]});
    let file = json!({"postmanCollectionFile": collection.to_string()});
    let answer = server.post("/api/importDataFromPostmanFile", file).await.expect(200).json();
    let log = json!({"uploadId": answer["uploadId"]});
    let log = server.post("/api/fetchPostmanImportLogs", log).await.expect(200).body;
    let job = server.wait_for_job(answer["jobId"].as_str().unwrap()).await;
    for told in [answer["notes"].to_string(), job["notes"].to_string(), log] {
        assert!(told.contains("lost"), "{told}");
    }
    for told in [&answer["notes"], &job["notes"]] {
        assert!(told.to_string().contains("GET again shares the endpoint of GET one"), "{told}");
    }
}
