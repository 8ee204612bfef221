use portolan_api::{
    Feature,
    common::v1::{Notice, NoticeLine},
};
use portolan_ids::{AccountId, CollectionId};
use portolan_inventory::{Deps, collections, endpoints};
use portolan_log::Message;
use portolan_record::{Record, Source};
use portolan_store::Store;
use portolan_testkit::TestDb;

use crate::harness::{
    ACCOUNT, admin, append, call, create, deps, deps_on, ingest, ingest_all, start_ingest, tables, wait_for_all,
};

/// Records of many endpoints, templates, values and statuses in one collection.
fn records(account_id: AccountId) -> Vec<Record<'static>> {
    let mut records = Vec::new();
    for n in 0..240_i64 {
        let letters: String =
            (0..4).map(|at| char::from(b'a' + u8::try_from((n / 3_i64.pow(at)) % 26).unwrap())).collect();
        let path = match n % 5 {
            0 => format!("/orders/{n}/items"),
            1 => format!("/shop/zq{letters}xv/cart?page={n}"),
            2 => "/login".to_owned(),
            3 => format!("https://api.example.com/files/{n}.5"),
            _ => format!("/orders/zz{letters}/items"),
        };
        let mut record = call(0, if n % 2 == 0 { "GET" } else { "POST" }, &path, 1_000 + (n * 37) % 101);
        record.account_id = account_id.into();
        record.status_code = if n % 11 == 0 { 404 } else { 200 + i32::try_from(n % 2).unwrap() };
        record.response_payload = format!(r#"{{"id":{n},"mail":"u{}@corp.io","v":{}}}"#, n % 60, n % 3 == 0).into();
        records.push(record);
    }
    records
}

/// The same order for every run, but not the given one.
fn shuffled(mut records: Vec<Record<'static>>) -> Vec<Record<'static>> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for index in (1..records.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        records.swap(index, usize::try_from(state >> 33).unwrap() % (index + 1));
    }
    records
}

/// The tables are a function of the set of records.
pub async fn order_and_batches_do_not_matter(test: TestDb) {
    let deps = deps(&test).await;
    ingest(&deps, "whole", &records(AccountId(1))).await;
    for (index, part) in shuffled(records(AccountId(2))).chunks(17).enumerate() {
        ingest(&deps, &format!("part{index}"), part).await;
    }
    let (mut whole, mut parts) = (tables(&deps, AccountId(1)).await, tables(&deps, AccountId(2)).await);
    // Samples hold the account, so their digests differ; their places are compared by time.
    let (whole_samples, part_samples) = (whole.remove("samples").unwrap(), parts.remove("samples").unwrap());
    assert_eq!(whole, parts);
    assert!(!whole["endpoints"].is_empty() && !whole["parameters"].is_empty());
    for account_id in [AccountId(1), AccountId(2)] {
        let (_, list) = endpoints::list(&deps, &admin(account_id), CollectionId(0)).await.unwrap();
        let counted = collections::count_endpoints(&deps, account_id).await.unwrap();
        assert_eq!(usize::try_from(counted).unwrap(), list.len());
    }
    let times = |rows: &[String]| {
        let mut times: Vec<String> = rows
            .iter()
            .map(|row| {
                row.split(" | ").enumerate().filter(|(at, _)| [1, 3].contains(at)).map(|(_, text)| text).collect()
            })
            .collect();
        times.sort_unstable();
        times
    };
    assert_eq!(times(&whole_samples), times(&part_samples));
}

/// Two processes that consume the same log write each record once.
pub async fn two_consumers_count_once(test: TestDb) {
    let one = deps(&test).await;
    let other_store = Store::connect(&test.url).await.unwrap();
    let other = deps_on(&other_store).await;
    let (first, second) = (start_ingest(one.clone()), start_ingest(other.clone()));
    for (index, part) in records(AccountId(1)).chunks(20).enumerate() {
        append(&one, "p", i64::try_from(index).unwrap(), part).await;
    }
    wait_for_all(&one, &first).await;
    wait_for_all(&other, &second).await;
    first.stop().await;
    second.stop().await;
    assert_undisturbed(&one).await;
    other_store.close().await;
}

