use std::collections::BTreeSet;

use portolan_api::Reason;
use portolan_authz::{Caller, Role, Scope};
use portolan_ids::{AccountId, CollectionId};
use portolan_inventory::{
    Deps, Error, access_types, collections,
    collections::TagChange,
    endpoints, groups,
    groups::preview,
    model::{collections::CollectionName, conditions::Written, endpoints::EndpointId, issues::Report, jobs::Task},
    parameters, samples,
    statistics::{calls, issues, overview},
};
use portolan_record::{Declaration, Record, Source};
use portolan_store::args;
use portolan_testkit::TestDb;

use crate::harness::{ACCOUNT, OTHER_ACCOUNT, admin, call, caller, create, deps, distinct_path, ingest, run_jobs};

fn condition(kind: &str, operator: &str, data: &str) -> Written {
    let data = serde_json::from_str(data).unwrap();
    Written { kind: kind.into(), operator: operator.into(), data, ..Written::default() }
}

fn name(name: &str) -> CollectionName {
    CollectionName::parse(Some(name.into())).unwrap()
}

async fn group(deps: &Deps, caller: &Caller, called: &str, conditions: Vec<Written>) -> Result<CollectionId, Error> {
    let (group, _) = groups::create(deps, caller, name(called), conditions).await?;
    run_jobs(deps).await;
    Ok(group.id)
}

/// `METHOD url` of what a group shows; its count must say the same.
async fn shown(deps: &Deps, group_id: CollectionId) -> Vec<String> {
    let (_, list) = endpoints::list(deps, &admin(ACCOUNT), group_id).await.unwrap();
    let all = collections::list(deps, &admin(ACCOUNT)).await.unwrap();
    let counted = all.iter().find(|known| known.id == group_id).unwrap().endpoint_count;
    assert_eq!(usize::try_from(counted).unwrap(), list.len(), "the count of group {group_id}");
    assert!(list.iter().all(|endpoint| endpoint.group_ids.contains(&group_id)));
    let mut names: Vec<_> = list.iter().map(|endpoint| format!("{} {}", endpoint.id.method, endpoint.id.url)).collect();
    names.sort();
    names
}

fn id(collection_id: impl Into<CollectionId>, method: &str, url: &str) -> EndpointId {
    EndpointId { collection_id: collection_id.into(), url: url.into(), method: method.into() }
}

