use portolan_api::Reason;
use portolan_authz::{Role, Scope};
use portolan_ids::{AccountId, CollectionId};
use portolan_inventory::{
    Deps, endpoints,
    model::{
        data_types::{Changes, ConditionList, PredicateText},
        endpoints::EndpointId,
        markings::ParameterId,
        parameters::SensitiveFilter,
    },
    parameters,
    parameters::{data_types, markings},
    samples,
    statistics::overview,
};
use portolan_testkit::TestDb;

use crate::harness::{ACCOUNT, OTHER_ACCOUNT, admin, append, call, caller, create, deps, ingest, ingest_all, tables};

const URL: &str = "https://api.example.com/users";

fn place(collection_id: CollectionId, name: &str) -> ParameterId {
    ParameterId {
        collection_id,
        url: URL.to_owned(),
        method: "get".to_owned(),
        response_code: 200,
        is_header: false,
        name: name.to_owned(),
    }
}

async fn sensitive(deps: &Deps, collection_id: CollectionId) -> (Vec<String>, usize) {
    let filter = SensitiveFilter { collection_id: Some(collection_id), ..SensitiveFilter::default() };
    let (found, marked) = parameters::list_sensitive(deps, &admin(ACCOUNT), filter).await.unwrap();
    (found.into_iter().map(|known| known.key.name.into_string()).collect(), marked.len())
}

/// A mark counts in every read, whatever the detectors found, until it is taken away.
pub async fn marks_outweigh_the_detectors(test: TestDb) {
    let deps = deps(&test).await;
    let collection = create(&deps, ACCOUNT, "A").await;
    let mut record = call(collection.id, "GET", URL, 5);
    record.response_payload = r#"{"note":"x","mail":"jane@mail.org"}"#.into();
    ingest(&deps, "p", &[record]).await;
    let all = admin(ACCOUNT);
    assert_eq!(sensitive(&deps, collection.id).await, (vec!["mail".to_owned()], 0));

    let marked = markings::set(&deps, &all, place(collection.id, "note"), true).await.unwrap().unwrap();
    assert_eq!(marked.place.method, "GET");
    assert_eq!(markings::set_many(&deps, &all, vec![place(collection.id, "mail")], false).await.unwrap(), (0, 1));
    let again = vec![place(collection.id, "mail"), place(collection.id, "mail"), place(CollectionId(999_999), "mail")];
    assert_eq!(markings::set_many(&deps, &all, again, false).await.unwrap(), (1, 0));
    assert_eq!(sensitive(&deps, collection.id).await, (Vec::new(), 2));
    let id = EndpointId { collection_id: collection.id, url: URL.to_owned(), method: "GET".to_owned() };
    let shown = parameters::list(&deps, &all, &id).await.unwrap();
    let is_sensitive = |name: &str| shown.iter().find(|known| known.key.name == name).unwrap().seen.sensitive;
    assert!(is_sensitive("note") && !is_sensitive("mail"));
    let (count, types) = overview::sensitive(&deps, &all).await.unwrap();
    assert_eq!((count, types[&collection.id].iter().map(String::as_str).collect::<Vec<_>>()), (1, vec!["GENERIC"]));
    assert!(endpoints::get(&deps, &all, &id).await.unwrap().unwrap().is_sensitive);

    assert_eq!(markings::list(&deps, &all).await.unwrap().len(), 2);
    let restricted = caller(ACCOUNT, Role::Member, Some(vec![CollectionId(0)]), Scope::Api);
    assert!(markings::list(&deps, &restricted).await.unwrap().is_empty());
    let refused = markings::set(&deps, &restricted, place(collection.id, "note"), true).await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::CollectionNotFound));
    for name in ["note", "mail"] {
        assert_eq!(markings::set(&deps, &all, place(collection.id, name), false).await.unwrap(), None);
    }
    assert_eq!(sensitive(&deps, collection.id).await, (vec!["mail".to_owned()], 0));

    let found = parameters::list_sensitive_of_urls(&deps, &all, &[URL.to_owned()]).await.unwrap();
    assert_eq!(found.iter().map(|known| known.key.name.as_str()).collect::<Vec<_>>(), ["mail"]);
    assert!(parameters::list_sensitive_of_urls(&deps, &restricted, &[URL.to_owned()]).await.unwrap().is_empty());
}

fn one(kind: &str, value: &str) -> Option<Option<ConditionList>> {
    let predicate = PredicateText { kind: kind.to_owned(), value: value.to_owned(), values: Vec::new() };
    Some(Some(ConditionList { operator: String::new(), predicates: vec![predicate] }))
}

