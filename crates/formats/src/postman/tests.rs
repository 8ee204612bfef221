use std::ops::ControlFlow;

use portolan_record::{Record, Source};

use super::*;

fn target() -> Target {
    Target { account_id: 1, collection_id: 2, time: 3, source: Source::Postman }
}

fn outcomes(text: &str) -> (Vec<RequestOutcome>, Vec<ImportError>) {
    let document = Document::parse(text.as_bytes()).unwrap();
    let (mut outcomes, mut errors) = (Vec::new(), Vec::new());
    for collection in document.collections() {
        errors.extend(collection.convert(&target(), &mut |outcome| {
            outcomes.push(outcome);
            ControlFlow::Continue(())
        }));
    }
    (outcomes, errors)
}

/// The records of a collection of version 2.1 with these items and further members.
fn records(items: &str, members: &str) -> Vec<Record<'static>> {
    let (outcomes, _) = outcomes(&format!(r#"{{"info": {{"name": "n"}}, "item": [{items}]{members}}}"#));
    outcomes.into_iter().flat_map(|outcome| outcome.records).collect()
}

fn path(request: &str, members: &str) -> String {
    records(&format!(r#"{{"name": "r", "request": {request}}}"#), members)[0].path.to_string()
}

#[test]
fn addresses_are_read_in_every_form() {
    let check = |url: &str, expected: &str| {
        assert_eq!(path(&format!(r#"{{"method": "get", "url": {url}}}"#), ""), expected, "{url}");
    };
    check(r#""https://API.example.com/a/b?x=1#f""#, "https://api.example.com/a/b?x=1");
    check(r#""api.example.com/a""#, "http://api.example.com/a");
    check(r#""https://api.example.com""#, "https://api.example.com/");
    check(r#""/a/b""#, "/a/b");
    check(r#""{{base}}/v1/{{id}}/x-{{y}}""#, "http://{{base}}/v1/STRING/x-STRING");
    check(r#""https://u:p@h:8443/a/:id/{name}/x:y""#, "https://h:8443/a/STRING/STRING/x:y");
    check(r#""https://h/jobs/:id:cancel""#, "https://h/jobs/STRING:cancel");
    check(r#""https://h/files/:name.csv""#, "https://h/files/STRING.csv");
    check(r#""https://h/Set('{{key}}')""#, "https://h/Set('STRING')");
    check(r#"{"raw": "https://h/a?x=1"}"#, "https://h/a?x=1");
    check(
        r#"{"raw": "https://h/a?x=1&y=2", "protocol": "https", "host": ["h", "org"], "port": "81", "path": ["a", "b"],
        "query": [{"key": "x", "value": "1 &"}, {"key": "y", "value": "2", "disabled": true}, {"key": "z", "value": null}]}"#,
        "https://h.org:81/a/b?x=1%20%26&z=",
    );
    check(
        r#"{"protocol": "https", "host": "h", "path": "/a/:id", "variable": [{"key": "id", "value": "12"}]}"#,
        "https://h/a/INTEGER",
    );
    check(
        r#"{"host": ["h"], "path": ["a", {"type": "string", "value": ":id"}], "variable": [{"id": "id", "value": "<integer>"}]}"#,
        "http://h/a/INTEGER",
    );
    assert_eq!(path(r#""https://h/plain""#, ""), "https://h/plain");
}

#[test]
fn variables_of_every_place_count() {
    let variable = r#", "variable": [{"key": "base", "value": "https://h/"}, {"key": "who", "value": "outer"}]"#;
    assert_eq!(
        path(r#"{"method": "GET", "url": {"host": ["{{base}}"], "path": ["{{who}}"]}}"#, variable),
        "https://h/outer"
    );
    let folder = r#"{"name": "f", "variable": [{"key": "who", "value": "inner"}], "item": [{"name": "r", "request": "{{base}}{{who}}"}]}"#;
    assert_eq!(records(folder, variable)[0].path, "https://h/inner");
    let environment = r#"{"environment": {"values": [{"key": "who", "value": "env"}]},
        "collection": {"info": {}, "variable": [{"key": "who", "value": "own"}], "item": [{"request": "https://h/{{who}}"}]}}"#;
    assert_eq!(outcomes(environment).0[0].records[0].path, "https://h/env");
}

#[test]
fn authentication_is_inherited() {
    let request = |auth: &str| format!(r#"{{"name": "r", "request": {{"method": "GET", "url": "https://h/"{auth}}}}}"#);
    let header = |items: &str, members: &str| {
        let records = records(items, members);
        let headers: serde_json::Value = serde_json::from_str(&records[0].request_headers).unwrap();
        headers["authorization"].as_str().map(str::to_owned)
    };
    let check =
        |items: &str, members: &str, expected: Option<&str>| assert_eq!(header(items, members).as_deref(), expected);
    let bearer = r#", "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "t"}]}"#;
    let old = r#", "auth": {"type": "basic", "basic": {"username": "u", "password": "p"}}"#;
    let none = r#", "auth": {"type": "noauth"}"#;
    check(&request(""), bearer, Some("Bearer t"));
    check(&request(old), bearer, Some("Basic dTpw"));
    check(&request(none), bearer, None);
    check(&request(r#", "auth": null"#), bearer, Some("Bearer t"));
    check(&format!(r#"{{"name": "f", "item": [{}]{old}}}"#, request("")), bearer, Some("Basic dTpw"));
    check(&format!(r#"{{"name": "f", "item": [{}]{none}}}"#, request("")), bearer, None);
    check(&request(r#", "header": [{"key": "Authorization", "value": "Mine"}]"#), bearer, Some("Mine"));
    check(&request(r#", "header": [{"key": "Authorization", "value": "Mine", "disabled": true}]"#), "", None);
    check(&request(r#", "auth": {"type": "bearer", "bearer": [{"key": "token", "value": ""}]}"#), "", Some("Bearer -"));
    let key = r#", "auth": {"type": "apikey", "apikey": [{"key": "key", "value": "k"}, {"key": "value", "value": "v"}, {"key": "in", "value": "query"}]}"#;
    assert_eq!(records(&request(key), "")[0].path, "https://h/?k=v");
    let (outcomes, _) =
        outcomes(&format!(r#"{{"info": {{}}, "item": [{}]}}"#, request(r#", "auth": {"type": "future"}"#)));
    assert_eq!(outcomes[0].errors[0].error, "Error while getting auth map for r : future is not known");
    assert_eq!(outcomes[0].records.len(), 1);
}

#[test]
fn bodies_are_written_as_they_are_sent() {
    let check = |body: &str, text: &str, media_type: &str| {
        let item = format!(r#"{{"name": "r", "request": {{"method": "POST", "url": "https://h/", "body": {body}}}}}"#);
        let record = &records(&item, r#", "variable": [{"key": "n", "value": "7"}]"#)[0];
        let headers: serde_json::Value = serde_json::from_str(&record.request_headers).unwrap();
        assert_eq!(
            (&*record.request_payload, headers["content-type"].as_str().unwrap_or_default()),
            (text, media_type)
        );
    };
    check(
        r#"{"mode": "raw", "raw": "{\"a\": {{n}}}", "options": {"raw": {"language": "json"}}}"#,
        "{\"a\": 7}",
        "application/json",
    );
    check(r#"{"mode": "raw", "raw": "{\"a\": {{x}}, \"b\": \"{{x}}\\\"\"}"}"#, r#"{"a": "{{x}}", "b": "{{x}}\""}"#, "");
    check(r#"{"mode": "raw", "raw": "{ {{x}} no"}"#, "{ {{x}} no", "");
    check(
        r#"{"mode": "urlencoded", "urlencoded": [{"key": "a b", "value": "c&d"}, {"key": "x", "value": "1", "disabled": true}, {"key": "n", "value": null}]}"#,
        "a%20b=c%26d&n=",
        "application/x-www-form-urlencoded",
    );
    check(
        r#"{"mode": "formdata", "formdata": [{"key": "a", "value": "1"}, {"key": "f", "type": "file", "src": ["/tmp/x.png"]}, {"key": "x", "value": "1", "enabled": false}]}"#,
        "--portolan-form-data\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n1\r\n--portolan-form-data\r\ncontent-disposition: form-data; name=\"f\"; filename=\"x.png\"\r\n\r\n\r\n--portolan-form-data--\r\n",
        "multipart/form-data; boundary=portolan-form-data",
    );
    check(
        r#"{"mode": "graphql", "graphql": {"query": "{ a }", "variables": "{\"x\": {{n}}}"}}"#,
        r#"{"query":"{ a }","variables":{"x":7}}"#,
        "application/json",
    );
    check(r#"{"mode": "file", "file": {"src": "/etc/passwd"}}"#, "", "");
    check(r#"{"mode": "raw", "raw": "x", "disabled": true}"#, "", "");
    check("null", "", "");
}

#[test]
fn saved_answers_become_samples_of_one_endpoint() {
    let item = r#"{"name": "r", "request": {"method": "GET", "url": {"raw": "https://h/u/:id", "host": ["h"], "protocol": "https", "path": ["u", ":id"], "variable": [{"key": "id", "value": ""}]}},
        "response": [{"name": "ok", "code": 200, "status": "OK", "header": [{"key": "Content-Type", "value": "text/plain"}], "body": "{{no}}",
            "originalRequest": {"method": "GET", "url": {"raw": "https://h/u/:id", "host": ["h"], "protocol": "https", "path": ["u", ":id"], "variable": [{"key": "id", "value": "77"}]}}},
          {"name": "bad", "code": 404, "_postman_previewlanguage": "json", "body": "{}"}, {"name": "odd", "code": "x", "header": null}]}"#;
    let found = records(item, "");
    let line = |record: &Record<'_>| {
        format!("{} {} {} {}", record.path, record.status_code, record.response_headers, record.response_payload)
    };
    assert_eq!(
        found.iter().map(line).collect::<Vec<_>>(),
        [
            r#"https://h/u/INTEGER 200 {"content-type":"text/plain"} {{no}}"#,
            r#"https://h/u/INTEGER 404 {"content-type":"application/json"} {}"#,
            "https://h/u/INTEGER 0  ",
        ]
    );
    let elsewhere = r#"{"name": "r", "request": "https://h/a", "response": [{"code": 200, "originalRequest":
        {"method": "GET", "url": "{{nowhere}}/a/b"}}]}"#;
    let found = records(elsewhere, "");
    assert_eq!(found.iter().map(|record| record.path.as_ref()).collect::<Vec<_>>(), ["https://h/a", "https://h/a/b"]);
    let only_bad = r#"{"name": "r", "request": "https://h/a", "response": [{"code": 500}]}"#;
    assert_eq!(records(only_bad, "").iter().map(|record| record.status_code).collect::<Vec<_>>(), [0, 500]);
}

#[test]
fn what_cannot_be_converted_is_refused_with_its_reason() {
    let text = r#"{"info": {"_postman_id": "x"}, "item": [{"name": "a", "item": [{"name": "b", "request": {"url": "https://h/"}}]},
        {"name": "c", "request": {"method": "GET"}}, {"name": "d"}, {"name": "e", "request": 7}, 5,
        {"name": "g", "request": {"method": "GET", "url": "ftp://h/"}}]}"#;
    let (outcomes, errors) = outcomes(text);
    let line = |outcome: &RequestOutcome| format!("{}: {}", outcome.name, outcome.errors[0].error);
    assert_eq!(
        outcomes.iter().map(line).collect::<Vec<_>>(),
        [
            "a / b: No method field exists",
            "c: No url field exists",
            "d: the item has neither `request` nor `item`",
            "e: the member `request` is neither an object nor a text",
            ": the item has neither `request` nor `item`",
            "g: the url is not an HTTP address: its scheme is `ftp`",
        ]
    );
    assert!(outcomes.iter().all(|outcome| outcome.records.is_empty()));
    assert_eq!(errors[0].error, "No urls found in 5 apis");
    let (_, errors) = super::tests::outcomes(r#"{"info": {"name": "n"}, "item": []}"#);
    assert_eq!(errors[0].error, "Collection has no requests");
    for text in ["", "[]", "7", "{}", r#"{"item": 7}"#, r#"{"openapi": "3.0.0"}"#] {
        assert!(matches!(Document::parse(text.as_bytes()), Err(FormatError::NotPostman(_))), "{text}");
    }
    assert!(matches!(Document::parse(b"{\n x"), Err(FormatError::Syntax { line: 2, .. })));
}

#[test]
fn version_one_is_read() {
    let text = r#"{"id": "c", "name": "Old", "order": [], "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "t"}]},
        "variables": [{"key": "base", "value": "https://h"}],
        "folders": [{"id": "f", "name": "F", "order": ["r"], "folders_order": []}, {"id": "g", "name": "G", "order": [], "folders_order": ["f", "g"]}],
        "requests": [{"id": "r", "name": "R", "method": "POST", "url": "{{base}}/a/:id", "pathVariables": {"id": "5"},
            "headers": "X-A: 1\n// X-B: 2\n", "dataMode": "urlencoded", "data": [{"key": "k", "value": "v", "enabled": true}, {"key": "off", "value": "v", "enabled": false}],
            "responses": [{"responseCode": {"code": 201, "name": "Created"}, "headers": [{"key": "A", "value": "b"}], "text": "done"}]},
          {"id": "s", "name": "S", "method": "GET", "url": "https://h/b", "currentHelper": "basicAuth", "helperAttributes": {"id": "basic", "username": "u", "password": "p"}, "responses": null}]}"#;
    let document = Document::parse(text.as_bytes()).unwrap();
    let collection = document.collections().next().unwrap();
    assert_eq!((collection.id().as_deref(), collection.name().as_deref()), (Some("c"), Some("Old")));
    let (outcomes, errors) = outcomes(text);
    assert_eq!((outcomes.len(), errors.len()), (2, 0));
    assert!(outcomes[0].name.ends_with("G / F / R"), "{}", outcomes[0].name);
    let record = &outcomes[0].records[0];
    assert_eq!(
        (&*record.path, record.status_code, &*record.status, &*record.request_payload),
        ("https://h/a/INTEGER", 201, "Created", "k=v")
    );
    assert_eq!(
        record.request_headers,
        r#"{"authorization":"Bearer t","content-type":"application/x-www-form-urlencoded","host":"h","x-a":"1"}"#
    );
    assert!(outcomes[1].records[0].request_headers.contains("Basic dTpw"));
}
