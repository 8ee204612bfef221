use std::ops::ControlFlow;

use portolan_record::Source;

use crate::{Format, Target, detect, openapi, postman};

fn target(source: Source) -> Target {
    Target { account_id: 1, collection_id: 1, time: 5, source }
}

/// Method and URL of each request of a collection, with the status of its answers.
fn requests(text: &str) -> Vec<String> {
    assert_eq!(detect(text.as_bytes()), Some(Format::Postman), "{text}");
    let document = postman::Document::parse(text.as_bytes()).unwrap();
    let mut found = Vec::new();
    for collection in document.collections() {
        collection.convert(&target(Source::Postman), &mut |outcome| {
            let codes: Vec<_> = outcome.records.iter().map(|record| record.status_code).collect();
            assert!(!codes.is_empty(), "{:?}", outcome.errors);
            found.push(format!("{} {} {codes:?}", outcome.method, outcome.url));
            ControlFlow::Continue(())
        });
    }
    found
}

fn operations(text: &str) -> Vec<String> {
    assert_eq!(detect(text.as_bytes()), Some(Format::OpenApi), "{text}");
    let document = openapi::Document::parse(text.as_bytes()).unwrap();
    document
        .operations(&target(Source::OpenApi))
        .map(|outcome| {
            assert!(outcome.record.is_some(), "{:?}", outcome.errors);
            format!("{} {}", outcome.method, outcome.url)
        })
        .collect()
}

#[test]
fn insomnia_exports_are_read() {
    let v4 = r#"{"_type":"export","__export_format":4,"resources":[
        {"_id":"wrk_1","_type":"workspace","name":"Shop"},
        {"_id":"env_1","parentId":"wrk_1","_type":"environment","data":{"base_url":"https://shop.example/v1"}},
        {"_id":"fld_1","parentId":"wrk_1","_type":"request_group","name":"Orders"},
        {"_id":"req_1","parentId":"fld_1","_type":"request","name":"One","method":"GET","url":"{{ _.base_url }}/orders/42",
         "parameters":[{"name":"expand","value":"lines"}],"headers":[{"name":"X-Tenant","value":"a"}],
         "authentication":{"type":"bearer","token":"x"}},
        {"_id":"req_2","parentId":"wrk_1","_type":"request","name":"New","method":"POST","url":"{{base_url}}/orders",
         "body":{"mimeType":"application/json","text":"{\"sku\":1}"}}]}"#;
    let found = requests(v4);
    assert_eq!(found, ["GET https://shop.example/v1/orders/42 [0]", "POST https://shop.example/v1/orders [0]"]);
    let v5 = "type: collection.insomnia.rest/5.0\nname: Shop\nmeta:\n  id: wrk_1\ncollection:\n  - name: Orders\n    children:\n      - url: '{{ _.host }}/orders'\n        name: All\n        method: GET\n  - url: https://shop.example/ping\n    name: Ping\n    method: HEAD\nenvironments:\n  name: Base\n  data:\n    host: https://shop.example\n";
    assert_eq!(requests(v5), ["GET https://shop.example/orders [0]", "HEAD https://shop.example/ping [0]"]);
}

#[test]
fn bruno_exports_are_read() {
    let text = r#"{"name":"Shop","version":"1","items":[
        {"type":"folder","name":"Orders","items":[
            {"type":"http-request","name":"One","request":{"url":"{{host}}/orders/1","method":"DELETE","headers":[],
             "body":{"mode":"none"},"auth":{"mode":"basic","basic":{"username":"a","password":"b"}}}}]},
        {"type":"graphql-request","name":"Q","request":{"url":"https://shop.example/graphql","method":"POST",
         "body":{"mode":"graphql","graphql":{"query":"{ me { id } }","variables":""}}}}],
        "environments":[{"name":"dev","variables":[{"name":"host","value":"https://dev.example"}]}],
        "brunoConfig":{"version":"1"},"exportedUsing":"Bruno/v2"}"#;
    assert_eq!(requests(text), ["DELETE https://dev.example/orders/1 [0]", "POST https://shop.example/graphql [0]"]);
}

#[test]
fn burp_items_are_read_with_their_answers() {
    use base64::Engine as _;
    let code = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let text = format!(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE items [\n<!ELEMENT items (item*)>\n]>\n<items burpVersion=\"2031.1\">\n<item>\n\
         <url><![CDATA[https://shop.example/orders?id=7]]></url><method><![CDATA[POST]]></method><status>201</status>\n\
         <request base64=\"true\"><![CDATA[{}]]></request><response base64=\"true\"><![CDATA[{}]]></response>\n</item>\n</items>\n",
        code(
            "POST /orders?id=7 HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/json\r\n\r\n{\"sku\":\"A\"}"
        ),
        code("HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n\r\n{\"orderId\":9}"),
    );
    assert_eq!(requests(&text), ["POST https://shop.example/orders [201]"]);
    let broken = text.replace("</method>", "</methode>");
    assert!(
        postman::Document::parse(broken.as_bytes()).err().is_some_and(|error| error.to_string().starts_with("line "))
    );
}

