use portolan_api::Reason;
use portolan_ids::{AccountId, CollectionId};
use portolan_inventory::{Deps, collections, demerge, endpoints, model::endpoints::EndpointId};
use portolan_record::Record;
use portolan_testkit::TestDb;

use crate::harness::{ACCOUNT, admin, call, create, deps, ingest, tables};

async fn urls(deps: &Deps, collection_id: CollectionId) -> Vec<String> {
    let (_, list) = endpoints::list(deps, &admin(ACCOUNT), collection_id).await.unwrap();
    let all = collections::list(deps, &admin(ACCOUNT)).await.unwrap();
    let counted = all.iter().find(|known| known.id == collection_id).unwrap().endpoint_count;
    assert_eq!(usize::try_from(counted).unwrap(), list.len());
    list.into_iter().map(|endpoint| endpoint.id.url).collect()
}

fn orders(collection_id: CollectionId, numbers: std::ops::Range<i64>) -> Vec<Record<'static>> {
    numbers
        .map(|n| Record {
            response_payload: format!(r#"{{"n":{n}}}"#).into(),
            ..call(collection_id, "GET", &format!("/orders/{n}"), 5 + n)
        })
        .collect()
}

fn shops(collection_id: CollectionId, numbers: std::ops::Range<i64>) -> Vec<Record<'static>> {
    let letters = |n: i64| -> String {
        (0..4).map(|at| char::from(b'a' + u8::try_from((n / 3_i64.pow(at)) % 3).unwrap())).collect()
    };
    numbers.map(|n| call(collection_id, "GET", &format!("/shop/zq{}x", letters(n)), 5 + n)).collect()
}

/// A template of numbers falls apart into the URLs of its stored calls and of later ones; the undo gives what would have
/// been without it.
pub async fn a_template_of_one_url_is_undone(test: TestDb) {
    let deps = deps(&test).await;
    let me = admin(ACCOUNT);
    let (id, twin) = (create(&deps, ACCOUNT, "A").await.id, create(&deps, ACCOUNT, "B").await.id);
    for collection in [id, twin] {
        ingest(&deps, &format!("old{collection}"), &orders(collection, 0..30)).await;
    }
    assert_eq!(urls(&deps, id).await, ["/orders/INTEGER"]);
    demerge::demerge(&deps, &me, id, Some("/orders/INTEGER"), Some("get")).await.unwrap();
    let listed = vec![EndpointId { collection_id: id, url: "/orders/INTEGER".into(), method: "GET".into() }];
    assert_eq!(demerge::list_demerged(&deps, &me).await.unwrap(), listed);
    assert!(demerge::list_demerged(&deps, &admin(AccountId(2_000_000))).await.unwrap().is_empty());
    let apart = urls(&deps, id).await;
    assert_eq!(apart.len(), 10);
    assert!(apart.contains(&"/orders/29".to_owned()), "{apart:?}");
    for collection in [id, twin] {
        ingest(&deps, &format!("new{collection}"), &orders(collection, 28..45)).await;
    }
    let apart = urls(&deps, id).await;
    assert_eq!(apart.len(), 25);
    assert!(!apart.contains(&"/orders/INTEGER".to_owned()));

    demerge::undo(&deps, &me, listed).await.unwrap();
    assert_eq!(urls(&deps, id).await, ["/orders/INTEGER"]);
    assert!(demerge::list_demerged(&deps, &me).await.unwrap().is_empty());
    let tables = tables(&deps, ACCOUNT).await;
    for name in ["endpoints", "parameters"] {
        let of = |collection: CollectionId| -> Vec<String> {
            let prefix = format!("{collection} | ");
            tables[name].iter().filter_map(|row| row.strip_prefix(&prefix)).map(str::to_owned).collect()
        };
        assert_eq!(of(id), of(twin), "{name}");
    }
    assert_eq!(tables["samples"].iter().filter(|row| row.starts_with(&format!("{id} | "))).count(), 10);
    ingest(&deps, "after", &orders(id, 50..52)).await;
    assert_eq!(urls(&deps, id).await, ["/orders/INTEGER"]);
}

/// A template that many URLs made falls apart into all of them, and takes in no later one.
pub async fn a_template_of_many_urls_is_undone(test: TestDb) {
    let deps = deps(&test).await;
    let (id, me) = (create(&deps, ACCOUNT, "A").await.id, admin(ACCOUNT));
    ingest(&deps, "old", &shops(id, 0..12)).await;
    assert_eq!(urls(&deps, id).await, ["/shop/STRING"]);
    let before = tables(&deps, ACCOUNT).await;
    demerge::demerge(&deps, &me, id, Some("/shop/STRING"), Some("GET")).await.unwrap();
    assert_eq!(urls(&deps, id).await.len(), 12);
    ingest(&deps, "new", &shops(id, 12..30)).await;
    assert_eq!(urls(&deps, id).await.len(), 30);
    let listed = demerge::list_demerged(&deps, &me).await.unwrap();
    demerge::undo(&deps, &me, listed).await.unwrap();
    assert_eq!(urls(&deps, id).await, ["/shop/STRING"]);
    // What was there before is as it was.
    let after = tables(&deps, ACCOUNT).await;
    assert!(before["endpoints"].iter().all(|row| after["endpoints"].contains(row)));
}

/// Each refusal has its reason.
pub async fn refusals_say_why(test: TestDb) {
    let deps = deps(&test).await;
    let (id, me) = (create(&deps, ACCOUNT, "A").await.id, admin(ACCOUNT));
    let refused = async |collection: CollectionId, url: Option<&str>, method: Option<&str>| {
        demerge::demerge(&deps, &me, collection, url, method).await.unwrap_err().reason().unwrap()
    };
    assert_eq!(refused(id, None, Some("GET")).await, Reason::DemergeUrlRequired);
    assert_eq!(refused(id, Some(""), Some("GET")).await, Reason::DemergeUrlRequired);
    assert_eq!(refused(id, Some("/a/STRING"), None).await, Reason::DemergeMethodRequired);
    assert_eq!(refused(id, Some("/a/STRING"), Some("FETCH")).await, Reason::DemergeMethodInvalid);
    assert_eq!(refused(id, Some("/a/STRINGS"), Some("GET")).await, Reason::DemergeNotMerged);
    assert_eq!(
        refused(CollectionId(id.get() + 1_000), Some("/a/STRING"), Some("GET")).await,
        Reason::CollectionNotFound
    );
    let many = vec![
        EndpointId { collection_id: id, url: "/a/STRING".into(), method: "GET".into() },
        EndpointId { collection_id: id, url: "/a".into(), method: "GET".into() },
    ];
    let (done, failures) = demerge::demerge_many(&deps, &me, many).await.unwrap();
    assert_eq!((done, failures.len()), (1, 1));
}