/// A kind of data is looked for from the moment it is there, in its account alone, until it is switched off.
pub async fn data_types_are_applied_at_ingest(test: TestDb) {
    let deps = deps(&test).await;
    let all = admin(ACCOUNT);
    let (mine, other) = (create(&deps, ACCOUNT, "A").await, create(&deps, OTHER_ACCOUNT, "A").await);
    let wanted = Changes {
        value_conditions: one("REGEX", "L-[0-9]{6}"),
        sensitive_positions: Some(vec!["RESPONSE_PAYLOAD".into()]),
        redacted: Some(true),
        ..Changes::default()
    };
    let created = data_types::create(&deps, &all, "loyalty", wanted.clone()).await.unwrap();
    assert_eq!((created.name.as_str(), created.active), ("LOYALTY", true));
    for (name, reason) in [("Loyalty", Reason::DataTypeExists), ("email", Reason::DataTypeExists)] {
        let refused = data_types::create(&deps, &all, name, wanted.clone()).await.unwrap_err();
        assert_eq!(refused.reason(), Some(reason), "{name}");
    }
    let record = |account_id: AccountId, collection_id: CollectionId, name: &str| {
        let mut record = call(collection_id, "GET", URL, 5);
        record.account_id = account_id.into();
        record.response_payload = format!(r#"{{"{name}":"L-123456"}}"#).into();
        record
    };
    let types = |account_id: AccountId, collection_id: CollectionId| {
        let deps = deps.clone();
        async move {
            let id = EndpointId { collection_id, url: URL.to_owned(), method: "GET".to_owned() };
            let found = parameters::list(&deps, &admin(account_id), &id).await.unwrap();
            let of_body = found.into_iter().filter(|known| known.key.response_code == 200 && !known.key.is_header);
            of_body
                .map(|known| {
                    (known.key.name, known.key.sub_type.name(), known.seen.sensitive, known.seen.values.list().count())
                })
                .collect::<Vec<_>>()
        }
    };
    append(&deps, "p", 0, &[record(ACCOUNT, mine.id, "a"), record(OTHER_ACCOUNT, other.id, "a")]).await;
    ingest_all(&deps).await;
    assert_eq!(types(ACCOUNT, mine.id).await, [("a".into(), "LOYALTY", true, 0)]);
    assert_eq!(types(OTHER_ACCOUNT, other.id).await, [("a".into(), "GENERIC", false, 1)]);

    let off = Changes { active: Some(false), ..Changes::default() };
    data_types::update(&deps, &all, "Loyalty", off).await.unwrap();
    append(&deps, "p", 1, &[record(ACCOUNT, mine.id, "b")]).await;
    ingest_all(&deps).await;
    assert_eq!(types(ACCOUNT, mine.id).await[1], ("b".into(), "GENERIC", false, 1));
    data_types::delete(&deps, &all, "LOYALTY").await.unwrap();
    let refused = data_types::delete(&deps, &all, "LOYALTY").await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::DataTypeNotFound));
    // What was found keeps its type.
    assert_eq!(types(ACCOUNT, mine.id).await[0].1, "LOYALTY");
}

/// Built-in kinds are switched for one account; one that is off is no longer sensitive.
pub async fn built_in_types_are_switched(test: TestDb) {
    let deps = deps(&test).await;
    let all = admin(ACCOUNT);
    let collection = create(&deps, ACCOUNT, "A").await;
    for (name, active) in [("IBAN EUROPE", true), ("EMAIL", false)] {
        let switch = Changes { active: Some(active), ..Changes::default() };
        assert_eq!(data_types::update(&deps, &all, name, switch).await.unwrap().active, active);
    }
    let refused = Changes { operator: Some("OR".to_owned()), ..Changes::default() };
    let refused = data_types::update(&deps, &all, "EMAIL", refused).await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::DataTypeInvalid));
    for (name, sensitive) in [("PASSWORD", true), ("VIN", false)] {
        let set = Changes { sensitive_always: Some(sensitive), ..Changes::default() };
        let changed = data_types::update(&deps, &all, name, set).await.unwrap();
        assert_eq!(changed.definition.sensitive_always, sensitive);
    }
    let mut record = call(collection.id, "GET", URL, 5);
    record.response_payload = r#"{"iban":"GB82WEST12345698765432","mail":"jane@mail.org","password":"Winter-2031","vin":"1HGCM82633A004352"}"#.into();
    ingest(&deps, "p", &[record]).await;
    let id = EndpointId { collection_id: collection.id, url: URL.to_owned(), method: "GET".to_owned() };
    let found = parameters::list(&deps, &all, &id).await.unwrap();
    let found: Vec<_> = found
        .iter()
        .filter(|known| known.key.response_code == 200 && !known.key.is_header)
        .map(|known| (known.key.sub_type.name(), known.seen.sensitive))
        .collect();
    assert_eq!(found, [("IBAN EUROPE", true), ("EMAIL", false), ("PASSWORD", true), ("VIN", false)]);

    let (page, more) = data_types::list(&deps, &all, "", 3).await.unwrap();
    assert!(more && page.len() == 3 && page.iter().all(|known| known.built_in));
    let (rest, more) = data_types::list(&deps, &all, &page[2].name, 1_000).await.unwrap();
    assert!(!more && rest.len() > 80);
    let email = rest.iter().find(|known| known.name == "EMAIL").unwrap();
    assert!(!email.active && email.definition.sensitive_always);
}