#[test]
fn the_first_swagger_is_read() {
    let text = r#"{"swaggerVersion":"1.2","apiVersion":"3","basePath":"https://pets.example/api","resourcePath":"/pet","apis":[
        {"path":"/pet/{petId}","operations":[
            {"method":"GET","nickname":"get","type":"Pet","parameters":[{"paramType":"path","name":"petId","type":"integer","required":true}]},
            {"method":"PATCH","nickname":"p","type":"void","parameters":[{"paramType":"body","name":"body","type":"Pet"}]}]}],
        "models":{"Pet":{"id":"Pet","properties":{"name":{"type":"string"},"tags":{"type":"array","items":{"$ref":"Tag"}}}},
                  "Tag":{"id":"Tag","properties":{"label":{"type":"string"}}}}}"#;
    let found = operations(text);
    assert_eq!(found, ["GET https://pets.example/api/pet/INTEGER", "PATCH https://pets.example/api/pet/STRING"]);
    let document = openapi::Document::parse(text.as_bytes()).unwrap();
    let first = document.operations(&target(Source::OpenApi)).next().unwrap().record.unwrap();
    let names: Vec<_> = first.declaration.unwrap().parameters.iter().map(|parameter| parameter.name.clone()).collect();
    assert!(names.contains(&"tags#$#label".to_owned()), "{names:?}");
}

#[test]
fn channels_are_operations() {
    let v2 = "asyncapi: 2.6.0\ninfo:\n  title: Lights\n  version: '1'\nservers:\n  live:\n    url: wss://lights.example/ws\n    protocol: wss\nchannels:\n  lamps/{lampId}/measured:\n    parameters:\n      lampId:\n        schema: {type: string}\n    subscribe:\n      message:\n        payload: {type: object, properties: {lumens: {type: integer}}}\n    publish:\n      bindings: {http: {method: PUT}}\n      message: {$ref: '#/components/messages/turn'}\ncomponents:\n  messages:\n    turn:\n      payload: {type: object, properties: {on: {type: boolean}}}\n";
    let mut found = operations(v2);
    found.sort_unstable();
    let at = "https://lights.example/ws/lamps/STRING/measured";
    assert_eq!(found, [format!("GET {at}"), format!("PUT {at}")]);
    let v3 = r##"{"asyncapi":"3.0.0","info":{"title":"L","version":"1"},"servers":{"a":{"host":"h.example","protocol":"https","pathname":"/v1"}},
        "channels":{"signup":{"address":"users/signed-up","messages":{"m":{"payload":{"type":"object","properties":{"mail":{"type":"string"}}}}}}},
        "operations":{"onSignup":{"action":"receive","channel":{"$ref":"#/channels/signup"}}}}"##;
    assert_eq!(operations(v3), ["POST https://h.example/v1/users/signed-up"]);
}

#[test]
fn fields_of_graphql_are_operations_of_one_endpoint() {
    let sdl = "\"\"\"The {shop}\"\"\"\nschema { query: Root mutation: Changes }\n# type Root { no: Int }\ntype Root {\n  \"one\" order(id: ID! = \"7\", deep: [Int!]): Order @deprecated(reason: \"x: y\")\n  orders: [Order!]!\n}\ntype Order { id: ID! }\ntype Changes { cancel(id: ID!): Boolean }\n";
    assert_eq!(operations(sdl).len(), 3);
    let document = openapi::Document::parse(sdl.as_bytes()).unwrap();
    let paths: Vec<_> = document.operations(&target(Source::OpenApi)).map(|outcome| outcome.path).collect();
    assert_eq!(paths, ["/graphql#mutation.cancel", "/graphql#query.order", "/graphql#query.orders"]);
    let introspection = r#"{"data":{"__schema":{"queryType":{"name":"Q"},"mutationType":null,"types":[
        {"name":"Q","kind":"OBJECT","fields":[{"name":"me","args":[{"name":"id"}]},{"name":"all","args":[]}]}]}}}"#;
    assert_eq!(operations(introspection).len(), 2);
    assert!(openapi::Document::parse(b"type Order { id: ID! }\n").is_err());
}

/// What begins like one of them and is not whole makes no panic.
#[test]
fn beginnings_are_refused_or_read() {
    for text in [
        "<items burpVersion=\"1\"><item><url>",
        "type Query {",
        "type Query { a(",
        "schema {",
        "type: collection.insomnia.rest/5.0\n",
        r#"{"__export_format":4}"#,
        r#"{"swaggerVersion":"1.2"}"#,
        r#"{"asyncapi":"2.0.0","channels":[]}"#,
        r#"{"__schema":7}"#,
        r#"{"items":[{"type":"folder"}],"version":"1"}"#,
    ] {
        let _ = openapi::Document::parse(text.as_bytes())
            .map(|document| document.operations(&target(Source::OpenApi)).count());
        let _ = postman::Document::parse(text.as_bytes()).map(|document| document.collections().count());
    }
}
