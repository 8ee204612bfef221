use portolan_api::Reason;
use portolan_authz::{Role, Scope};
use portolan_ids::{AccountId, CollectionId};
use portolan_inventory::{
    Deps, Error, collections, endpoints,
    model::collections::{CollectionName, DEFAULT_ID},
    platform,
};
use portolan_testkit::TestDb;

use crate::harness::{
    ACCOUNT, admin, append, call, caller, create, deps, distinct_path, ingest, ingest_all, start_ingest, tables,
    wait_for_all,
};

const OTHER_ACCOUNT: AccountId = AccountId(2_000_000);

async fn try_create(deps: &Deps, name: &str) -> Result<CollectionId, Error> {
    let name = CollectionName::parse(Some(name.to_owned()))?;
    Ok(collections::create(deps, &admin(ACCOUNT), name).await?.id)
}

async fn names(deps: &Deps, caller: &portolan_authz::Caller) -> Vec<String> {
    collections::list(deps, caller).await.unwrap().into_iter().map(|collection| collection.name).collect()
}

/// Names are unique in an account whatever their case, the default collection's included.
pub async fn names_follow_the_rule(test: TestDb) {
    let deps = deps(&test).await;
    let first = try_create(&deps, "Payments").await.unwrap();
    assert!(first > CollectionId(0));
    for taken in ["Payments", "pAYMENTS", "default"] {
        assert_eq!(try_create(&deps, taken).await.unwrap_err().reason(), Some(Reason::CollectionNameTaken), "{taken}");
    }
    assert_eq!(try_create(&deps, "a/b").await.unwrap_err().reason(), Some(Reason::CollectionNameCharacters));
    let second = try_create(&deps, " Payments").await.unwrap();
    assert_ne!(first, second);
    create(&deps, OTHER_ACCOUNT, "Payments").await;
    assert_eq!(names(&deps, &admin(ACCOUNT)).await, ["Default", "Payments", " Payments"]);
}

/// The same write id answers what the first call made.
pub async fn a_repeated_write_answers_the_same_collection(test: TestDb) {
    let deps = deps(&test).await;
    let caller = admin(ACCOUNT);
    let name = CollectionName::parse(Some("Books".into())).unwrap();
    let first = collections::create(&deps, &caller, name.clone()).await.unwrap();
    assert_eq!(collections::create(&deps, &caller, name).await.unwrap(), first);
    assert_eq!(names(&deps, &caller).await, ["Default", "Books"]);
}

/// Each collection of a page is served where its endpoint that was found first is, the first by name of those found at once.
pub async fn the_platform_says_where_each_is_served(test: TestDb) {
    let deps = deps(&test).await;
    let (early, tied, empty) = (
        create(&deps, ACCOUNT, "Early").await,
        create(&deps, ACCOUNT, "Tied").await,
        create(&deps, ACCOUNT, "Empty").await,
    );
    let records = [
        call(early.id, "GET", "https://late.example.com/books", 9),
        call(early.id, "GET", "https://most.example.com/books", 5),
        call(tied.id, "GET", "https://second.example.com/books", 7),
        call(tied.id, "GET", "https://first.example.com/books", 7),
    ];
    ingest(&deps, "p", &records).await;
    let listed = platform::list_collections(&deps, &admin(ACCOUNT), None, None).await.unwrap();
    let url = |id| listed.iter().find(|known| known.collection.id == id).unwrap().row.url.as_deref();
    assert_eq!(url(early.id), Some("https://most.example.com"));
    assert_eq!(url(tied.id), Some("https://first.example.com"));
    assert_eq!(url(empty.id), None);
}

/// Ids of another account answer as ids that nobody has.
pub async fn accounts_do_not_see_each_other(test: TestDb) {
    let deps = deps(&test).await;
    let mine = create(&deps, ACCOUNT, "Mine").await;
    ingest(&deps, "p", &[call(mine.id, "GET", "/books", 5)]).await;
    let other = admin(OTHER_ACCOUNT);
    assert_eq!(names(&deps, &other).await, ["Default"]);
    assert!(endpoints::list(&deps, &other, mine.id).await.unwrap().1.is_empty());
    let refused = collections::update_description(&deps, &other, mine.id, Some("x".into()), false).await;
    assert_eq!(refused.unwrap_err().reason(), Some(Reason::CollectionNotFound));
    collections::delete(&deps, &other, vec![mine.id]).await.unwrap();
    assert_eq!(endpoints::list(&deps, &admin(ACCOUNT), mine.id).await.unwrap().1.len(), 1);
    assert_eq!(collections::count_endpoints(&deps, OTHER_ACCOUNT).await.unwrap(), 0);
}

/// A caller with assigned collections sees those, in lists and one by one.
pub async fn restricted_callers_see_their_collections(test: TestDb) {
    let deps = deps(&test).await;
    let (a, b) = (create(&deps, ACCOUNT, "A").await, create(&deps, ACCOUNT, "B").await);
    ingest(&deps, "p", &[call(b.id, "GET", "/books", 5)]).await;
    let restricted = caller(ACCOUNT, Role::Member, Some(vec![a.id]), Scope::Api);
    assert_eq!(names(&deps, &restricted).await, ["A"]);
    assert!(endpoints::list(&deps, &restricted, b.id).await.unwrap().1.is_empty());
    collections::delete(&deps, &restricted, vec![b.id]).await.unwrap();
    assert_eq!(names(&deps, &admin(ACCOUNT)).await, ["Default", "A", "B"]);
    let refused = collections::update_description(&deps, &restricted, b.id, Some("x".into()), false).await;
    assert_eq!(refused.unwrap_err().reason(), Some(Reason::CollectionNotFound));
    // Identity is not there to extend the list, so the creation is not acknowledged.
    let name = CollectionName::parse(Some("C".into())).unwrap();
    assert!(collections::create(&deps, &restricted, name).await.is_err());
}