/// Compares account 1 with an undisturbed run of the same records.
async fn assert_undisturbed(deps: &portolan_inventory::Deps) {
    let undisturbed = TestDb::sqlite().await;
    let expected = deps_on(&undisturbed.store).await;
    ingest(&expected, "p", &records(AccountId(1))).await;
    assert_eq!(tables(deps, AccountId(1)).await, tables(&expected, AccountId(1)).await);
    undisturbed.store.close().await;
}

/// Transactions that fail at any point, and commits whose answer is lost, change nothing in the end.
pub async fn faults_lose_and_repeat_nothing(test: TestDb) {
    let deps = deps(&test).await;
    let faults = deps.db.faults().clone();
    let handle = start_ingest(deps.clone());
    for (index, part) in records(AccountId(1)).chunks(40).enumerate() {
        append(&deps, "p", i64::try_from(index).unwrap(), part).await;
        wait_for_all(&deps, &handle).await;
        match index {
            0 => faults.at("ingest.written").times(7).fail(),
            1 => faults.at("store.commit").fail(),
            2 => faults.at("store.committed").fail(),
            3 => faults.at("store.execute").times(3).fail(),
            _ => {}
        }
    }
    handle.stop().await;
    faults.clear();
    assert_undisturbed(&deps).await;
}

/// A record that cannot be read is kept with its reason and does not stop the others.
pub async fn unreadable_records_are_kept_apart(test: TestDb) {
    let deps = deps(&test).await;
    let message = |value: &[u8]| Message { key: b"k".to_vec(), value: value.to_vec() };
    let mut orphan = call(0, "GET", "/orphan", 5);
    orphan.account_id = 0;
    let good = call(0, "GET", "/good", 5).to_json();
    let messages =
        vec![message(b"{\xff"), message(b"7"), message(orphan.to_json().as_bytes()), message(good.as_bytes())];
    deps.log.append("p", 0, messages).await.unwrap();
    ingest_all(&deps).await;
    let rejected = deps.log.rejected(portolan_log::Accounts::All, None, 10).await.unwrap();
    let mut reasons: Vec<_> = rejected.iter().map(|rejected| rejected.reason.as_str()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("UTF-8")), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("akto_account_id")), "{reasons:?}");
    assert_eq!(endpoints::list(&deps, &admin(ACCOUNT), CollectionId(0)).await.unwrap().1.len(), 1);
}

/// Characters that a store refuses hold nothing up.
pub async fn nul_characters_are_replaced(test: TestDb) {
    let deps = deps(&test).await;
    let mut record = call(0, "GET", "/a\0b?q\0=v\0&%00=%00", 5);
    record.source = Source::Mirroring;
    record.request_headers = r#"{"host":"a\u0000.b","x\u0000":"y\u0000"}"#.into();
    record.response_payload = r#"{"k\u0000":"v\u0000","\u0000":[{"\u0000a":null}]}"#.into();
    ingest(&deps, "p", &[record]).await;
    let collections = collections::list(&deps, &admin(ACCOUNT)).await.unwrap();
    let mut urls = Vec::new();
    for collection in collections {
        let (_, list) = endpoints::list(&deps, &admin(ACCOUNT), collection.id).await.unwrap();
        urls.extend(list.into_iter().map(|endpoint| endpoint.id.url));
    }
    assert_eq!(urls, ["/a%EF%BF%BDb"]);
}

