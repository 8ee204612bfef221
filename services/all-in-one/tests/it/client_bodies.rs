//! Bodies as scripts, plugins and proxies send them: forms, gzip, charsets, numbers as texts, no content type.

use std::io::Write as _;

use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::server::{Answer, Server, har};

async fn send(server: &Server, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let client = reqwest::Client::new();
    let mut request = client.post(format!("{}{path}", server.http)).header("x-api-key", &server.api_key);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.send(request.body(body)).await.unwrap()
}

pub async fn bodies_of_real_clients_are_read(test: TestDb) {
    let server = Server::start(&test).await;
    let id = server.create_collection("Sent").await;
    let capture = |path: &str| har(&[("GET", &format!("https://sent.example.org/{path}"), "", 200, "{\"a\":1}")]);
    let part =
        |name: &str, value: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let parts =
        [part("harString", &capture("parts")), part("skipKafka", "true"), part("apiCollectionId", &id.to_string())];
    let pairs: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("harString", &capture("pairs"))
        .append_pair("skipKafka", "true")
        .append_pair("apiCollectionId", &id.to_string())
        .finish();
    let object = |path: &str| json!({"harString": capture(path), "skipKafka": true, "apiCollectionId": id.to_string()});
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(object("gzip").to_string().as_bytes()).unwrap();
    let mut latin = object("latin").to_string().into_bytes();
    latin.splice(1..1, b"\"note\":\"\xe9\",".iter().copied());
    const JSON: (&str, &str) = ("content-type", "application/json");
    for (headers, body) in [
        (
            vec![("content-type", "multipart/form-data; boundary=b")],
            format!("{}--b--\r\n", parts.concat()).into_bytes(),
        ),
        (vec![("content-type", "application/x-www-form-urlencoded")], pairs.into_bytes()),
        (vec![JSON, ("content-encoding", "gzip")], gzip.finish().unwrap()),
        (vec![], object("untyped").to_string().into_bytes()),
        (vec![("content-type", "application/x-www-form-urlencoded")], object("curl").to_string().into_bytes()),
        (vec![("content-type", "application/json; charset=iso-8859-1")], latin),
    ] {
        let answer = send(&server, "/api/uploadHar", &headers, body).await.expect(200).json();
        assert_eq!((&answer["importedRecords"], &answer["apiCollectionId"]), (&json!(1), &json!(id)), "{headers:?}");
    }
    let mut expected = ["parts", "pairs", "gzip", "untyped", "curl", "latin"]
        .map(|path| format!("GET https://sent.example.org/{path}"));
    expected.sort();
    assert_eq!(server.endpoints(id).await, expected);

    let lists =
        json!({"apiCollectionIds": [id.to_string()], "apiCollectionId": id.to_string(), "skip": "0", "limit": "5"});
    for path in ["/api/fetchApiInfosForCollection", "/api/getAllCollections"] {
        server.post(path, lists.clone()).await.expect(200);
    }
    let refused = server.post("/api/fetchApiInfosForCollection", json!({"apiCollectionId": "1.5"})).await;
    refused.expect_error(422, "apiCollectionId: must be a whole number");
    for (path, body) in [("/v1/dataTypes/EMAIL", "active=true"), ("/api/v2/api_clients", "name=x")] {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let answer = send(&server, path, &form, body.into()).await;
        assert!(answer.status >= 400, "{path} {}", answer.body);
    }
}

pub async fn members_of_another_type_are_named(test: TestDb) {
    let server = Server::start(&test).await;
    let id = server.create_collection("Named").await;
    let capture = har(&[("GET", "https://named.example.org/a", "", 200, "{}")]);
    for (path, body, text) in [
        ("uploadHar", json!({"content": "x", "apiCollectionId": id}), "content: must be an object"),
        ("uploadHar", json!({"content": [1], "apiCollectionId": id}), "content: must be an object"),
        ("uploadHar", json!({"harString": capture, "skipKafka": 7}), "skipKafka: must be true or false"),
        ("uploadHar", json!({"harString": capture, "skipKafka": "maybe"}), "skipKafka: must be true or false"),
        ("importFromUrl", json!({"url": "http:///path"}), "Error importing from URL: Failed to create API collection"),
        ("importFromUrl", json!({"url": "https:/host/x"}), "Error importing from URL: Failed to create API collection"),
    ] {
        server.post(&format!("/api/{path}"), body.clone()).await.expect_error(422, text);
    }
    let names = server.post("/api/getAllCollectionsBasic", json!({})).await.expect(200).json();
    let basic = names["apiCollections"].as_array().unwrap();
    assert!(basic.iter().all(|collection| !["path", "host"].contains(&collection["name"].as_str().unwrap())));
    for member in ["skills", "registryStatus", "baseRiskScore"] {
        assert!(basic[0].get(member).is_some(), "{member}");
    }
    for flag in [json!("true"), json!("FALSE"), json!(false), Value::Null] {
        let body = json!({"harString": capture, "skipKafka": flag, "apiCollectionId": id});
        server.post("/api/uploadHar", body).await.expect(200);
    }
}