/// Collections of other products do not show in the scope API.
pub async fn scopes_hide_tagged_collections(test: TestDb) {
    let deps = deps(&test).await;
    let agentic = caller(ACCOUNT, Role::Admin, None, Scope::Agentic);
    let name = CollectionName::parse(Some("Agents".into())).unwrap();
    let made = collections::create(&deps, &agentic, name).await.unwrap();
    assert!(made.has_tag("gen-ai"));
    assert_eq!(names(&deps, &agentic).await, ["Agents"]);
    assert_eq!(names(&deps, &admin(ACCOUNT)).await, ["Default"]);
}

/// Descriptions are set, removed and bounded; a system prompt is not stored.
pub async fn descriptions_are_checked_and_kept(test: TestDb) {
    let deps = deps(&test).await;
    let id = create(&deps, ACCOUNT, "A").await.id;
    let caller = admin(ACCOUNT);
    let set = async |text: Option<&str>, is_prompt: bool| {
        let outcome = collections::update_description(&deps, &caller, id, text.map(str::to_owned), is_prompt).await;
        outcome.map_err(|error| error.reason())
    };
    let get = async || collections::list(&deps, &caller).await.unwrap().pop().unwrap().description;
    set(Some("Ünïcode"), false).await.unwrap();
    set(Some("a prompt"), true).await.unwrap();
    assert_eq!(get().await.as_deref(), Some("Ünïcode"));
    assert_eq!(set(None, false).await, Err(Some(Reason::DescriptionRequired)));
    assert_eq!(set(Some("a\0b"), false).await, Err(Some(Reason::TextHasNul)));
    assert_eq!(set(Some(&"é".repeat(10_001)), false).await, Err(Some(Reason::TextTooLong)));
    set(Some(&"é".repeat(10_000)), false).await.unwrap();
    set(Some(""), false).await.unwrap();
    assert_eq!(get().await, None);
}

/// A deleted collection is gone at once, its name is free, its data go, and late records for it are dropped.
pub async fn deletion_is_complete(test: TestDb) {
    let deps = deps(&test).await;
    let caller = admin(ACCOUNT);
    let id = create(&deps, ACCOUNT, "Old").await.id;
    let records: Vec<_> = (0..450).map(|n| call(id, "GET", &distinct_path(n), 5)).collect();
    ingest(&deps, "p", &records).await;
    assert_eq!(endpoints::list(&deps, &caller, id).await.unwrap().1.len(), 450);

    collections::delete(&deps, &caller, vec![id, CollectionId(77_777)]).await.unwrap();
    assert!(endpoints::list(&deps, &caller, id).await.unwrap().1.is_empty());
    assert_eq!(names(&deps, &caller).await, ["Default"]);
    assert_ne!(create(&deps, ACCOUNT, "old").await.id, id);

    append(&deps, "late", 0, &[call(id, "GET", "/late", 6)]).await;
    ingest_all(&deps).await;
    let handle = start_ingest(deps.clone());
    wait_for_all(&deps, &handle).await;
    let jobs = async || deps.jobs.list(ACCOUNT, 0, None).await.unwrap();
    let ended = async {
        while jobs().await.iter().any(|job| job.state.name() != "SUCCEEDED") {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), ended).await.expect("the deletion must end");
    handle.stop().await;
    let left = tables(&deps, ACCOUNT).await;
    assert!(left.values().all(Vec::is_empty), "{left:?}");
    let jobs = jobs().await;
    assert_eq!(jobs.len(), 1);
    assert_eq!((jobs[0].state.name(), jobs[0].done_items), ("SUCCEEDED", 450));
}

/// A list with the default collection deletes nothing, and neither does one that is too long.
pub async fn the_default_collection_stays(test: TestDb) {
    let deps = deps(&test).await;
    let caller = admin(ACCOUNT);
    let id = create(&deps, ACCOUNT, "A").await.id;
    let refused = collections::delete(&deps, &caller, vec![id, DEFAULT_ID]).await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::CollectionDefault));
    let refused = collections::delete(&deps, &caller, vec![id; 10_001]).await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::TooManyIds));
    collections::delete(&deps, &caller, Vec::new()).await.unwrap();
    assert_eq!(names(&deps, &caller).await, ["Default", "A"]);
}

/// An import goes to the collection with the id, or to the one with the name.
pub async fn import_targets_are_found_or_made(test: TestDb) {
    let deps = deps(&test).await;
    let caller = admin(ACCOUNT);
    let target = async |id: Option<CollectionId>, name: Option<&str>, clean: bool| {
        collections::import_target(&deps, &caller, id, name.map(str::to_owned), clean, Default::default()).await
    };
    let made = target(Some(CollectionId(5)), Some("api.example.com:443"), true).await.unwrap().unwrap();
    assert_eq!(made.name, "api.example.com-443");
    assert_eq!(target(None, Some("API.example.com-443"), false).await.unwrap().unwrap().id, made.id);
    assert_eq!(target(Some(made.id), None, false).await.unwrap().unwrap().id, made.id);
    assert_eq!(target(Some(CollectionId(0)), None, false).await.unwrap().unwrap().name, "Default");
    assert!(target(Some(CollectionId(made.id.get() + 1_000)), None, false).await.unwrap().is_none());
    let refused = target(None, Some("a:b"), false).await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::CollectionNameCharacters));
}
