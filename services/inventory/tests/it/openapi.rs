use std::collections::BTreeSet;

use portolan_formats::{Target, openapi::Document};
use portolan_ids::CollectionId;
use portolan_inventory::{
    Deps, endpoints,
    export::{Selection, generate},
};
use portolan_record::Source;
use portolan_testkit::TestDb;

use crate::harness::{ACCOUNT, admin, call, create, deps, distinct_path, ingest};

async fn operations(deps: &Deps, collection_id: CollectionId) -> (serde_json::Value, BTreeSet<(String, String)>) {
    let selection = Selection { collection_id, include_headers: true, ..Selection::default() };
    let page = generate(deps, &admin(ACCOUNT), selection).await.unwrap();
    assert_eq!(page.next, None);
    let document = Document::parse(page.document.as_bytes()).unwrap();
    assert!(document.errors().is_empty(), "{:?}", document.errors());
    let target = Target { account_id: ACCOUNT.into(), collection_id: 1, time: 5, source: Source::OpenApi };
    let outcomes = document.operations(&target);
    let read = outcomes.map(|outcome| {
        assert!(outcome.errors.is_empty(), "{:?}", outcome.errors);
        (outcome.url, outcome.method)
    });
    (serde_json::from_str(&page.document).unwrap(), read.collect())
}

/// The document of a collection, read by the importer, declares the endpoints that the collection has.
pub async fn documents_read_back_as_the_same_operations(test: TestDb) {
    let deps = deps(&test).await;
    let collection = create(&deps, ACCOUNT, "A").await;
    let mut post = call(collection.id, "POST", "https://api.example.com/v2/books/17/pages/abc123def?lang=en", 5);
    post.request_payload = r#"{"title":"x","tags":[{"id":1}]}"#.into();
    post.response_payload = r#"[{"id":7,"at":null,"price":1.5}]"#.into();
    let records = [
        post,
        call(collection.id, "GET", "https://api.example.com/v2/books", 5),
        call(collection.id, "DELETE", "https://api.example.com/v2/books/1.5", 5),
    ];
    ingest(&deps, "p", &records).await;
    let (document, read) = operations(&deps, collection.id).await;
    let (_, list) = endpoints::list(&deps, &admin(ACCOUNT), collection.id).await.unwrap();
    let known: BTreeSet<_> = list.into_iter().map(|endpoint| (endpoint.id.url, endpoint.id.method)).collect();
    assert_eq!(known.len(), 3);
    // A number with a fraction is a STRING to a reader: path parameters have no kind of their own for it.
    let as_read = |url: String| url.replace("FLOAT", "STRING");
    let written: BTreeSet<_> = known.into_iter().map(|(url, method)| (as_read(url), method)).collect();
    let read: BTreeSet<_> = read.into_iter().map(|(url, method)| (as_read(url), method)).collect();
    assert_eq!(read, written);

    let operation = &document["paths"]["/v2/books/{param1}/pages/{param2}"]["post"];
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(body["properties"]["tags"]["items"]["properties"]["id"]["type"], "integer");
    let answer = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    assert_eq!(answer["items"]["properties"]["price"]["type"], "number");
    assert_eq!(answer["items"]["properties"]["at"]["nullable"], true);
    assert!(operation["parameters"].as_array().unwrap().iter().any(|parameter| parameter["name"] == "lang"));
    assert_eq!(document["servers"][0]["url"], "https://api.example.com");
}

/// A page ends with 100 endpoints and says where the next begins; a selection writes only what it names.
pub async fn pages_follow_each_other(test: TestDb) {
    let deps = deps(&test).await;
    let collection = create(&deps, ACCOUNT, "A").await;
    let method = |n: usize| if n.is_multiple_of(2) { "GET" } else { "PUT" };
    let records: Vec<_> = (0..250).map(|n| call(collection.id, method(n), &distinct_path(n / 2), 5)).collect();
    ingest(&deps, "p", &records).await;
    let mut selection = Selection { collection_id: collection.id, ..Selection::default() };
    let mut seen = 0;
    let mut pages = 0;
    loop {
        let page = generate(&deps, &admin(ACCOUNT), selection.clone()).await.unwrap();
        let document: serde_json::Value = serde_json::from_str(&page.document).unwrap();
        let paths = document["paths"].as_object().unwrap();
        seen += paths.values().map(|item| item.as_object().unwrap().len()).sum::<usize>();
        pages += 1;
        selection.after = page.next;
        if selection.after.is_none() {
            break;
        }
    }
    let known = endpoints::list_keys(&deps, &admin(ACCOUNT), collection.id, 0).await.unwrap();
    assert_eq!((seen, pages, known.len()), (250, 3, 250));
    selection.only.insert((known[0].url.clone(), known[0].method.clone()));
    let page = generate(&deps, &admin(ACCOUNT), selection).await.unwrap();
    let document: serde_json::Value = serde_json::from_str(&page.document).unwrap();
    assert_eq!(document["paths"].as_object().unwrap().len(), 1);
}