pub async fn services_without_traffic_make_collections(test: TestDb) {
    let server = Server::start(&test).await;
    let import = async |schema: Value| {
        server.post("/api/importImpervaSchema", json!({"impervaString": schema.to_string()})).await
    };
    let answer =
        import(json!({"services": [{"hostname": "quiet.example.org", "traffic": []}]})).await.expect(200).json();
    assert_eq!(answer["message"], "Imperva schema imported successfully. Collection: quiet.example.org");
    assert_eq!((&answer["importedRecords"], &answer["skippedRecords"]), (&json!(0), &json!(0)));
    let mixed = json!({"services": [
        {"hostname": "first.example.org", "traffic": []},
        {"hostname": "second.example.org", "traffic": [{"method": "GET", "resource": "/x"}]}]});
    let answer = import(mixed).await.expect(200).json();
    assert_eq!(answer["message"], "Imperva schema imported successfully. Collection: first.example.org");
    let names: Vec<_> = answer["collections"].as_array().unwrap().iter().map(|made| made["name"].clone()).collect();
    assert_eq!(names, [json!("first.example.org"), json!("second.example.org")]);
    import(json!({"services": [{"traffic": []}]})).await.expect_error(422, "Hostname not found in Imperva file");
    import(json!({"services": []})).await.expect_error(422, "Failed to parse Imperva JSON file");
}

/// A capture says when calls were made and from where, and its endpoints are what their paths say.
pub async fn captures_tell_time_place_and_secrets(test: TestDb) {
    let server = Server::start(&test).await;
    let url = |path: &str| format!("https://graphics.example.org/{path}");
    let mut calls: Vec<_> = (1..=12).map(|n| (url(&format!("paragraphs/{n}")), String::new(), r#"{"a":1}"#)).collect();
    calls.push((url("inside"), "10.0.0.5".to_owned(), "{}"));
    calls.push((url("outside"), "198.18.0.1, 8.8.8.8".to_owned(), "{}"));
    calls.push((
        url("login"),
        String::new(),
        r#"{"password":"Winter-2031","hook":"ghp_abcdefghijklmnopqrstuvwxyz0123456789"}"#,
    ));
    let shown: Vec<_> = calls.iter().map(|(url, _, answer)| ("GET", url.as_str(), "", 200, *answer)).collect();
    let mut capture: Value = serde_json::from_str(&har(&shown)).unwrap();
    for (entry, (_, from, _)) in capture["log"]["entries"].as_array_mut().unwrap().iter_mut().zip(&calls) {
        if !from.is_empty() {
            let headers = entry["request"]["headers"].as_array_mut().unwrap();
            headers.push(json!({"name": "X-Forwarded-For", "value": from}));
        }
    }
    let id = server.create_collection("Graphics").await;
    let body = json!({"harString": capture.to_string(), "skipKafka": "true", "apiCollectionId": id});
    server.post("/api/uploadHar", body).await.expect(200);
    let infos = server.post("/api/fetchApiInfosForCollection", json!({"apiCollectionId": id})).await.expect(200).json();
    let infos = infos["apiInfoList"].as_array().unwrap().clone();
    let of = |path: &str| {
        infos.iter().find(|info| info["id"]["url"] == url(path)).unwrap_or_else(|| panic!("{path}: {infos:?}"))
    };
    assert_eq!(infos.len(), 4);
    // 2026-01-02T03:04:05Z, the time of the calls.
    assert_eq!(of("paragraphs/INTEGER")["discoveredTimestamp"], 1_767_323_045);
    assert_eq!(of("paragraphs/INTEGER")["apiAccessTypes"], json!([]));
    assert_eq!(of("inside")["apiAccessTypes"], json!(["PRIVATE"]));
    assert_eq!(of("outside")["apiAccessTypes"], json!(["PUBLIC"]));
    let window = json!({"apiCollectionId": id, "url": url("inside"), "method": "GET", "startEpoch": 1_767_300_000, "endEpoch": "1767400000"});
    let stats = server.post("/api/fetchApiCallStats", window).await.expect(200).json();
    assert_eq!(stats["result"]["apiCallStats"], json!([{"ts": 1_767_323_045 / 60, "count": 1}]));

    let sensitive = async || {
        let found =
            server.post("/api/loadSensitiveParameters", json!({"apiCollectionId": id})).await.expect(200).json();
        let mut names: Vec<_> = found["data"]["endpoints"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p["param"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(sensitive().await, ["hook", "password"]);
    let values = server.parameters(id, "GET", &url("login")).await;
    let told = serde_json::to_string(&values).unwrap();
    assert!(!told.contains("Winter-2031") && !told.contains("ghp_"), "{told}");
}
