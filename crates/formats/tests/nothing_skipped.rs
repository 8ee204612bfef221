//! An unknown member at every place of a document where an operation could hide is read, or named by a note.

use std::ops::ControlFlow;

use portolan_formats::{Target, openapi, postman};
use portolan_record::Source;
use serde_json::{Map, Value, json};

fn target(source: Source) -> Target {
    Target { account_id: 1, collection_id: 1, time: 5, source }
}

/// Everything that the reading of a description says: its notes, and its operations.
fn description(document: &str) -> Vec<String> {
    let document = openapi::Document::parse(document.as_bytes()).unwrap();
    let mut said: Vec<String> = document.errors().iter().map(|error| error.error.clone()).collect();
    for outcome in document.operations(&target(Source::OpenApi)) {
        said.push(format!("{} {}", outcome.method.to_lowercase(), outcome.path));
        said.extend(outcome.errors.into_iter().map(|error| error.error));
    }
    said
}

/// The same of a collection.
fn collection(document: &str) -> Vec<String> {
    let document = postman::Document::parse(document.as_bytes()).unwrap();
    let mut said: Vec<String> = document.errors().iter().map(|error| error.error.clone()).collect();
    for collection in document.collections() {
        let errors = collection.convert(&target(Source::Postman), &mut |outcome| {
            said.push(format!("{} {}", outcome.name, outcome.url));
            said.extend(outcome.errors.into_iter().map(|error| error.error));
            ControlFlow::Continue(())
        });
        said.extend(errors.into_iter().map(|error| error.error));
    }
    said
}