/// Live traffic makes collections of hosts; everything else goes where it says, or to the default collection.
pub async fn records_find_their_collection(test: TestDb) {
    let deps = deps(&test).await;
    let caller = admin(ACCOUNT);
    let plain = create(&deps, ACCOUNT, "Plain").await;
    let named_like_host = create(&deps, ACCOUNT, "api.example.com").await;
    let inactive = create(&deps, ACCOUNT, "Inactive").await;
    let deactivate = "UPDATE collections SET deactivated = 1 WHERE collection_id = $1";
    deps.db.execute(deactivate, vec![inactive.id.into()]).await.unwrap();
    let foreign = create(&deps, AccountId(2_000_000), "Foreign").await;
    let live = |host: &str, path: &str| {
        let mut record = call(0, "GET", path, 5);
        record.source = Source::Mirroring;
        record.request_headers = format!(r#"{{"host":"{host}"}}"#).into();
        record
    };
    let records = [
        call(plain.id, "GET", "/plain", 5),
        call(inactive.id, "GET", "/inactive", 5),
        call(foreign.id, "GET", "/foreign", 5),
        live("API.example.com", "https://api.example.com/live/1"),
        live("api.example.com", "/live/2"),
        live("other.example.com:8080", "/live"),
        live("10.0.0.7", "/address"),
    ];
    ingest(&deps, "p", &records).await;

    let mut seen = Vec::new();
    for collection in collections::list(&deps, &caller).await.unwrap() {
        if !collection.deactivated {
            let (_, list) = endpoints::list(&deps, &caller, collection.id).await.unwrap();
            let urls: Vec<_> = list.into_iter().map(|endpoint| endpoint.id.url).collect();
            seen.push((collection.host_name.clone().unwrap_or_default(), collection.name.clone(), urls.join(" ")));
        }
    }
    seen.sort();
    let expected = [
        ("", "Default", "/address /foreign"),
        ("", "Plain", "/plain"),
        ("", "api.example.com", ""),
        ("api.example.com", "api.example.com", "/live/INTEGER"),
        ("other.example.com:8080", "other.example.com:8080", "/live"),
    ];
    assert_eq!(seen, expected.map(|(host, name, urls)| (host.to_owned(), name.to_owned(), urls.to_owned())));
    assert!(named_like_host.id != CollectionId(0));
    assert!(endpoints::list(&deps, &admin(AccountId(2_000_000)), foreign.id).await.unwrap().1.is_empty());
}

/// The notices on their way, the oldest first.
async fn notices(deps: &Deps) -> Vec<Notice> {
    let query = "SELECT payload FROM outbox WHERE topic = 'notice' ORDER BY seq";
    let rows = deps.db.fetch_all(query, vec![]).await.unwrap();
    rows.iter().map(|row| serde_json::from_str(&row.get::<String>("payload").unwrap()).unwrap()).collect()
}

/// A batch that shows new sensitive data puts one notice on its way, whatever fails meanwhile; what is known is not new.
pub async fn new_sensitive_data_is_told_once(test: TestDb) {
    let deps = deps(&test).await;
    let id = create(&deps, ACCOUNT, "Shop").await.id;
    let with = |path: &str, body: &'static str| Record { response_payload: body.into(), ..call(id, "GET", path, 5) };
    let mail = r#"{"mail":"jane@corp.io"}"#;
    deps.db.faults().at("ingest.written").times(3).fail();
    ingest(&deps, "first", &[with("/a", mail), with("/b", r#"{"ok":true}"#), with("/a", mail)]).await;
    let expected = Notice {
        account_id: ACCOUNT.into(),
        title: "New sensitive data".to_owned(),
        lines: vec![NoticeLine {
            text: "EMAIL `mail` in GET /a (Shop)".to_owned(),
            api_collection_id: Some(id.into()),
            scopes: vec!["API".to_owned()],
        }],
        url: "/docs".to_owned(),
        feature: Feature::SensitiveData.into(),
        user_id: 0,
    };
    assert_eq!(notices(&deps).await, [expected]);
    ingest(&deps, "again", &[with("/a", mail), with("/b", r#"{"ok":false}"#)]).await;
    assert_eq!(notices(&deps).await.len(), 1);
    // A raw URL that joins a template brings nothing new with what the template has.
    let weak: Vec<_> = (0..12).map(|at| with(&format!("/items/it{at}em{at}x"), mail)).collect();
    ingest(&deps, "weak", &weak).await;
    assert_eq!(notices(&deps).await.len(), 2);
    ingest(&deps, "member", &[with("/items/it77em77x", mail)]).await;
    assert_eq!(notices(&deps).await.len(), 2);
    let many = r#"{"a":"j@corp.io","b":"j@corp.io","c":"j@corp.io","d":"j@corp.io","e":"j@corp.io","f":"j@corp.io"}"#;
    ingest(&deps, "many", &[with("/many", many)]).await;
    let last = notices(&deps).await.pop().unwrap();
    assert_eq!((last.lines.len(), &*last.lines[0].text), (6, "EMAIL `a` in GET /many (Shop)"));
}
