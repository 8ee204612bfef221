use portolan_api::Reason;
use portolan_authz::{Role, Scope};
use portolan_formats::{Target, openapi::Document};
use portolan_ids::CollectionId;
use portolan_inventory::{Deps, drift, export, model::drift::DriftOperation};
use portolan_record::{Record, Source};
use portolan_testkit::TestDb;
use serde_json::{Value, json};

use crate::harness::{ACCOUNT, admin, append, call, caller, create, deps, ingest_all};

/// The records of a document.
fn records(collection_id: CollectionId, time: i64, version: &str, paths: Value) -> Vec<Record<'static>> {
    let document = json!({"openapi": "3.0.1", "info": {"title": "Shop", "version": version}, "paths": paths});
    let document = Document::parse(document.to_string().as_bytes()).unwrap();
    let target =
        Target { account_id: ACCOUNT.into(), collection_id: collection_id.get().into(), time, source: Source::OpenApi };
    document.operations(&target).map(|outcome| outcome.record.unwrap()).collect()
}

fn operation(extra: Value) -> Value {
    let mut operation = json!({"responses": {"200": {"description": "fine"}}});
    operation.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    operation
}

fn names(places: &[DriftOperation]) -> Vec<String> {
    places.iter().map(|place| format!("{} {}", place.method, place.url)).collect()
}

async fn send(deps: &Deps, producer: &str, records: &[Record<'_>]) {
    append(deps, producer, 0, records).await;
    ingest_all(deps).await;
}

/// Each endpoint stands where documents and traffic put it, and a newer document tells what it changed.
pub async fn documents_and_traffic_are_compared(test: TestDb) {
    let deps = deps(&test).await;
    let all = admin(ACCOUNT);
    let id = create(&deps, ACCOUNT, "A").await.id;
    let undocumented = drift::get(&deps, &all, id).await.unwrap();
    assert!(!undocumented.documented && undocumented.shadow.is_empty());

    let query = |kind: &str| json!({"parameters": [{"name": "page", "in": "query", "schema": {"type": kind}}]});
    let old = json!({
        "/books": {"get": operation(query("integer")), "post": operation(json!({}))},
        "/books/{id}": {"get": operation(json!({
            "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
        }))},
        "/legacy": {"get": operation(json!({"deprecated": true}))},
    });
    let mut new = old.clone();
    new["/books"] = json!({"get": operation(query("string"))});
    new["/orders"] = json!({"get": operation(json!({}))});
    send(&deps, "old", &records(id, 1_000, "1.0", old.clone())).await;
    let calls = [
        call(id, "GET", "https://api.example.com/books?page=1", 2_000),
        call(id, "GET", "https://api.example.com/books/abc", 2_000),
        call(id, "GET", "https://api.example.com/legacy", 2_000),
        call(id, "GET", "https://api.example.com/debug/vars", 2_000),
    ];
    send(&deps, "calls", &calls).await;

    let first = drift::get(&deps, &all, id).await.unwrap();
    assert_eq!(names(&first.shadow), ["GET https://api.example.com/debug/vars"]);
    assert_eq!(names(&first.orphan), ["POST /books"]);
    assert_eq!(names(&first.zombie), ["GET /legacy"]);
    assert_eq!(first.specifications.len(), 1);
    assert_eq!(first.specifications[0].previous_version, None);

    send(&deps, "new", &records(id, 3_000, "2.0", new)).await;
    let second = drift::get(&deps, &all, id).await.unwrap();
    let change = &second.specifications[0];
    assert_eq!((change.version.as_str(), change.previous_version.as_deref()), ("2.0", Some("1.0")));
    assert_eq!(
        (names(&change.added), names(&change.removed)),
        (vec!["GET /orders".into()], vec!["POST /books".into()])
    );
    assert_eq!(change.changed.len(), 1);
    assert_eq!(change.changed[0].1, ["query parameter `page` changed from integer to string"]);
    assert_eq!(names(&second.orphan), ["GET /orders"]);

    // A third version forgets the first; the second becomes the one before.
    send(&deps, "third", &records(id, 4_000, "3.0", old)).await;
    let third = drift::get(&deps, &all, id).await.unwrap();
    assert_eq!(third.specifications[0].version, "3.0");
    assert_eq!(third.specifications[0].previous_version.as_deref(), Some("2.0"));

    let methods = export::declared_methods(&deps, &all, id).await.unwrap();
    assert_eq!(methods["/books"].iter().collect::<Vec<_>>(), ["GET", "POST"]);
    let document: Value = serde_json::from_str(&export::declared_document(&deps, &all, id).await.unwrap()).unwrap();
    assert!(document["paths"]["/legacy"]["get"].is_object() && document["paths"]["/debug/vars"].is_null());

    let restricted = caller(ACCOUNT, Role::Member, Some(vec![CollectionId(0)]), Scope::Api);
    let refused = drift::get(&deps, &restricted, id).await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::CollectionNotFound));
    let refused = export::declared_document(&deps, &restricted, id).await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::OpenapiSchemaNotFound));
    assert!(export::declared_methods(&deps, &restricted, id).await.is_err());
}