/// A definition that cannot be used is refused with its member.
pub async fn definitions_are_checked(test: TestDb) {
    let deps = deps(&test).await;
    let mut many = one("EQUALS_TO", "x").unwrap().unwrap();
    many.predicates = vec![many.predicates[0].clone(); 21];
    for wanted in [
        Changes::default(),
        Changes { value_conditions: one("REGEX", "("), ..Changes::default() },
        Changes { value_conditions: one("REGEX", "(a{1000}){1000}"), ..Changes::default() },
        Changes { value_conditions: one("REGEX", "(?=a)b"), ..Changes::default() },
        Changes { value_conditions: one("SOUNDS_LIKE", "x"), ..Changes::default() },
        Changes { value_conditions: one("EQUALS_TO", ""), ..Changes::default() },
        Changes { value_conditions: one("BELONGS_TO", "x"), ..Changes::default() },
        Changes { value_conditions: Some(Some(many)), ..Changes::default() },
        Changes { operator: Some("XOR".into()), key_conditions: one("EQUALS_TO", "x"), ..Changes::default() },
        Changes { priority: Some("URGENT".into()), key_conditions: one("EQUALS_TO", "x"), ..Changes::default() },
        Changes {
            sensitive_positions: Some(vec!["COOKIE".into()]),
            key_conditions: one("EQUALS_TO", "x"),
            ..Changes::default()
        },
    ] {
        let refused = data_types::create(&deps, &admin(ACCOUNT), "KIND", wanted.clone()).await.unwrap_err();
        assert_eq!(refused.reason(), Some(Reason::DataTypeInvalid), "{wanted:?}");
    }
    assert!(data_types::create(&deps, &admin(ACCOUNT), "a/b", Changes::default()).await.is_err());
}

/// A change counts from the next record on, whoever made it: a program of before tells of all accounts together that
/// something has changed, and not of which.
pub async fn changes_of_kinds_are_seen(test: TestDb) {
    let deps = deps(&test).await;
    let kind = async |account_id: AccountId| {
        let detectors = data_types::detectors(&deps).await.unwrap();
        detectors.of(account_id).detect_text("a", "L-123456").sub_type.name()
    };
    assert_eq!(kind(ACCOUNT).await, "GENERIC");
    let wanted = |pattern| Changes { value_conditions: one("REGEX", pattern), ..Changes::default() };
    data_types::create(&deps, &admin(ACCOUNT), "LOYALTY", wanted("L-[0-9]{6}")).await.unwrap();
    assert_eq!((kind(ACCOUNT).await, kind(OTHER_ACCOUNT).await), ("LOYALTY", "GENERIC"));
    data_types::create(&deps, &admin(OTHER_ACCOUNT), "LETTER", wanted("L.*")).await.unwrap();
    assert_eq!((kind(ACCOUNT).await, kind(OTHER_ACCOUNT).await), ("LOYALTY", "LETTER"));
    let mut tx = deps.db.begin().await.unwrap();
    let switch = "UPDATE data_types SET active = $1 WHERE name = 'LOYALTY'";
    tx.execute(switch, portolan_store::args![false]).await.unwrap();
    let raise = "UPDATE inventory_sequences SET next_id = next_id + 1 WHERE name = 'data_types'";
    tx.execute(raise, portolan_store::args![]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((kind(ACCOUNT).await, kind(OTHER_ACCOUNT).await), ("GENERIC", "LETTER"));
    data_types::delete(&deps, &admin(OTHER_ACCOUNT), "LETTER").await.unwrap();
    assert_eq!(kind(OTHER_ACCOUNT).await, "GENERIC");
}

/// What the kinds of an account take of memory has an end, however few they are.
pub async fn data_types_take_bounded_memory(test: TestDb) {
    let deps = deps(&test).await;
    let (me, other) = (admin(ACCOUNT), admin(OTHER_ACCOUNT));
    // Each takes more than half a MiB when it is compiled.
    let pattern = || Changes { value_conditions: one("REGEX", r"(?:\w{1,5}-?){1,3}[a-z]"), ..Changes::default() };
    let mut kinds = 0;
    let refused = loop {
        match data_types::create(&deps, &me, &format!("P{kinds}"), pattern()).await {
            Ok(_) => kinds += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.reason(), Some(Reason::DataTypeInvalid));
    assert!((10..100).contains(&kinds), "{kinds}");
    data_types::create(&deps, &other, "P", pattern()).await.unwrap();
    // One that is switched off takes none, and is not switched on again in place of another.
    let active = |active| Changes { active: Some(active), ..Changes::default() };
    data_types::update(&deps, &me, "P0", active(false)).await.unwrap();
    data_types::create(&deps, &me, "NEXT", pattern()).await.unwrap();
    assert!(data_types::update(&deps, &me, "P0", active(true)).await.is_err());

    let set = |count: usize| {
        let values = (0..count).map(|n| format!("{n:0900}")).collect();
        let predicate = PredicateText { kind: "BELONGS_TO".to_owned(), value: String::new(), values };
        let list = ConditionList { operator: String::new(), predicates: vec![predicate] };
        Changes { value_conditions: Some(Some(list)), ..Changes::default() }
    };
    for name in ["SET1", "SET2"] {
        data_types::create(&deps, &me, name, set(1_000)).await.unwrap();
    }
    let refused = data_types::create(&deps, &me, "SET3", set(1_000)).await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::DataTypeInvalid));
    data_types::update(&deps, &me, "SET2", set(10)).await.unwrap();
    data_types::create(&deps, &me, "SET3", set(900)).await.unwrap();
}