/// Every type of condition finds what is there at its creation and what is seen later, without a recompute.
pub async fn members_follow_what_is_seen(test: TestDb) {
    let deps = deps(&test).await;
    let (a, me) = (create(&deps, ACCOUNT, "A").await.id, admin(ACCOUNT));
    let basic = r#"{"host":"api.example.com","authorization":"Basic YTpi"}"#;
    let with_auth = |record: Record<'static>| Record { request_headers: basic.into(), ..record };
    let traffic = |path: &str, ip: &'static str| Record {
        source: Source::Mirroring,
        request_headers: r#"{"host":"shop.acme.com"}"#.into(),
        ip: ip.into(),
        ..call(0, "GET", path, 9)
    };
    ingest(
        &deps,
        "first",
        &[call(a, "GET", "/books", 5), with_auth(call(a, "POST", "/pay", 5)), traffic("/cart", "8.8.8.8")],
    )
    .await;
    let all = [
        ("empty", vec![], vec![], vec![]),
        (
            "method",
            vec![condition("METHOD", "AND", r#"{"method":"POST"}"#)],
            vec!["POST /pay"],
            vec!["POST /pay", "POST /pay/later"],
        ),
        (
            "regex",
            vec![condition("REGEX", "AND", r#"{"regex":"^/(pay|books)$"}"#)],
            vec!["GET /books", "POST /pay"],
            vec!["GET /books", "POST /pay", "PUT /books"],
        ),
        (
            "host",
            vec![condition("HOST_REGEX", "OR", r#"{"host_regex":"acme"}"#)],
            vec!["GET /cart"],
            vec!["GET /cart", "GET /inner"],
        ),
        (
            "auth",
            vec![condition("AUTH_TYPE", "OR", r#"{"authTypes":["BASIC"]}"#)],
            vec!["POST /pay"],
            vec!["GET /books", "POST /pay", "POST /pay/later"],
        ),
        (
            "access",
            vec![condition("API_ACCESS_TYPES", "AND", r#"{"apiAccessTypes":["PUBLIC"]}"#)],
            vec!["GET /cart"],
            vec!["GET /cart"],
        ),
        (
            "custom",
            vec![condition(
                "CUSTOM",
                "OR",
                &format!(r#"{{"apiList":[{{"apiCollectionId":{a},"url":"/later","method":"GET"}}]}}"#),
            )],
            vec![],
            vec!["GET /later"],
        ),
        (
            "both",
            vec![
                condition("REGEX", "AND", r#"{"regex":"/pay"}"#),
                condition("METHOD", "OR", r#"{"method":"GET"}"#),
                condition("METHOD", "OR", r#"{"method":"POST"}"#),
            ],
            vec!["POST /pay"],
            vec!["POST /pay", "POST /pay/later"],
        ),
    ];
    let mut made = Vec::new();
    for (called, conditions, before, after) in all {
        let id = group(&deps, &me, called, conditions).await.unwrap();
        assert_eq!(shown(&deps, id).await, before, "{called} at its creation");
        made.push((called, id, after));
    }
    ingest(
        &deps,
        "second",
        &[
            with_auth(call(a, "GET", "/books", 6)),
            with_auth(call(a, "POST", "/pay/later", 6)),
            call(a, "PUT", "/books", 6),
            call(a, "GET", "/later", 6),
            Record { status_code: 404, ..call(a, "POST", "/pay/never", 6) },
            traffic("/inner", "10.0.0.7"),
        ],
    )
    .await;
    for (called, id, after) in &made {
        assert_eq!(shown(&deps, *id).await, *after, "{called} after more records");
    }
    groups::compute(&deps, &me, Some("METHOD".into())).await.unwrap();
    run_jobs(&deps).await;
    for (called, id, after) in &made {
        assert_eq!(shown(&deps, *id).await, *after, "{called} after a recompute");
    }
    let types = access_types::list_by_urls(&deps, &me, vec!["/cart".into(), "/inner".into(), "/books".into()]).await;
    let types: Vec<_> = types
        .unwrap()
        .into_iter()
        .map(|(id, types)| format!("{} {} {types:?}", id.method, id.url))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    assert_eq!(types, ["GET /books {}", "GET /cart {Public}", "GET /inner {Private}", "PUT /books {}"]);
}

/// A group that is made, changed or computed looks at the endpoints alone; a job that an older version asked for lets all
/// groups look.
pub async fn a_group_looks_alone(test: TestDb) {
    const MEMBERS: &str = "SELECT count(*) FROM group_members WHERE account_id = $1 AND group_id = $2";
    const FORGET: &str = "DELETE FROM group_members WHERE account_id = $1 AND group_id = $2";
    let deps = deps(&test).await;
    let (a, me) = (create(&deps, ACCOUNT, "A").await.id, admin(ACCOUNT));
    ingest(&deps, "first", &[call(a, "GET", "/books", 5), call(a, "POST", "/pay", 5)]).await;
    let of_method = |method: &str| vec![condition("METHOD", "AND", &format!(r#"{{"method":"{method}"}}"#))];
    let all = vec![condition("REGEX", "AND", r#"{"regex":"."}"#)];
    let members = async |group_id: CollectionId| -> i64 {
        deps.db.fetch_one(MEMBERS, args![ACCOUNT, group_id]).await.unwrap().get(0).unwrap()
    };
    let first = group(&deps, &me, "first", all.clone()).await.unwrap();
    assert_eq!(members(first).await, 2);
    // Whoever lets the first group look puts this back.
    deps.db.execute(FORGET, args![ACCOUNT, first]).await.unwrap();
    let second = group(&deps, &me, "second", all).await.unwrap();
    assert_eq!((members(first).await, members(second).await), (0, 2));
    groups::update(&deps, &me, second, of_method("POST")).await.unwrap();
    run_jobs(&deps).await;
    assert_eq!((members(first).await, members(second).await), (0, 1));
    groups::compute(&deps, &me, Some("first".into())).await.unwrap();
    run_jobs(&deps).await;
    assert_eq!(members(first).await, 2);

    for group_id in [first, second] {
        deps.db.execute(FORGET, args![ACCOUNT, group_id]).await.unwrap();
    }
    let older: Task = serde_json::from_str(r#"{"kind":"compute-groups","collection_id":null}"#).unwrap();
    deps.jobs.request(ACCOUNT, &older, &older.subject()).await.unwrap();
    run_jobs(&deps).await;
    assert_eq!((members(first).await, members(second).await), (2, 1));
}

/// Members are a function of the set of records, whatever their order and batches.
pub async fn members_do_not_depend_on_order(test: TestDb) {
    let deps = deps(&test).await;
    let me = admin(ACCOUNT);
    let (a, b) = (create(&deps, ACCOUNT, "A").await.id, create(&deps, ACCOUNT, "B").await.id);
    let by_url = group(&deps, &me, "template", vec![condition("REGEX", "AND", r#"{"regex":"/STRING$"}"#)]);
    let by_url = by_url.await.unwrap();
    let by_access = vec![condition("API_ACCESS_TYPES", "AND", r#"{"apiAccessTypes":["PRIVATE"]}"#)];
    let by_access = group(&deps, &me, "private", by_access).await.unwrap();
    let records = |collection: CollectionId| -> Vec<Record<'static>> {
        (0..24)
            .map(|n: i64| {
                let letters: String =
                    (0..4).map(|at| char::from(b'a' + u8::try_from((n / 3_i64.pow(at)) % 3).unwrap())).collect();
                let ip = if n % 2 == 0 { "10.0.0.1" } else { "9.9.9.9" };
                Record { ip: ip.into(), ..call(collection, "GET", &format!("/shop/zq{letters}x"), 5 + n) }
            })
            .collect()
    };
    ingest(&deps, "whole", &records(a)).await;
    let mut reversed = records(b);
    reversed.reverse();
    for (index, part) in reversed.chunks(5).enumerate() {
        ingest(&deps, &format!("part{index}"), part).await;
    }
    for id in [by_url, by_access] {
        assert_eq!(shown(&deps, id).await, ["GET /shop/STRING", "GET /shop/STRING"]);
    }
}

/// Tags, activation and deletions change what groups show.
pub async fn members_follow_their_collections(test: TestDb) {
    let deps = deps(&test).await;
    let me = admin(ACCOUNT);
    let (a, b) = (create(&deps, ACCOUNT, "A").await.id, create(&deps, ACCOUNT, "B").await.id);
    ingest(&deps, "p", &[call(a, "GET", "/a", 5), call(b, "GET", "/b", 5), call(b, "GET", "/c", 5)]).await;
    let tagged = group(&deps, &me, "tagged", vec![condition("TAGS", "AND", r#"{"query":"team=core"}"#)]).await.unwrap();
    let both = vec![condition("REGEX", "AND", r#"{"regex":"."}"#)];
    let both = group(&deps, &me, "all", both).await.unwrap();
    let list = vec![id(a, "GET", "/a"), id(b, "GET", "/b")];
    groups::add_endpoints(&deps, &me, Some("Picked".into()), Some(list)).await.unwrap();
    run_jobs(&deps).await;
    let all = collections::list(&deps, &me).await.unwrap();
    let picked = all.iter().find(|known| known.name == "Picked").unwrap().id;
    assert!(shown(&deps, tagged).await.is_empty());
    assert_eq!(shown(&deps, both).await.len(), 3);
    assert_eq!(shown(&deps, picked).await, ["GET /a", "GET /b"]);

    let toggle = || TagChange::Toggle(vec![("Team".into(), "core".into())]);
    collections::update_tags(&deps, &me, vec![b], toggle()).await.unwrap();
    run_jobs(&deps).await;
    assert_eq!(shown(&deps, tagged).await, ["GET /b", "GET /c"]);
    collections::update_tags(&deps, &me, vec![b], toggle()).await.unwrap();
    run_jobs(&deps).await;
    assert!(shown(&deps, tagged).await.is_empty());

    collections::update_deactivated(&deps, &me, vec![b], true).await.unwrap();
    run_jobs(&deps).await;
    assert_eq!(shown(&deps, both).await, ["GET /a"]);
    ingest(&deps, "dropped", &[call(b, "GET", "/d", 6), call(b, "GET", "/d", 7)]).await;
    assert_eq!(portolan_inventory::dropped(&test.store).await.unwrap(), [(ACCOUNT, b, 2)]);
    collections::update_deactivated(&deps, &me, vec![b], false).await.unwrap();
    run_jobs(&deps).await;
    assert_eq!(shown(&deps, both).await, ["GET /a", "GET /b", "GET /c"]);

    endpoints::delete(&deps, &me, vec![id(b, "GET", "/c"), id(77_777, "GET", "/a")]).await.unwrap();
    assert_eq!(shown(&deps, both).await, ["GET /a", "GET /b"]);
    assert_eq!(endpoints::list(&deps, &me, b).await.unwrap().1.len(), 1);
    groups::remove_endpoints(&deps, &me, Some("picked".into()), Some(vec![id(a, "GET", "/a")])).await.unwrap();
    run_jobs(&deps).await;
    assert_eq!(shown(&deps, picked).await, ["GET /b"]);

    collections::delete(&deps, &me, vec![b]).await.unwrap();
    assert_eq!(shown(&deps, both).await, ["GET /a"]);
    assert!(shown(&deps, picked).await.is_empty());
    let all = collections::list(&deps, &me).await.unwrap();
    let conditions = all.iter().find(|known| known.id == picked).unwrap().conditions.clone().unwrap();
    assert!(!conditions.contains("\"/b\""), "{conditions}");
}

/// What is added by hand is shown beside what the conditions select, also later and when the conditions that an answer
/// names are written again; its removal brings back the group before it.
pub async fn additions_stand_beside_conditions(test: TestDb) {
    let deps = deps(&test).await;
    let (a, me) = (create(&deps, ACCOUNT, "A").await.id, admin(ACCOUNT));
    let calls = [call(a, "GET", "/books", 5), call(a, "POST", "/pay", 5), call(a, "PUT", "/cart", 5)];
    ingest(&deps, "p", &calls).await;
    let pay = || condition("REGEX", "AND", r#"{"regex":"/pay"}"#);
    let method = |operator: &str, name: &str| condition("METHOD", operator, &format!(r#"{{"method":"{name}"}}"#));
    let named = format!(r#"{{"apiList":[{{"apiCollectionId":{a},"url":"/pay","method":"POST"}}]}}"#);
    let all = [
        ("none", vec![], vec![]),
        ("and", vec![pay()], vec!["POST /pay"]),
        ("ands", vec![pay(), method("AND", "POST")], vec!["POST /pay"]),
        ("or", vec![method("OR", "POST"), method("OR", "PUT")], vec!["POST /pay", "PUT /cart"]),
        ("both", vec![pay(), method("OR", "POST")], vec!["POST /pay"]),
        ("nothing", vec![pay(), method("AND", "GET")], vec![]),
        ("named", vec![condition("CUSTOM", "AND", &named)], vec!["POST /pay"]),
        ("among", vec![pay(), condition("CUSTOM", "OR", &named)], vec!["POST /pay"]),
    ];
    for (called, conditions, before) in all {
        let group_id = group(&deps, &me, called, conditions.clone()).await.unwrap();
        let added = vec![id(a, "GET", "/books"), id(a, "POST", "/pay"), id(a, "PATCH", &format!("/{called}"))];
        let some = |list: &[EndpointId]| (Some(called.to_owned()), Some(list.to_vec()));
        let (to, list) = some(&added);
        groups::add_endpoints(&deps, &me, to, list).await.unwrap();
        run_jobs(&deps).await;
        let mut both: BTreeSet<String> = before.iter().map(|&name| name.to_owned()).collect();
        both.extend(["GET /books".to_owned(), "POST /pay".to_owned()]);
        assert!(shown(&deps, group_id).await.iter().eq(&both), "{called} with what was added");

        ingest(&deps, called, &[call(a, "PATCH", &format!("/{called}"), 6)]).await;
        both.insert(format!("PATCH /{called}"));
        assert!(shown(&deps, group_id).await.iter().eq(&both), "{called} with what is seen later");

        let known = collections::list(&deps, &me).await.unwrap();
        let known = known.iter().find(|known| known.id == group_id).unwrap().conditions.clone().unwrap();
        let answered: Vec<Written> = serde_json::from_str(&known).unwrap();
        let answered = answered.into_iter().map(|written| Written { by_hand: false, ..written }).collect();
        groups::update(&deps, &me, group_id, answered).await.unwrap();
        run_jobs(&deps).await;
        assert!(shown(&deps, group_id).await.iter().eq(&both), "{called} written again");

        let (from, list) = some(&added);
        groups::remove_endpoints(&deps, &me, from, list).await.unwrap();
        run_jobs(&deps).await;
        assert_eq!(shown(&deps, group_id).await, before, "{called} after the removal");
    }
}

/// Patterns of a caller who sees some collections find nothing in the others, now and later.
pub async fn restricted_callers_find_only_what_they_see(test: TestDb) {
    let deps = deps(&test).await;
    let (a, b) = (create(&deps, ACCOUNT, "A").await.id, create(&deps, ACCOUNT, "B").await.id);
    let all = group(&deps, &admin(ACCOUNT), "G", vec![]).await.unwrap();
    let restricted = caller(ACCOUNT, Role::Member, Some(vec![a, all]), Scope::Api);
    ingest(&deps, "p", &[call(a, "GET", "/a", 5), call(b, "GET", "/b", 5)]).await;
    let everything = || vec![condition("REGEX", "AND", r#"{"regex":"."}"#)];
    groups::update(&deps, &restricted, all, everything()).await.unwrap();
    run_jobs(&deps).await;
    assert_eq!(shown(&deps, all).await, ["GET /a"]);
    ingest(&deps, "q", &[call(a, "GET", "/a2", 5), call(b, "GET", "/b2", 5)]).await;
    assert_eq!(shown(&deps, all).await, ["GET /a", "GET /a2"]);
    groups::add_endpoints(&deps, &restricted, Some("G".into()), Some(vec![id(b, "GET", "/b")])).await.unwrap();
    run_jobs(&deps).await;
    assert_eq!(shown(&deps, all).await, ["GET /a", "GET /a2"]);
    groups::update(&deps, &admin(ACCOUNT), all, everything()).await.unwrap();
    run_jobs(&deps).await;
    assert_eq!(shown(&deps, all).await.len(), 4);

    let refused = groups::update(&deps, &restricted, b, everything()).await.unwrap_err();
    run_jobs(&deps).await;
    assert_eq!(refused.reason(), Some(Reason::CollectionNotFound));
    endpoints::delete(&deps, &restricted, vec![id(b, "GET", "/b")]).await.unwrap();
    assert_eq!(endpoints::list(&deps, &admin(ACCOUNT), b).await.unwrap().1.len(), 2);
    let other = admin(AccountId(2_000_000));
    let refused = groups::update(&deps, &other, all, everything()).await.unwrap_err();
    run_jobs(&deps).await;
    assert_eq!(refused.reason(), Some(Reason::CollectionNotFound));
}

/// What conditions would show is what a group of them shows, and no more than the caller may read.
pub async fn previews_show_what_a_group_would(test: TestDb) {
    let deps = deps(&test).await;
    let me = admin(ACCOUNT);
    let (a, b) = (create(&deps, ACCOUNT, "A").await.id, create(&deps, ACCOUNT, "B").await.id);
    let off = create(&deps, ACCOUNT, "Off").await.id;
    let mut records: Vec<_> = (0..230).map(|n| call(a, "GET", &distinct_path(n), 5)).collect();
    records.extend([call(b, "POST", "/b", 6), call(b, "GET", "/c", 7), call(off, "POST", "/off", 8)]);
    let unproven = Record { status_code: 404, ..call(b, "POST", "/gone", 9) };
    records.push(unproven);
    ingest(&deps, "p", &records).await;
    collections::update_deactivated(&deps, &me, vec![off], true).await.unwrap();
    run_jobs(&deps).await;

    let posts = || vec![condition("METHOD", "AND", r#"{"method":"POST"}"#)];
    let found = preview::list(&deps, &me, posts(), false).await.unwrap();
    assert_eq!((found.count, found.endpoints.len(), found.activity.len()), (1, 1, 1));
    assert_eq!(found.endpoints[0].id, id(b, "POST", "/b"));
    assert_eq!((&found.activity[0].id, found.activity[0].started_at), (&found.endpoints[0].id, 6));
    assert!(found.activity[0].parameters > 2);
    let group = group(&deps, &me, "posts", posts()).await.unwrap();
    assert_eq!(shown(&deps, group).await, ["POST /b"]);
    let again = preview::list(&deps, &me, posts(), false).await.unwrap();
    assert_eq!(again.endpoints[0].group_ids, [group]);

    let everything = || vec![condition("REGEX", "AND", r#"{"regex":"."}"#)];
    let all = preview::list(&deps, &me, everything(), false).await.unwrap();
    assert_eq!((all.count, all.endpoints.len(), all.activity.len()), (232, 200, 200));
    assert_eq!(preview::count(&deps, &me, everything()).await.unwrap(), 232);
    assert_eq!(preview::count(&deps, &me, Vec::new()).await.unwrap(), 0);
    let restricted = caller(ACCOUNT, Role::Member, Some(vec![b]), Scope::Api);
    assert_eq!(preview::count(&deps, &restricted, everything()).await.unwrap(), 2);
    let named = vec![condition(
        "CUSTOM",
        "AND",
        &format!(r#"{{"apiList":[{{"apiCollectionId":{a},"url":"{}","method":"GET"}}]}}"#, distinct_path(3)),
    )];
    assert_eq!(preview::count(&deps, &me, named.clone()).await.unwrap(), 1);
    assert_eq!(preview::count(&deps, &restricted, named).await.unwrap(), 0);
    assert_eq!(preview::count(&deps, &admin(OTHER_ACCOUNT), everything()).await.unwrap(), 0);

    let toggle = TagChange::Toggle(vec![("tags-mismatch".into(), "true".into())]);
    collections::update_tags(&deps, &me, vec![a], toggle).await.unwrap();
    run_jobs(&deps).await;
    assert_eq!(preview::list(&deps, &me, everything(), true).await.unwrap().count, 2);
    assert_eq!(preview::list(&deps, &me, everything(), false).await.unwrap().count, 232);
    let broken = vec![condition("REGEX", "AND", r#"{"regex":"("}"#)];
    assert_eq!(preview::count(&deps, &me, broken).await.unwrap_err().reason(), Some(Reason::PatternInvalid));
}

/// Every answer about the account names the groups beside the collections.
pub async fn answers_name_the_groups(test: TestDb) {
    let deps = deps(&test).await;
    let me = admin(ACCOUNT);
    let (a, b) = (create(&deps, ACCOUNT, "A").await.id, create(&deps, ACCOUNT, "B").await.id);
    let mut sensitive = call(a, "POST", "/users", 100);
    sensitive.response_payload = r#"{"mail":"jane@mail.org"}"#.into();
    ingest(&deps, "p", &[sensitive, call(b, "POST", "/users", 300), call(b, "GET", "/c", 900)]).await;
    let posts = vec![condition("METHOD", "AND", r#"{"method":"POST"}"#)];
    let group = group(&deps, &me, "posts", posts).await.unwrap();
    let report = Report {
        id: "f-1".into(),
        endpoint: id(a, "POST", "/users"),
        severity: "HIGH".into(),
        status: String::new(),
        tested_at: 0,
    };
    assert!(issues::take(&deps, &me, vec![report]).await.unwrap().is_empty());

    assert_eq!(issues::coverage(&deps, &me, &[]).await.unwrap(), [(a, 1), (group, 1)].into());
    let severities = issues::by_collection(&deps, &me).await.unwrap();
    assert_eq!(severities.keys().collect::<Vec<_>>(), [&a, &group]);
    let of_group = issues::by_endpoint(&deps, &me, group).await.unwrap();
    assert_eq!((of_group.len(), &of_group[0].0.url, of_group[0].1["HIGH"]), (1, &"/users".to_owned(), 1));
    let seen = overview::last_seen(&deps, &me).await.unwrap();
    assert_eq!(seen, [(a, 100), (b, 900), (group, 300)].into());
    let (count, types) = overview::sensitive(&deps, &me).await.unwrap();
    assert_eq!((count, types.keys().collect::<Vec<_>>()), (1, vec![&a, &group]));
    // Who does not see the group does not learn of it.
    let restricted = caller(ACCOUNT, Role::Member, Some(vec![a]), Scope::Api);
    assert_eq!(overview::sensitive(&deps, &restricted).await.unwrap().1.len(), 1);
    assert_eq!(overview::last_seen(&deps, &restricted).await.unwrap().len(), 1);
    assert_eq!(issues::coverage(&deps, &restricted, &[]).await.unwrap().len(), 1);

    let parameters = parameters::list(&deps, &me, &id(a, "POST", "/users")).await.unwrap();
    assert!(!parameters.is_empty() && parameters.iter().all(|known| known.group_ids == [group]));
    let calls = samples::list(&deps, &me, &id(group, "POST", "/users")).await.unwrap();
    let found: Vec<_> = calls.iter().map(|calls| (calls.endpoint.collection_id, calls.group_ids.clone())).collect();
    assert_eq!(found, [(a, vec![group]), (b, vec![group])]);
    assert_eq!(samples::list_all(&deps, &me, group, 0, 0).await.unwrap(), calls);
    let counted = calls::calls(&deps, &me, &id(group, "POST", "/users"), 0, 0).await.unwrap();
    assert_eq!(counted, [(1, 1), (5, 1)].into());
}

/// The tags that a specification gives an operation are its endpoint's, until a newer one gives others.
pub async fn tags_of_specifications_count(test: TestDb) {
    let deps = deps(&test).await;
    let me = admin(ACCOUNT);
    let a = create(&deps, ACCOUNT, "A").await.id;
    let tagged = vec![condition("API_TAGS", "AND", r#"{"query":"tag=pets"}"#)];
    let group = group(&deps, &me, "pets", tagged).await.unwrap();
    let declared = |path: &str, tags: &[&str], time: i64| {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let declaration = Declaration { tags, ..Declaration::default() };
        Record { declaration: Some(Box::new(declaration)), source: Source::OpenApi, ..call(a, "GET", path, time) }
    };
    ingest(&deps, "old", &[declared("/cats", &["pets", "shop"], 5), declared("/books", &["shop"], 5)]).await;
    assert_eq!(shown(&deps, group).await, ["GET /cats"]);
    let cats = endpoints::get(&deps, &me, &id(a, "GET", "/cats")).await.unwrap().unwrap();
    let tags: Vec<_> = cats.tags.iter().map(|tag| (tag.key_name.as_str(), tag.value.as_str())).collect();
    assert_eq!(tags, [("tag", "pets"), ("tag", "shop")]);
    ingest(&deps, "new", &[declared("/cats", &["shop"], 9), declared("/books", &["pets"], 9)]).await;
    assert_eq!(shown(&deps, group).await, ["GET /books"]);
}

/// Each record of an account is held against its groups: there is an end of them and of their patterns, which one account
/// reaches for itself alone.
pub async fn groups_and_their_patterns_have_an_end(test: TestDb) {
    let (deps, me, other) = (deps(&test).await, admin(ACCOUNT), admin(OTHER_ACCOUNT));
    let patterns = |count| vec![condition("REGEX", "OR", r#"{"regex":"^/a"}"#); count];
    let refused = |outcome: Result<CollectionId, Error>| outcome.map_err(|error| error.reason());
    for n in 0..10 {
        group(&deps, &me, &format!("P{n}"), patterns(20)).await.unwrap();
    }
    assert_eq!(refused(group(&deps, &me, "More", patterns(1)).await), Err(Some(Reason::ListTooLong)));
    assert_eq!(refused(group(&deps, &other, "Many", patterns(21)).await), Err(Some(Reason::ListTooLong)));
    group(&deps, &other, "Other", patterns(20)).await.unwrap();
    let plain = group(&deps, &me, "Plain", Vec::new()).await.unwrap();
    let update = groups::update(&deps, &me, plain, patterns(1)).await;
    assert_eq!(update.map(drop).map_err(|error| error.reason()), Err(Some(Reason::ListTooLong)));
    // Fewer than before are no more.
    let all = collections::list(&deps, &me).await.unwrap();
    let first = all.iter().find(|known| known.name == "P0").unwrap().id;
    groups::update(&deps, &me, first, patterns(19)).await.unwrap();

    let mut tx = deps.db.begin().await.unwrap();
    let copy = "INSERT INTO collections (account_id, collection_id, name, kind, conditions, created_at)
        VALUES ($1, $2, $3, 'API_GROUP', '[]', 0)";
    for n in 0..500_i64 {
        let row = portolan_store::args![OTHER_ACCOUNT, 1_000_000 + n, format!("G{n}")];
        tx.execute(copy, row).await.unwrap();
    }
    tx.commit().await.unwrap();
    assert_eq!(refused(group(&deps, &other, "Next", Vec::new()).await), Err(Some(Reason::ListTooLong)));
    let added = groups::add_endpoints(&deps, &other, Some("Next".into()), Some(vec![id(0, "GET", "/a")])).await;
    assert!(added.is_err_and(|error| error.reason() == Some(Reason::ListTooLong)));
    group(&deps, &me, "Mine", Vec::new()).await.unwrap();
}

/// The memory of the patterns of an account and the text of its conditions have an end, however few groups they are in.
pub async fn groups_take_bounded_memory(test: TestDb) {
    let (deps, me, other) = (deps(&test).await, admin(ACCOUNT), admin(OTHER_ACCOUNT));
    // Each takes more than half a MiB when it is compiled.
    let large = condition("REGEX", "OR", r#"{"regex":"(?:\\w{1,5}-?){1,3}[a-z]"}"#);
    let mut groups = 0;
    let refused = loop {
        match group(&deps, &me, &format!("P{groups}"), vec![large.clone(); 5]).await {
            Ok(_) => groups += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.reason(), Some(Reason::ListTooLong));
    assert!((2..20).contains(&groups), "{groups}");
    group(&deps, &other, "Other", vec![large; 5]).await.unwrap();

    let collection = create(&deps, ACCOUNT, "Seen").await;
    let endpoints = |from: usize, count: usize| -> Vec<EndpointId> {
        (from..from + count).map(|n| id(collection.id.get(), "GET", &format!("/{n}{}", "a".repeat(1_500)))).collect()
    };
    let named = |endpoints: Vec<EndpointId>| {
        let listed = endpoints
            .iter()
            .map(|id| serde_json::json!({"apiCollectionId": id.collection_id, "url": id.url, "method": id.method}));
        let data = serde_json::json!({ "apiList": listed.collect::<Vec<_>>() });
        condition("CUSTOM", "OR", &data.to_string())
    };
    let full = group(&deps, &me, "Full", vec![named(endpoints(0, 9_000))]).await.unwrap();
    let refused = group(&deps, &me, "Next", vec![named(endpoints(0, 9_000))]).await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::TextTooLong));
    group(&deps, &me, "By hand", Vec::new()).await.unwrap();
    let add = async |count| {
        let added = groups::add_endpoints(&deps, &me, Some("By hand".into()), Some(endpoints(0, count))).await;
        added.map(drop).map_err(|error| error.reason())
    };
    assert_eq!(add(9_000).await, Err(Some(Reason::TextTooLong)));
    add(10).await.unwrap();
    groups::update(&deps, &me, full, vec![named(endpoints(0, 8_000))]).await.unwrap();
}
