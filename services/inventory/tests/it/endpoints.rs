use portolan_api::Reason;
use portolan_engine::{AuthType, SubType};
use portolan_ids::CollectionId;
use portolan_inventory::{
    collections, endpoints,
    model::{endpoints::EndpointId, parameters::SensitiveFilter},
    parameters, samples,
};
use portolan_testkit::TestDb;

use crate::harness::{ACCOUNT, admin, call, create, deps, ingest};

fn id(collection_id: impl Into<CollectionId>, method: &str, url: &str) -> EndpointId {
    EndpointId { collection_id: collection_id.into(), url: url.into(), method: method.into() }
}

/// One call becomes an endpoint with parameters and a sample, and counts.
pub async fn reads_show_what_was_ingested(test: TestDb) {
    let deps = deps(&test).await;
    let caller = admin(ACCOUNT);
    let collection = create(&deps, ACCOUNT, "A").await;
    let mut post = call(collection.id, "POST", "/books/17?draft=yes", 100);
    post.request_payload = r#"{"authors":[{"email":"ann@corp.io"}]}"#.into();
    let mut failed = call(collection.id, "POST", "/books/18", 120);
    failed.status_code = 404;
    ingest(&deps, "p", &[post.clone(), failed]).await;

    let (redacted, list) = endpoints::list(&deps, &caller, collection.id).await.unwrap();
    assert!(!redacted);
    let [endpoint] = list.as_slice() else { panic!("one endpoint: {list:?}") };
    assert_eq!((endpoint.id.url.as_str(), endpoint.id.method.as_str()), ("/books/INTEGER", "POST"));
    assert_eq!(endpoint.response_codes, [200, 404]);
    assert_eq!(endpoint.actual_auth_types(), [AuthType::Bearer]);
    assert_eq!((endpoint.discovered_at, endpoint.last_seen), (100, 120));
    assert!(endpoint.is_sensitive);
    assert_eq!(endpoints::get(&deps, &caller, &endpoint.id).await.unwrap().as_ref(), Some(endpoint));

    let found = parameters::list(&deps, &caller, &id(collection.id, "post", "/books/INTEGER")).await.unwrap();
    let email = found.iter().find(|parameter| parameter.key.name == "authors#$#email").unwrap();
    assert_eq!((email.key.sub_type, email.key.response_code, email.seen.count), (SubType::Email, -1, 1));
    assert_eq!(email.seen.values.list().collect::<Vec<_>>(), ["ann@corp.io"]);
    assert!(found.iter().any(|parameter| parameter.key.is_url_param && parameter.key.name == "1"));
    assert!(found.iter().any(|parameter| parameter.key.is_query_param && parameter.key.name == "draft"));

    let stored = samples::list(&deps, &caller, &endpoint.id).await.unwrap().remove(0).records;
    assert_eq!(stored, [post.to_json()]);
    assert_eq!(collections::list(&deps, &caller).await.unwrap()[1].endpoint_count, 1);
    assert_eq!(collections::count_endpoints(&deps, ACCOUNT).await.unwrap(), 1);

    endpoints::update_description(&deps, &caller, &endpoint.id, Some("Adds a book".into())).await.unwrap();
    ingest(&deps, "q", &[call(collection.id, "POST", "/books/19", 130)]).await;
    let again = endpoints::get(&deps, &caller, &endpoint.id).await.unwrap().unwrap();
    assert_eq!((again.description.as_deref(), again.last_seen), (Some("Adds a book"), 130));
}