/// Request parameters whose values are hardly seen twice are told from those that everybody sends.
pub async fn private_parameters_are_told_apart(test: TestDb) {
    let deps = deps(&test).await;
    let collection = create(&deps, ACCOUNT, "A").await;
    let records: Vec<_> = (0..20)
        .map(|n| {
            let mut record = call(collection.id, "POST", URL, 5 + n);
            record.request_payload = format!(r#"{{"account":"acc{n}","lang":"en","kind":"k{}"}}"#, n % 12).into();
            record
        })
        .collect();
    ingest(&deps, "p", &records).await;
    let found = parameters::list_private(&deps, &admin(ACCOUNT)).await.unwrap();
    let found: Vec<_> = found.iter().map(|(known, unique, again)| (known.key.name.as_str(), *unique, *again)).collect();
    assert_eq!(found, [("account", 20, 0)]);
    let restricted = caller(ACCOUNT, Role::Member, Some(vec![CollectionId(0)]), Scope::Api);
    assert!(parameters::list_private(&deps, &restricted).await.unwrap().is_empty());
}

/// A kind that is redacted leaves no value: none of new calls in any table, none of older calls in any answer.
pub async fn redacted_kinds_leave_no_value(test: TestDb) {
    let deps = deps(&test).await;
    let all = admin(ACCOUNT);
    let collection = create(&deps, ACCOUNT, "A").await;
    let record = |mail: &str, time: i64| {
        let mut record = call(collection.id, "GET", URL, time);
        record.response_payload = format!(r#"{{"mail":"{mail}","note":"plain"}}"#).into();
        record
    };
    append(&deps, "p", 0, &[record("before@corp.io", 5)]).await;
    ingest_all(&deps).await;
    let switch = Changes { redacted: Some(true), ..Changes::default() };
    let switched = data_types::update(&deps, &all, "EMAIL", switch).await.unwrap();
    assert!(switched.definition.redacted && switched.definition.sensitive_always && switched.active);
    let (listed, _) = data_types::list(&deps, &all, "EMAIK", 1).await.unwrap();
    assert!(listed[0].name == "EMAIL" && listed[0].definition.redacted);
    append(&deps, "p", 1, &[record("after@corp.io", 6)]).await;
    ingest_all(&deps).await;
    let tables = tables(&deps, ACCOUNT).await;
    let holds = |text: &str| tables.values().flatten().any(|row| row.contains(text));
    assert!(holds("before@corp.io") && !holds("after@corp.io") && holds("plain"));

    let id = EndpointId { collection_id: collection.id, url: URL.to_owned(), method: "GET".to_owned() };
    let records = samples::list(&deps, &all, &id).await.unwrap().remove(0).records;
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|text| !text.contains("corp.io") && text.contains("****") && text.contains("plain")));
    let found = samples::list_sensitive(&deps, &all, &id).await.unwrap();
    assert!(!found.is_empty() && found.keys().all(|text| !text.contains("corp.io")));
    let parameters = parameters::list(&deps, &all, &id).await.unwrap();
    let mail = parameters.iter().find(|known| known.key.name == "mail").unwrap();
    assert_eq!((mail.seen.count, mail.seen.values.list().count(), mail.seen.sensitive), (2, 0, true));
    let note = parameters.iter().find(|known| known.key.name == "note").unwrap();
    assert_eq!(note.seen.values.list().count(), 1);
}
