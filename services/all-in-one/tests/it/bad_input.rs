use std::time::Duration;

use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::server::{PATIENCE, Server, har};

/// Every wrong request gets its documented status and error form, and the inventory stays as it was.
pub async fn is_refused_and_changes_nothing(test: TestDb) {
    let server = Server::start(&test).await;
    let id = server.create_collection("Target").await;
    let before = server.post("/api/getAllCollections", json!({})).await.expect(200).body;

    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let alias_bomb = alias_bomb();
    let cycle = r##"{"openapi":"3.0.0","info":{"title":"c","version":"1"},"paths":{"/a":{"$ref":"#/paths/~1a"}}}"##;
    let spec = |text: &str| json!({"openAPIString": text, "apiCollectionId": id}).to_string();
    let upload = |text: &str| json!({"harString": text, "apiCollectionId": id}).to_string();
    let cases: Vec<(&str, &str, String, u16)> = vec![
        ("not JSON", "/api/createCollection", "{".into(), 422),
        ("an array", "/api/createCollection", "[]".into(), 422),
        ("deep JSON", "/api/createCollection", format!("{{\"collectionName\":{deep}}}"), 422),
        ("a lone surrogate", "/api/createCollection", r#"{"collectionName":"\ud800"}"#.into(), 422),
        ("a NUL", "/api/createCollection", r#"{"collectionName":"a\u0000b"}"#.into(), 422),
        ("a wrong type", "/api/deleteMultipleCollections", r#"{"apiCollections":[{"id":"x"}]}"#.into(), 422),
        ("a huge number", "/api/getCollection", r#"{"apiCollectionId":1e999}"#.into(), 422),
        ("no HAR", "/api/uploadHar", upload("{}"), 422),
        ("an empty HAR", "/api/uploadHar", upload(""), 422),
        ("no capture", "/api/uploadHar", json!({"apiCollectionId": id}).to_string(), 422),
        ("text as HAR", "/api/uploadHar", upload("hello"), 422),
        ("deep HAR", "/api/uploadHar", upload(&deep), 422),
        (
            "an unknown collection",
            "/api/uploadHar",
            json!({"harString": har(&[]), "apiCollectionId": 999_999}).to_string(),
            422,
        ),
        ("no document", "/api/importDataFromOpenApiSpec", spec("hello: world"), 422),
        ("deep document", "/api/importDataFromOpenApiSpec", spec(&deep), 422),
        ("an alias bomb", "/api/importDataFromOpenApiSpec", spec(&alias_bomb), 422),
        ("-1", "/api/fetchCollectionWiseApiEndpoints", r#"{"apiCollectionId":-1}"#.into(), 422),
        ("an unknown upload", "/api/importSwaggerLogs", r#"{"uploadId":"0","importType":"ALL_APIS"}"#.into(), 422),
        ("an unknown path", "/api/nothing", "{}".into(), 404),
    ];
    for (name, path, body, status) in cases {
        let started = std::time::Instant::now();
        let request = server.request(path).header("x-api-key", &server.api_key).body(body);
        let answer = server.send(request).await.unwrap();
        assert_eq!(answer.status, status, "{name}: {}", answer.body);
        let errors: Value = answer.json();
        assert!(errors["actionErrors"][0].as_str().is_some_and(|text| !text.is_empty()), "{name}: {}", answer.body);
        assert!(!answer.header("x-request-id").is_empty() && !answer.header("x-portolan-error").is_empty(), "{name}");
        assert!(started.elapsed() < Duration::from_secs(20), "{name} hangs");
    }

    let client = reqwest::Client::new();
    let url = format!("{}/api/createCollection", server.http);
    let wrong_verb = server.send(client.get(&url).header("x-api-key", &server.api_key)).await.unwrap().expect(405);
    assert!(wrong_verb.header("allow").contains("POST"), "{}", wrong_verb.header("allow"));
    let wrong_type = client.post(&url).header("x-api-key", &server.api_key).header("content-type", "text/plain");
    server.send(wrong_type.body("{}")).await.unwrap().expect(415);
    let too_large = server.request("/api/createCollection").header("x-api-key", &server.api_key);
    // A server that answers before the whole body was sent may also close the connection.
    if let Ok(answer) = server.send(too_large.body(vec![b' '; 65 * 1024 * 1024])).await {
        answer.expect(413);
    }
    server.send(server.request("/api/createCollection").body("{}")).await.unwrap().expect(401);

    // A reference cycle is no error of the whole document: the operation is listed or left out, and nothing hangs.
    let cyclic = server.post("/api/importDataFromOpenApiSpec", json!({"openAPIString": cycle})).await;
    assert!([200, 422].contains(&cyclic.status), "{}", cyclic.body);
    assert_eq!(server.endpoints(id).await, Vec::<String>::new());
    assert_eq!(server.post("/api/getAllCollections", json!({})).await.expect(200).body, before);
}

/// Nine levels of ten aliases: 10^9 nodes from 300 bytes.
fn alias_bomb() -> String {
    let mut text = "openapi: 3.0.0\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..9 {
        let alias = format!("*a{}", level - 1);
        text += &format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 10].join(","));
    }
    text + "paths: *a8\n"
}

/// A message whose end two servers may see in different places is refused, and nothing after it is read as a request.
pub async fn ambiguous_messages_are_refused(test: TestDb) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = Server::start(&test).await;
    let heads = [
        "Content-Length: 2\r\nContent-Length: 40",
        "Content-Length: 2, 40",
        "Content-Length: +2",
        "Content-Length: -2",
        "Content-Length : 2",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: xchunked",
    ];
    for head in heads {
        let address = server.http.trim_start_matches("http://");
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let second = "GET /healthz HTTP/1.1\r\nHost: portolan\r\n\r\n";
        let message = format!(
            "POST /api/me HTTP/1.1\r\nHost: portolan\r\nContent-Type: application/json\r\n{head}\r\n\r\n{{}}{second}"
        );
        stream.write_all(message.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        // A connection that is cut while more was sent may end by a reset: what came before it counts.
        let _ = closed.unwrap_or_else(|_| panic!("{head}: the connection stays open"));
        let answer = String::from_utf8_lossy(&answer);
        assert!(!answer.contains("\"ok\""), "{head}: the second request was answered: {answer}");
        let status = answer.split(' ').nth(1).unwrap_or("400");
        assert!(["400", "501"].contains(&status), "{head}: {answer}");
    }
}