/// URLs that join a template keep their counts, values and samples, and show the URL parameter they now have.
pub async fn merged_urls_keep_everything(test: TestDb) {
    let deps = deps(&test).await;
    let caller = admin(ACCOUNT);
    let collection = create(&deps, ACCOUNT, "A").await;
    let slug = |n: usize| format!("/shop/zq{}x/cart", char::from(b'a' + n as u8).to_string().repeat(3));
    let records: Vec<_> = (0..12).map(|n| call(collection.id, "GET", &slug(n), 100 + n as i64)).collect();
    ingest(&deps, "p", &records[..6]).await;
    let keys = endpoints::list_keys(&deps, &caller, collection.id, 0).await.unwrap();
    assert_eq!(keys.len(), 6);
    ingest(&deps, "q", &records[6..]).await;
    assert_eq!(collections::count_endpoints(&deps, ACCOUNT).await.unwrap(), 1);
    let keys = endpoints::list_keys(&deps, &caller, collection.id, 0).await.unwrap();
    assert_eq!(keys, [id(collection.id, "GET", "/shop/STRING/cart")]);
    assert!(endpoints::list_keys(&deps, &caller, collection.id, 1).await.unwrap().is_empty());

    let found = parameters::list(&deps, &caller, &keys[0]).await.unwrap();
    let segment = found.iter().find(|parameter| parameter.key.is_url_param).unwrap();
    assert_eq!((segment.key.name.as_str(), segment.seen.count), ("1", 12));
    assert_eq!(segment.seen.values.list().count(), 12);
    let body = found.iter().find(|parameter| parameter.key.name == "ok").unwrap();
    assert_eq!((body.seen.count, body.seen.first_seen, body.seen.last_seen), (12, 100, 111));
    let stored = samples::list(&deps, &caller, &keys[0]).await.unwrap().remove(0).records;
    let newest: Vec<_> = records.iter().rev().take(10).map(|record| record.to_json()).collect();
    assert_eq!(stored, newest);
}

/// Ids that nobody has, and -1.
pub async fn unknown_ids_answer_as_documented(test: TestDb) {
    let deps = deps(&test).await;
    let caller = admin(ACCOUNT);
    let unknown = id(999, "GET", "/a");
    assert!(endpoints::list(&deps, &caller, CollectionId(999)).await.unwrap().1.is_empty());
    assert!(
        endpoints::list_many(&deps, &caller, vec![CollectionId(999), CollectionId(0)])
            .await
            .unwrap()
            .keys()
            .eq([&CollectionId(0)])
    );
    assert!(endpoints::get(&deps, &caller, &unknown).await.unwrap().is_none());
    assert!(parameters::list(&deps, &caller, &unknown).await.unwrap().is_empty());
    assert!(samples::list(&deps, &caller, &unknown).await.unwrap().is_empty());
    let refused = endpoints::list_keys(&deps, &caller, CollectionId(-1), 0).await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::CollectionIdRequired));
    let refused = endpoints::list_keys(&deps, &caller, CollectionId(999), 0).await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::CollectionNotFound));
    let refused = endpoints::update_description(&deps, &caller, &unknown, Some("x".into())).await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::CollectionNotFound));
    endpoints::update_description(&deps, &caller, &id(0, "GET", "/none"), Some("x".into())).await.unwrap();

    let collection = create(&deps, ACCOUNT, "A").await;
    let deactivate = "UPDATE collections SET deactivated = 1 WHERE collection_id = $1";
    deps.db.execute(deactivate, vec![collection.id.into()]).await.unwrap();
    let refused = endpoints::list(&deps, &caller, collection.id).await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::CollectionDeactivated));
    assert!(endpoints::list_many(&deps, &caller, vec![collection.id]).await.unwrap().is_empty());
}

/// Sensitive parameters of every visible collection, or of one type.
pub async fn sensitive_parameters_are_listed(test: TestDb) {
    let deps = deps(&test).await;
    let caller = admin(ACCOUNT);
    let (a, b) = (create(&deps, ACCOUNT, "A").await, create(&deps, ACCOUNT, "B").await);
    let with_email = |id: CollectionId, path: &str| {
        let mut record = call(id, "GET", path, 5);
        record.response_payload = r#"{"email":"ann@corp.io","n":1}"#.into();
        record
    };
    ingest(&deps, "p", &[with_email(a.id, "/me"), with_email(b.id, "/users/1"), with_email(b.id, "/users/2")]).await;
    let list = async |filter: SensitiveFilter| {
        let found = parameters::list_sensitive(&deps, &caller, filter).await.unwrap();
        found.0.iter().map(|found| format!("{} {}", found.endpoint.url, found.key.name)).collect::<Vec<_>>()
    };
    assert_eq!(list(SensitiveFilter::default()).await, ["/me email", "/users/INTEGER email"]);
    let of_b = SensitiveFilter { collection_id: Some(b.id), ..SensitiveFilter::default() };
    assert_eq!(list(of_b.clone()).await, ["/users/INTEGER email"]);
    assert!(list(SensitiveFilter { url: Some("/me".into()), ..of_b.clone() }).await.is_empty());
    let numbers = SensitiveFilter { sub_type: Some("INTEGER_32".into()), ..of_b };
    assert!(list(numbers).await.contains(&"/users/INTEGER n".to_owned()));
    assert!(list(SensitiveFilter { sub_type: Some("NONE".into()), ..Default::default() }).await.is_empty());
}
