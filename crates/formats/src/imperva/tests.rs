use portolan_record::Source;

use super::*;

fn outcomes(text: &str, multiple: bool) -> Vec<EndpointOutcome> {
    let target = Target { account_id: 1, collection_id: 2, time: 3, source: Source::Imperva };
    let document = Document::parse(text.as_bytes()).unwrap();
    let found: Vec<_> = document.convert(&BTreeMap::new(), target, multiple).collect();
    assert_eq!(found.len(), document.endpoint_count());
    found
}

const DATA: &str = r#"{"data": {"hostName": "API.example.com", "method": "post", "resource": "/users/{id}",
    "request": {"headerList": [{"name": "X-Static", "value": "v"}, {"name": "X-Made"}, {"name": "Cookie"}],
      "queryParamList": [{"name": "page", "dataTypes": ["Number"]}, {"name": "q"}],
      "contentTypeToRequestBody": {"application/json": [{"name": "a", "dataTypes": ["String", "Number"]},
        {"name": "o", "dataTypes": [{"type": "Object", "properties": [{"name": "b", "dataTypes": ["Boolean"]}]}]},
        {"name": "l", "dataTypes": [{"type": "Array", "items": [{"dataTypes": ["String"]}]}]}], "image/png": []}},
    "responses": {"200": {"headerList": [], "contentTypeToResponseBody": {"application/json": [{"name": "ok", "dataTypes": ["Boolean"]}]}}},
    "authenticationInfo": {"authParameterLocations": [{"authParameterLocation": "http-req-header-Authorization"}]}}}"#;

#[test]
fn a_described_endpoint_becomes_a_record() {
    let found = outcomes(DATA, false);
    assert_eq!((found.len(), found[0].records.len(), found[0].errors.len()), (1, 1, 0));
    let record = &found[0].records[0];
    assert_eq!(record.path, "https://api.example.com/users/STRING?page=123&q=sample%5Fquery%5Fvalue");
    assert_eq!((&*record.method, record.status_code, &*found[0].host), ("POST", 200, "api.example.com"));
    assert_eq!(record.request_payload, r#"{"a":"sample_string","l":["sample_string"],"o":{"b":true}}"#);
    assert_eq!(record.response_payload, r#"{"ok":true}"#);
    assert_eq!(
        record.request_headers,
        r#"{"authorization":"sample_token","content-type":"application/json","cookie":"sample_cookie_value","host":"api.example.com","x-made":"sample_header_value","x-static":"v"}"#
    );
}

#[test]
fn each_declared_type_gets_a_record_when_asked() {
    let found = outcomes(DATA, true);
    let bodies: Vec<_> = found[0].records.iter().map(|record| &record.request_payload[..18]).collect();
    assert_eq!(bodies, [r#"{"a":"sample_strin"#, r#"{"a":123,"l":["sam"#]);
}

#[test]
fn services_lists_and_endpoints_without_a_body_are_read() {
    let services = r#"{"services": [{"hostname": "a.example", "traffic": [{"method": "GET", "resource": "/x"}, {"method": "GET", "resource": "y", "hostName": "c.example"}]},
        {"hostname": "b.example:8443", "traffic": {"method": "DELETE", "resource": "/z"}}, {"hostname": "d.example"}]}"#;
    let lines = |text: &str| -> Vec<String> {
        outcomes(text, false).iter().map(|o| format!("{} {} {}", o.method, o.url, o.records.len())).collect()
    };
    let expected = ["GET https://a.example/x 1", "GET https://c.example/y 1", "DELETE https://b.example:8443/z 1"];
    assert_eq!(lines(services), expected);
    assert_eq!(
        Document::parse(services.as_bytes()).unwrap().hosts(),
        ["a.example", "c.example", "b.example:8443", "d.example"]
    );
    assert_eq!(lines(&format!("[{services}, {DATA}]")).len(), 4);
}

#[test]
fn what_cannot_be_converted_is_refused_with_its_reason() {
    let errors = |text: &str| -> Vec<String> {
        let found = outcomes(text, false);
        assert!(found.iter().all(|outcome| outcome.records.is_empty()));
        found.into_iter().map(|outcome| outcome.errors[0].error.clone()).collect()
    };
    assert_eq!(
        errors(r#"{"data": {"hostName": "h", "method": "GET"}}"#),
        ["Missing required fields: method or resource"]
    );
    assert_eq!(errors(r#"{"data": {"method": "GET", "resource": "/"}}"#), ["Hostname not found in Imperva file"]);
    assert_eq!(errors(r#"{"data": 7}"#), ["Failed to parse Imperva schema: the endpoint is not an object"]);
    assert!(matches!(Document::parse(b"{}"), Err(FormatError::NotImperva(_))));
    assert!(matches!(Document::parse(b"{"), Err(FormatError::Syntax { .. })));
}
