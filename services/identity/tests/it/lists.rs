use portolan_authz::{Cache, Scope};
use portolan_identity::{
    audit::{self, Filter},
    grants,
    model::audit::{Event, Link},
    roles::{self, RoleInput},
};
use portolan_ids::CollectionId;
use portolan_store::args;
use portolan_testkit::TestDb;

use crate::world::{ACCOUNT, admin, identity, member, with_role};

/// Whatever a program does: a second default role, and a second spelling of a name, do not get into the table.
pub async fn the_database_keeps_one_default_role(test: TestDb) {
    let deps = identity(&test, Cache::memory()).await;
    let caller = admin(with_role(&deps, "root@example.org", "ADMIN").await, "");
    let input = |name: &str| RoleInput { name: name.into(), base_role: "GUEST".into(), ..RoleInput::default() };
    roles::create(&deps, &caller, RoleInput { is_default: Some(true), ..input("first") }).await.unwrap();
    roles::create(&deps, &caller, input("Second")).await.unwrap();
    let second = "UPDATE custom_roles SET is_default = 1 WHERE account_id = $1 AND name_key = 'SECOND'";
    assert!(deps.db.execute(second, args![ACCOUNT]).await.unwrap_err().unique_violation().is_some());
    let again = "INSERT INTO custom_roles (account_id, name_key, name, base_role, collection_ids, features,
        threat_protection, is_default, created_at) VALUES ($1, 'SECOND', 'second', 'GUEST', '[]', '[]', 0, 0, 0)";
    assert!(deps.db.execute(again, args![ACCOUNT]).await.unwrap_err().unique_violation().is_some());
    let defaults: Vec<_> =
        roles::list(&deps, ACCOUNT).await.unwrap().into_iter().filter(|role| role.is_default).collect();
    assert_eq!(defaults.len(), 1);
}

/// A deletion that is told a second time, and one of a collection that is in no list, write nothing.
pub async fn forgetting_twice_changes_nothing(test: TestDb) {
    let deps = identity(&test, Cache::memory()).await;
    let user = member(&deps, "ann@example.org").await;
    grants::set_collections(&deps, ACCOUNT, user, &[CollectionId(3), CollectionId(4)]).await.unwrap();
    let events = async || {
        let count = "SELECT count(*) AS n FROM audit_events WHERE action = 'collections.forget'";
        deps.db.fetch_one(count, args![]).await.unwrap().get::<i64>("n").unwrap()
    };
    let seen = async || {
        let grant = grants::get(&deps, ACCOUNT, user, Scope::Api).await.unwrap();
        grant.collections().map(|ids| ids.iter().map(|id| id.get()).collect::<Vec<_>>())
    };
    for (deleted, left, expected) in [
        (vec![9], vec![3, 4], 0),
        (vec![3], vec![4], 1),
        (vec![3], vec![4], 1),
        (vec![4, 3], vec![], 2),
        (vec![4], vec![], 2),
    ] {
        let ids: Vec<_> = deleted.iter().copied().map(CollectionId).collect();
        grants::forget_collections(&deps, ACCOUNT, &ids).await.unwrap();
        assert_eq!((seen().await, events().await), (Some(left), expected), "{deleted:?}");
    }
    grants::set_collections(&deps, ACCOUNT, user, &[]).await.unwrap();
    assert_eq!(seen().await, None, "a list that is cleared by hand restricts nothing");
}

/// Whatever a change was, the audit keeps a bounded part of it that says so, and every page fits a message of gRPC.
pub async fn long_events_are_cut_and_a_page_of_them_fits_a_message(test: TestDb) {
    const EVENTS: usize = 150;
    const MESSAGE_BYTES_MAX: usize = 4 << 20;
    let deps = identity(&test, Cache::memory()).await;
    let long = format!("[\"{}\"]", "x".repeat(100_000));
    let event = |n: usize| Event {
        event_id: format!("long-{n}"),
        account_id: ACCOUNT,
        action: "long".to_owned(),
        resource_id: "y".repeat(100_000),
        before: long.clone(),
        after: long.clone(),
        time_ms: 1_700_000_000_000,
        ..Event::default()
    };
    let mut tx = deps.db.begin().await.unwrap();
    audit::append(&deps.audit, &mut tx, (0..EVENTS).map(event)).await.unwrap();
    tx.commit().await.unwrap();
    let filter = Filter { action: "long".to_owned(), ..Filter::default() };
    let (mut token, mut seen) = (String::new(), Vec::new());
    loop {
        let (links, next) = audit::list(&deps.db, ACCOUNT, &filter, Some(1_000), &token).await.unwrap();
        let bytes: usize = links.iter().map(|link| serde_json::to_string(&link.event).unwrap().len()).sum();
        assert!((1..MESSAGE_BYTES_MAX).contains(&bytes), "{bytes}");
        for Link { event, .. } in links {
            assert!(event.resource_id.ends_with('…') && event.after.ends_with("…\""), "{}", event.resource_id);
            seen.push(event.event_id);
        }
        if next.is_empty() {
            break;
        }
        token = next;
    }
    let all: Vec<String> = (0..EVENTS).rev().map(|n| format!("long-{n}")).collect();
    assert_eq!(seen, all);
}