/// The pointers of every object in a document, but for those below the members that describe data.
fn objects(node: &Value, data: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), node)];
    while let Some((pointer, node)) = open.pop() {
        match node {
            Value::Object(map) => {
                for (name, inner) in map.iter().filter(|(name, _)| !data.contains(&&***name)) {
                    open.push((format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")), inner));
                }
                found.push(pointer);
            }
            Value::Array(list) => {
                open.extend(list.iter().enumerate().map(|(at, inner)| (format!("{pointer}/{at}"), inner)));
            }
            _ => {}
        }
    }
    found.sort();
    found
}

fn with(document: &Value, pointer: &str, name: &str, member: &Value) -> String {
    let mut changed = document.clone();
    let place: &mut Map<String, Value> = changed.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
    place.insert(name.to_owned(), member.clone());
    changed.to_string()
}

/// Puts each of the members at each of the places, and looks for it in what the reading says.
fn check(document: &Value, places: &[String], name: &str, members: &[Value], read: &dyn Fn(&str) -> Vec<String>) {
    let before = read(&document.to_string());
    assert!(!before.iter().any(|said| said.contains(name)), "{before:?}");
    for place in places {
        for member in members {
            let said = read(&with(document, place, name, member));
            assert!(said.iter().any(|said| said.contains(name)), "{name} at {place} is silent: {member} {said:?}");
        }
    }
}

fn operations() -> Vec<Value> {
    let operation = json!({"summary": "s", "responses": {"200": {"description": "ok"}}});
    vec![
        operation.clone(),
        json!({"operationId": "hidden"}),
        json!({"post": operation}),
        json!({"/hidden": {"post": operation}}),
        json!([{"method": "POST", "path": "/hidden", "responses": {}}]),
    ]
}

const DATA: [&str; 8] =
    ["schema", "schemas", "definitions", "properties", "example", "examples", "default", "securityDefinitions"];

fn openapi_3() -> Value {
    let operation = |extra: Value| {
        let mut operation = json!({
            "summary": "s",
            "parameters": [{"in": "query", "name": "q", "schema": {"type": "string"}}],
            "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}},
            "responses": {"200": {"description": "ok", "headers": {"x": {"schema": {}}}, "links": {"l": {"operationId": "o"}}}},
        });
        operation.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        operation
    };
    json!({
        "openapi": "3.1.0",
        "info": {"title": "T", "version": "1", "contact": {"name": "n"}},
        "servers": [{"url": "https://a.example/{v}", "variables": {"v": {"default": "1"}}}],
        "tags": [{"name": "t"}],
        "paths": {
            "/pets": {"get": operation(json!({"callbacks": {"done": {"{$request.query.q}": {"post": operation(json!({}))}}}}))},
            "/shared": {"$ref": "#/components/pathItems/Shared"},
        },
        "webhooks": {"changed": {"post": operation(json!({}))}},
        "components": {
            "pathItems": {"Shared": {"get": operation(json!({}))}, "Unused": {"get": operation(json!({}))}},
            "callbacks": {"Unused": {"{$url}": {"post": operation(json!({}))}}},
            "securitySchemes": {"k": {"type": "apiKey", "in": "header", "name": "k"}},
        },
    })
}

#[test]
fn openapi_names_what_it_does_not_read() {
    let three = openapi_3();
    let mut old = three.clone();
    old["openapi"] = "3.0.3".into();
    let two = json!({
        "swagger": "2.0",
        "info": {"title": "T", "version": "1"},
        "paths": {"/pets": {"get": {"responses": {"200": {"description": "ok"}}}}},
        "securityDefinitions": {"k": {"type": "basic"}},
    });
    for document in [&three, &old, &two] {
        let places = objects(document, &DATA);
        assert!(places.len() > 4);
        check(document, &places, "x-hidden-member", &operations(), &description);
        let items: Vec<String> = places
            .iter()
            .filter(|place| {
                let parts: Vec<_> = place.split('/').collect();
                let is_item = matches!(&parts[1..], ["paths" | "webhooks", _] | ["components", "pathItems", "Unused"])
                    || matches!(&parts[1..], ["components"])
                    || parts.len() > 2 && parts[parts.len() - 3] == "callbacks" && parts[1] != "components"
                    || ["get", "post"].contains(parts.last().unwrap());
                let is_used = place.contains("pathItems/Shared") || place.contains("components/callbacks");
                let is_unused = place.contains("pathItems/Unused/");
                place.is_empty() || is_item && !is_used && !is_unused
            })
            .cloned()
            .collect();
        assert!(items.len() >= 3, "{items:?}");
        check(document, &items, "hiddenmember", &operations(), &description);
    }
}

#[test]
fn openapi_names_paths_webhooks_and_callbacks_that_are_no_endpoints() {
    let said = description(&openapi_3().to_string());
    let says = |text: &str| assert!(said.iter().any(|said| said.contains(text)), "{text}: {said:?}");
    says(
        "1 webhooks and 2 callbacks are calls that the API makes, and no endpoints: changed, done of get /pets, Unused of components",
    );
    says("1 path items of components are used by no path, and no endpoints: Unused");
    for (item, expected) in [
        (
            json!({"$ref": "other.yaml#/x"}),
            "path /far cannot be read: reference other.yaml#/x points to another document",
        ),
        (json!({"$ref": "#/nowhere"}), "path /far cannot be read: reference #/nowhere points to nothing"),
        (json!(["get"]), "path /far cannot be read: it is not an object"),
        (json!({"get": {"responses": {}}, "GET": {"responses": {}}}), "path /far: the method GET stands twice"),
        (json!({"additionalOperations": ["LINK"]}), "path /far: member `additionalOperations` is not understood"),
    ] {
        let said = description(&with(&openapi_3(), "/paths", "/far", &item));
        assert!(said.iter().any(|said| said.contains(expected)), "{expected}: {said:?}");
    }
    let many: Map<String, Value> = (0..150).map(|at| (format!("/far/{at}"), json!({"$ref": "other.yaml"}))).collect();
    let said = description(&json!({"openapi": "3.0.0", "paths": many}).to_string());
    assert!(said.iter().any(|said| said == "50 more notes of this document are not listed"), "{said:?}");
}

fn requests(url: &Value) -> Vec<Value> {
    let request = json!({"name": "n", "request": {"method": "GET", "url": url}});
    let flat = json!({"name": "n", "method": "GET", "url": "https://a.example/hidden"});
    vec![
        request.clone(),
        json!([request]),
        json!({"item": [request]}),
        flat.clone(),
        json!({"deep": {"deeper": [flat]}}),
    ]
}

#[test]
fn postman_names_what_it_does_not_read() {
    let url = json!({"raw": "https://a.example/hidden"});
    let request = json!({"method": "GET", "url": "https://a.example/one", "header": []});
    let two = json!({
        "info": {"name": "C", "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"},
        "item": [
            {"name": "folder", "item": [{"name": "inner", "item": [{"name": "one", "request": request, "response": []}]}]},
            {"name": "two", "request": request},
        ],
    });
    let places = ["", "/item/0", "/item/0/item/0", "/item/0/item/0/item/0", "/item/1", "/item/1/request"];
    check(&two, &places.map(str::to_owned), "hiddenmember", &requests(&url), &collection);

    let one = json!({
        "id": "c", "name": "C", "order": ["r"],
        "folders": [{"id": "f", "name": "folder", "order": ["r"]}],
        "requests": [{"id": "r", "name": "one", "method": "GET", "url": "https://a.example/one"}],
    });
    check(&one, &["", "/folders/0", "/requests/0"].map(str::to_owned), "hiddenmember", &requests(&url), &collection);

    let many = json!({"version": 1, "collections": [two]});
    check(&many, &[String::new()], "hiddenmember", &requests(&url), &collection);
    let wrapped = json!({"collection": two});
    check(&wrapped, &[String::new()], "hiddenmember", &requests(&url), &collection);
}

/// A folder that is a request too, a list that is none, and a collection that is none.
#[test]
fn postman_reads_or_names_what_is_written_unlike_others() {
    let request = json!({"method": "GET", "url": "https://a.example/one"});
    let inner = json!({"name": "inner", "request": {"method": "GET", "url": "https://a.example/two"}});
    let both = json!({"info": {"name": "C"}, "item": [{"name": "both", "request": request, "item": [inner]}]});
    let said = collection(&both.to_string());
    assert!(said.iter().any(|said| said.contains("/two")), "{said:?}");
    let no_list = json!({"info": {"name": "C"}, "item": [{"name": "odd", "item": {"a": inner}}]});
    let said = collection(&no_list.to_string());
    assert!(said.iter().any(|said| said == "odd: `item` is not a list and left out"), "{said:?}");
    let listed = json!({"collections": [both, {"requests": {"a": inner}}]});
    let said = collection(&listed.to_string());
    assert!(said.iter().any(|said| said == "collection 2 of the list is none and left out with 1 request"), "{said:?}");
}

#[test]
fn other_collections_name_what_they_do_not_read() {
    let url = json!("https://a.example/hidden");
    let insomnia = json!({"_type": "export", "__export_format": 4, "resources": [
        {"_id": "w", "_type": "workspace", "name": "W"},
        {"_id": "f", "parentId": "w", "_type": "request_group", "name": "folder"},
        {"_id": "r", "parentId": "f", "_type": "request", "name": "one", "method": "GET", "url": "https://a.example/one"},
    ]});
    let places = ["", "/resources/0", "/resources/1", "/resources/2"].map(str::to_owned);
    check(&insomnia, &places, "hiddenmember", &requests(&url), &collection);
    for (resource, expected) in [
        (
            json!({"_id": "g", "parentId": "w", "_type": "grpc_request", "name": "call"}),
            "the resource call of type `grpc_request`",
        ),
        (
            json!({"_id": "o", "parentId": "x", "_type": "request", "name": "lost", "url": "https://a.example"}),
            "request lost belongs to no workspace",
        ),
    ] {
        let mut changed = insomnia.clone();
        changed["resources"].as_array_mut().unwrap().push(resource);
        let said = collection(&changed.to_string());
        assert!(said.iter().any(|said| said.contains(expected)), "{expected}: {said:?}");
    }

    let bruno = json!({"name": "B", "version": "1", "items": [
        {"type": "folder", "name": "folder", "items": [
            {"type": "http-request", "name": "one", "request": {"method": "GET", "url": "https://a.example/one"}}]},
    ]});
    check(
        &bruno,
        &["", "/items/0", "/items/0/items/0"].map(str::to_owned),
        "hiddenmember",
        &requests(&url),
        &collection,
    );
    let mut script = bruno.clone();
    script["items"].as_array_mut().unwrap().push(json!({"type": "js", "name": "helper"}));
    let said = collection(&script.to_string());
    assert!(said.iter().any(|said| said.contains("item helper of type `js` holds neither")), "{said:?}");

    // The version 5 of Insomnia is YAML, which JSON is a part of; its first line tells it.
    let fifth = json!({"name": "W", "meta": {"id": "w"}, "collection": [
        {"name": "folder", "children": [{"name": "one", "method": "GET", "url": "https://a.example/one"}]},
    ]});
    let read = |text: &str| collection(&format!("type: collection.insomnia.rest/5.0\n{}", unwrapped(text)));
    check(
        &fifth,
        &["", "/collection/0", "/collection/0/children/0"].map(str::to_owned),
        "hiddenmember",
        &requests(&url),
        &read,
    );

    let burp = |outer: &str, inner: &str| {
        format!(
            "<items burpVersion=\"1\"><item><url>https://a.example/one</url><method>GET</method>\
             <request>GET /one HTTP/1.1\r\n\r\n</request>{inner}</item>{outer}</items>"
        )
    };
    let hidden = "<hidden><url>https://a.example/hidden</url></hidden>";
    assert!(!collection(&burp("", "")).iter().any(|said| said.contains("not understood")));
    for (text, expected) in [
        (burp(hidden, ""), "the file: element `hidden` is not understood"),
        (burp("", hidden), "item 1: element `hidden` is not understood"),
        (burp("<item/>", ""), "the file: element `item` is empty"),
    ] {
        let said = collection(&text);
        assert!(said.iter().any(|said| said.starts_with(expected)), "{said:?}");
        assert!(said.iter().any(|said| said.contains("https://a.example/one")), "{said:?}");
    }
}

/// The members of an object as lines of YAML.
fn unwrapped(text: &str) -> String {
    let document: Map<String, Value> = serde_json::from_str(text).unwrap();
    document.iter().map(|(name, value)| format!("{}: {value}\n", json!(name))).collect()
}

#[test]
fn asyncapi_names_what_it_does_not_read() {
    let second = json!({
        "asyncapi": "2.6.0",
        "info": {"title": "T", "version": "1"},
        "channels": {"lamps": {"subscribe": {"message": {"payload": {"type": "object"}}}}},
        "components": {"messages": {}},
    });
    let third = json!({
        "asyncapi": "3.0.0",
        "info": {"title": "T", "version": "1"},
        "channels": {"lamps": {"address": "lamps", "messages": {"m": {"payload": {"type": "object"}}}}},
        "operations": {"read": {"action": "send", "channel": {"$ref": "#/channels/lamps"}}},
        "components": {"messages": {}},
    });
    let operations = [
        json!({"action": "send", "channel": {"$ref": "#/channels/lamps"}}),
        json!({"subscribe": {"message": {}}}),
        json!({"payload": {"type": "object"}}),
        json!({"deep": [{"publish": {}}]}),
    ];
    for document in [&second, &third] {
        let places = ["", "/channels/lamps", "/components"].map(str::to_owned);
        check(document, &places, "hiddenmember", &operations, &description);
        check(document, &places, "x-hidden-member", &operations, &description);
    }
    for (document, pointer, name, member, expected) in [
        (&second, "/channels", "empty", json!({}), "1 channels have no operation, and are no endpoints: empty"),
        (
            &third,
            "/channels",
            "empty",
            json!({"address": "e"}),
            "1 channels have no operation, and are no endpoints: empty",
        ),
        (
            &second,
            "/channels",
            "far",
            json!({"$ref": "other.yaml"}),
            "channel far cannot be read: `other.yaml` points to nothing",
        ),
        (
            &second,
            "/components",
            "channels",
            json!({"c": {"publish": {}}}),
            "1 channels of components are used by nothing",
        ),
        (
            &third,
            "/operations",
            "lost",
            json!({"action": "send", "channel": {"$ref": "#/channels/none"}}),
            "operation lost is left out: its channel #/channels/none is not in the document",
        ),
        (
            &third,
            "/operations",
            "twice",
            json!({"action": "send", "channel": {"$ref": "#/channels/lamps"}}),
            "operation twice shares the endpoint GET lamps of another",
        ),
    ] {
        let said = description(&with(document, pointer, name, &member));
        assert!(said.iter().any(|said| said.contains(expected)), "{expected}: {said:?}");
    }
    let shared = json!({
        "asyncapi": "3.0.0",
        "channels": {"lamps": {"$ref": "#/components/channels/Lamps"}},
        "operations": {"read": {"action": "send", "channel": {"$ref": "#/channels/lamps"}}},
        "components": {"channels": {"Lamps": {"address": "lamps/on"}}},
    });
    assert!(description(&shared.to_string()).contains(&"get /lamps/on".to_owned()));
}

#[test]
fn the_first_swagger_names_what_it_does_not_read() {
    let document = json!({
        "swaggerVersion": "1.2",
        "basePath": "https://a.example",
        "apis": [{"path": "/pets", "operations": [{"method": "GET", "nickname": "n", "type": "void"}]}],
    });
    let operations = [json!({"method": "GET", "nickname": "n"}), json!([{"path": "/h", "operations": []}])];
    check(&document, &["", "/apis/0"].map(str::to_owned), "hiddenmember", &operations, &description);
    let mut listing = document.clone();
    listing["apis"].as_array_mut().unwrap().push(json!({"path": "/elsewhere"}));
    let said = description(&listing.to_string());
    let expected = "1 paths have no operations here, which other documents may declare: /elsewhere";
    assert!(said.iter().any(|said| said == expected), "{said:?}");
}
