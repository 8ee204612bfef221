use std::collections::BTreeMap;

use portolan_authz::Cache;
use portolan_identity::{
    Deps,
    audit::{self, Fault, REGISTRY, SignedHead, Verdict},
    model::{
        audit::{Entry, Event, Head},
        audit_key::Key,
        sealed::AUDIT_KEY,
    },
};
use portolan_ids::{AccountId, UserId};
use portolan_runtime::{Keys, Secrets};
use portolan_store::{Db, Dialect, Value, args};
use portolan_testkit::TestDb;

use crate::world::{ACCOUNT, identity};

const OTHER: AccountId = AccountId(1_000_007);
const EVENTS: i64 = 4;
const TABLES: [&str; 2] = ["audit_events", "audit_heads"];

/// Texts are constants of a program; those of a test live as long as the test.
fn sql(text: String) -> &'static str {
    text.leak()
}

fn event(account_id: AccountId, n: i64) -> Event {
    let (id, time_ms) = (format!("event-{n}"), 1_700_000_000_000 + n);
    let (user_id, action) = (7, "role.create".to_owned());
    Event {
        event_id: id,
        account_id,
        user_id: user_id.into(),
        action,
        after: format!("{{\"n\":{n}}}"),
        time_ms,
        ..Event::default()
    }
}

async fn append(deps: &Deps, account_id: AccountId, n: i64) {
    let mut tx = deps.db.begin().await.unwrap();
    assert_eq!(audit::append(&deps.audit, &mut tx, [event(account_id, n)]).await.unwrap(), 1);
    tx.commit().await.unwrap();
}

/// Identity with events in two chains.
async fn audited(test: &TestDb) -> Deps {
    let deps = identity(test, Cache::memory()).await;
    for account_id in [OTHER, ACCOUNT] {
        for n in 1..=EVENTS {
            append(&deps, account_id, n).await;
        }
    }
    deps
}

async fn verdicts(deps: &Deps, expected: &[SignedHead]) -> BTreeMap<AccountId, Verdict> {
    audit::verify_all(&deps.db, &deps.audit, expected).await.unwrap()
}

/// The accounts whose chain does not hold, and where.
async fn broken(deps: &Deps, expected: &[SignedHead]) -> BTreeMap<AccountId, i64> {
    let all = verdicts(deps, expected).await.into_iter();
    all.filter_map(|(account_id, verdict)| match verdict {
        Verdict::Broken { seq, .. } => Some((account_id, seq)),
        Verdict::Whole { .. } => None,
    })
    .collect()
}

async fn heads(deps: &Deps) -> Vec<SignedHead> {
    let (signed, changed) = audit::signed(&deps.db, &deps.audit).await.unwrap();
    assert_eq!(changed, Vec::<AccountId>::new());
    signed
}

/// The columns of a table, each with whether it holds numbers.
async fn columns(db: &Db, table: &str) -> Vec<(String, bool)> {
    let query = match db.dialect() {
        Dialect::Sqlite => format!("SELECT name, type AS kind FROM pragma_table_info('{table}')"),
        Dialect::Postgres => format!(
            "SELECT column_name::text AS name, data_type::text AS kind FROM information_schema.columns
             WHERE table_schema = current_schema() AND table_name = '{table}'"
        ),
    };
    let rows = db.fetch_all(sql(query), args![]).await.unwrap();
    let kind = |text: String| text.eq_ignore_ascii_case("bigint");
    let found: Vec<_> = rows.iter().map(|row| (row.get("name").unwrap(), kind(row.get("kind").unwrap()))).collect();
    assert!(found.len() >= 9, "{table}: {found:?}");
    found
}

/// Every row of the audit, to be put back after what was done to it.
struct Copy(Vec<(&'static str, Vec<Value>)>);

impl Copy {
    async fn take(db: &Db) -> Self {
        let mut rows = Vec::new();
        for table in TABLES {
            let columns = columns(db, table).await;
            let names = columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
            let places = (1..=columns.len()).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
            let insert = sql(format!("INSERT INTO {table} ({names}) VALUES ({places})"));
            for row in db.fetch_all(sql(format!("SELECT {names} FROM {table}")), args![]).await.unwrap() {
                let value = |(name, is_number): &(String, bool)| match is_number {
                    true => Value::from(row.get::<i64>(name.as_str()).unwrap()),
                    false => Value::from(row.get::<String>(name.as_str()).unwrap()),
                };
                rows.push((insert, columns.iter().map(value).collect()));
            }
        }
        Self(rows)
    }

    async fn put_back(&self, db: &Db) {
        let mut tx = db.begin().await.unwrap();
        for table in TABLES {
            tx.execute(sql(format!("DELETE FROM {table}")), args![]).await.unwrap();
        }
        for (insert, values) in &self.0 {
            tx.execute(*insert, values.clone()).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
}

async fn run(db: &Db, statement: impl Into<String>) {
    assert!(db.execute(sql(statement.into()), args![]).await.unwrap() > 0, "nothing was changed");
}

/// Every column of every row changed, and every row removed: each is found without any head that was kept, by the account
/// and the place.
pub async fn every_change_of_a_row_is_found(test: TestDb) {
    let deps = audited(&test).await;
    let copy = Copy::take(&deps.db).await;
    let whole = |events| Verdict::Whole { events };
    let expected = [(REGISTRY, whole(2)), (ACCOUNT, whole(EVENTS)), (OTHER, whole(EVENTS))];
    assert_eq!(verdicts(&deps, &[]).await, BTreeMap::from(expected));
    let mut places = Vec::new();
    for (account_id, events) in [(REGISTRY, 2), (ACCOUNT, EVENTS)] {
        places.extend(
            (1..=events)
                .map(|seq| ("audit_events", account_id, seq, format!("account_id = {account_id} AND seq = {seq}"))),
        );
        places.push(("audit_heads", account_id, 0, format!("account_id = {account_id}")));
    }
    let mut tried = 0;
    for (table, account_id, seq, place) in places {
        let mut edits = vec![format!("DELETE FROM {table} WHERE {place}")];
        for (name, is_number) in columns(&deps.db, table).await {
            let values: &[&str] = match is_number {
                true => &["+ 1000", "- 1000"],
                false => &["|| ' '", "|| 'x'"],
            };
            edits
                .extend(values.iter().map(|value| format!("UPDATE {table} SET {name} = {name} {value} WHERE {place}")));
            if !is_number {
                edits.push(format!("UPDATE {table} SET {name} = '' WHERE {place}"));
                edits.push(format!(
                    "UPDATE {table} SET {name} = upper({name}) WHERE {place} AND upper({name}) <> {name}"
                ));
            }
        }
        for edit in edits {
            if deps.db.execute(sql(edit.clone()), args![]).await.unwrap() == 0 {
                continue;
            }
            let found = broken(&deps, &[]).await;
            let at = found.get(&account_id);
            assert!(at.is_some(), "not found: {edit}");
            assert!(table == "audit_heads" || at == Some(&seq) || edit.contains("SET seq"), "{edit}: {found:?}");
            assert!(!found.contains_key(&OTHER) || account_id == REGISTRY, "{edit}: {found:?}");
            copy.put_back(&deps.db).await;
            tried += 1;
        }
    }
    assert!(tried > 150, "{tried}");
    assert_eq!(broken(&deps, &[]).await, BTreeMap::new());
}

/// What somebody can do who writes every row and knows how chains are made, but not the key.
pub async fn a_chain_cannot_be_made_anew(test: TestDb) {
    let deps = audited(&test).await;
    let copy = Copy::take(&deps.db).await;
    let own = deps.audit.current();
    let events = format!("FROM audit_events WHERE account_id = {ACCOUNT}");

    // Cut tails, with the head moved to the event that is the last then, for every length.
    for last in 0..EVENTS {
        run(&deps.db, format!("DELETE {events} AND seq > {last}")).await;
        let hash = format!("(SELECT max(hash) {events} AND seq = {last})");
        let hash = if last == 0 { format!("'{}'", Head::new(AccountId(0)).hash) } else { hash };
        run(&deps.db, format!("UPDATE audit_heads SET seq = {last}, hash = {hash} WHERE account_id = {ACCOUNT}")).await;
        assert!(broken(&deps, &[]).await.contains_key(&ACCOUNT), "cut after {last}");
        // The next event does not cover up for it, and nothing of it is signed.
        append(&deps, ACCOUNT, 99).await;
        assert!(broken(&deps, &[]).await.contains_key(&ACCOUNT), "cut after {last} and appended to");
        let (signed, changed) = audit::signed(&deps.db, &deps.audit).await.unwrap();
        assert!(changed == [ACCOUNT] && signed.iter().all(|head| head.account_id != ACCOUNT));
        copy.put_back(&deps.db).await;
    }

    // The whole chain once more with another author: under no key, under another key, under the name of the right one.
    let foreign = Key::new([9; 32]);
    for (named, unkeyed_seq) in [("", EVENTS), ("", 0), (foreign.id.as_str(), 0), (own.id.as_str(), 0)] {
        let mut head = Head::new(ACCOUNT);
        for n in 1..=EVENTS {
            let before = head.hash.clone();
            let mut entry = head.link(&foreign, &Event { user_id: UserId(8), ..event(ACCOUNT, n) }).unwrap();
            if named.is_empty() {
                entry.hash = entry.plain_hash(&before).unwrap();
                head.hash.clone_from(&entry.hash);
            }
            rewrite(&deps.db, &Entry { key_id: named.to_owned(), ..entry }).await;
        }
        let sealed = Head { unkeyed_seq, ..head }.sealed(&foreign);
        let (seq, hash, seal) = (sealed.head.seq, sealed.head.hash, sealed.seal);
        let seal = if named.is_empty() { "" } else { &seal };
        run(
            &deps.db,
            format!(
                "UPDATE audit_heads SET seq = {seq}, hash = '{hash}', unkeyed_seq = {unkeyed_seq}, key_id = '{named}', \
                 seal = '{seal}' WHERE account_id = {ACCOUNT}"
            ),
        )
        .await;
        assert!(broken(&deps, &[]).await.contains_key(&ACCOUNT), "made anew under {named:?}, {unkeyed_seq}");
        copy.put_back(&deps.db).await;
    }

    // One more event between two others, at every place.
    for at in 1..=EVENTS + 1 {
        run(&deps.db, format!("UPDATE audit_heads SET seq = seq + 1 WHERE account_id = {ACCOUNT}")).await;
        for seq in (at..=EVENTS).rev() {
            run(
                &deps.db,
                format!("UPDATE audit_events SET seq = seq + 1 WHERE account_id = {ACCOUNT} AND seq = {seq}"),
            )
            .await;
        }
        let entry = Head { seq: at - 1, ..Head::new(ACCOUNT) }.link(&foreign, &event(ACCOUNT, 99)).unwrap();
        let Entry { event_id, event, hash, key_id, .. } = Entry { key_id: own.id.clone(), ..entry };
        run(
            &deps.db,
            format!(
                "INSERT INTO audit_events (account_id, seq, event_id, user_id, action, time_ms, event, key_id, hash) \
                 VALUES ({ACCOUNT}, {at}, '{event_id}', 7, 'role.create', 1, '{event}', '{key_id}', '{hash}')"
            ),
        )
        .await;
        assert_eq!(broken(&deps, &[]).await.get(&ACCOUNT), Some(&at), "one more at {at}");
        copy.put_back(&deps.db).await;
    }

    // Two events in each other's place.
    for (a, b) in [(1, 2), (2, 3), (1, 4)] {
        for (from, to) in [(a, 99), (b, a), (99, b)] {
            run(&deps.db, format!("UPDATE audit_events SET seq = {to} WHERE account_id = {ACCOUNT} AND seq = {from}"))
                .await;
        }
        assert_eq!(broken(&deps, &[]).await.get(&ACCOUNT), Some(&a), "{a} and {b}");
        copy.put_back(&deps.db).await;
    }

    // A chain that is gone with its head; one that nobody began; the registry.
    for table in TABLES {
        run(&deps.db, format!("DELETE FROM {table} WHERE account_id = {ACCOUNT}")).await;
    }
    assert_eq!(verdicts(&deps, &[]).await[&ACCOUNT], Verdict::Broken { seq: 1, fault: Fault::Removed });
    copy.put_back(&deps.db).await;
    for table in TABLES {
        run(&deps.db, format!("DELETE FROM {table} WHERE account_id = {REGISTRY}")).await;
    }
    let found = verdicts(&deps, &[]).await;
    assert_eq!(found[&REGISTRY], Verdict::Broken { seq: 1, fault: Fault::NoRegistry });
    assert_eq!(found[&ACCOUNT], Verdict::Broken { seq: 1, fault: Fault::NotBegun });
    // The next start makes no other one in its place.
    audit::open(&deps.db, &deps.secrets).await.unwrap();
    assert_eq!(verdicts(&deps, &[]).await, found);
    for table in TABLES {
        run(&deps.db, format!("DELETE FROM {table}")).await;
    }
    assert_eq!(broken(&deps, &[]).await, BTreeMap::from([(REGISTRY, 1)]), "everything is gone");
    copy.put_back(&deps.db).await;
    assert_eq!(broken(&deps, &[]).await, BTreeMap::new());
}

async fn rewrite(db: &Db, entry: &Entry) {
    let Entry { account_id, seq, event_id, user_id, action, time_ms, event, key_id, hash } = entry;
    run(
        db,
        format!(
            "UPDATE audit_events SET event_id = '{event_id}', user_id = {user_id}, action = '{action}', time_ms = {time_ms}, \
             event = '{event}', key_id = '{key_id}', hash = '{hash}' WHERE account_id = {account_id} AND seq = {seq}"
        ),
    )
    .await;
}

/// Everything set back to what it was before holds in itself; the heads that were kept elsewhere show it.
pub async fn a_head_that_was_kept_shows_what_was_set_back(test: TestDb) {
    let deps = audited(&test).await;
    let (copy, early) = (Copy::take(&deps.db).await, heads(&deps).await);
    append(&deps, ACCOUNT, 50).await;
    let late = heads(&deps).await;
    assert_eq!(broken(&deps, &early).await, BTreeMap::new());
    assert_eq!(broken(&deps, &late).await, BTreeMap::new());

    copy.put_back(&deps.db).await;
    assert_eq!(broken(&deps, &early).await, BTreeMap::new());
    let cut = Verdict::Broken { seq: EVENTS + 1, fault: Fault::Cut };
    assert_eq!(verdicts(&deps, &late).await[&ACCOUNT], cut);
    // Other events in the place of those: whoever had the key for a while.
    append(&deps, ACCOUNT, 51).await;
    let anew = Verdict::Broken { seq: EVENTS + 1, fault: Fault::Rebuilt };
    assert_eq!(verdicts(&deps, &late).await[&ACCOUNT], anew);
    assert_eq!(broken(&deps, &early).await, BTreeMap::new());

    // A database from before the chain was begun, and an empty one.
    for table in TABLES {
        run(&deps.db, format!("DELETE FROM {table}")).await;
    }
    audit::open(&deps.db, &deps.secrets).await.unwrap();
    assert_eq!(broken(&deps, &[]).await, BTreeMap::new(), "as after a first start");
    let found = broken(&deps, &late).await;
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), [REGISTRY, ACCOUNT, OTHER]);

    // A head of another installation, and one whose number was changed.
    copy.put_back(&deps.db).await;
    let mut forged = early.iter().find(|head| head.account_id == ACCOUNT).unwrap().clone();
    forged.time_ms += 1;
    let fault = Verdict::Broken { seq: EVENTS, fault: Fault::Forged };
    assert_eq!(verdicts(&deps, &[forged]).await[&ACCOUNT], fault);
}

/// A chain that is older than keys goes on under the key, and what is in it already stays as it was.
pub async fn a_chain_that_is_older_than_keys_goes_on(test: TestDb) {
    let deps = audited(&test).await;
    // As the version before wrote it.
    let mut before = Head::new(AccountId(0)).hash;
    for seq in 1..=EVENTS {
        let mut entry =
            Head { seq: seq - 1, ..Head::new(ACCOUNT) }.link(&deps.audit.current(), &event(ACCOUNT, seq)).unwrap();
        entry.key_id.clear();
        entry.hash = entry.plain_hash(&before).unwrap();
        before.clone_from(&entry.hash);
        rewrite(&deps.db, &entry).await;
    }
    for table in TABLES {
        run(&deps.db, format!("DELETE FROM {table} WHERE account_id <> {ACCOUNT}")).await;
    }
    let head = format!(
        "UPDATE audit_heads SET hash = '{before}', unkeyed_seq = 0, anchor_hash = '', signed_seq = 0, key_id = '', \
         seal = '' WHERE account_id = {ACCOUNT}"
    );
    run(&deps.db, head).await;
    assert!(broken(&deps, &[]).await.contains_key(&ACCOUNT), "nothing says yet that it is older");
    audit::open(&deps.db, &deps.secrets).await.unwrap();
    append(&deps, ACCOUNT, 60).await;
    let whole = |events| Verdict::Whole { events };
    assert_eq!(verdicts(&deps, &[]).await, BTreeMap::from([(REGISTRY, whole(1)), (ACCOUNT, whole(EVENTS + 1))]));
    let copy = Copy::take(&deps.db).await;
    for (name, is_number) in columns(&deps.db, "audit_events").await {
        let value = if is_number { "+ 1000" } else { "|| ' '" };
        run(
            &deps.db,
            format!("UPDATE audit_events SET {name} = {name} {value} WHERE account_id = {ACCOUNT} AND seq = 2"),
        )
        .await;
        assert_eq!(broken(&deps, &[]).await.get(&ACCOUNT), Some(&2), "{name}");
        copy.put_back(&deps.db).await;
    }
}

/// After the secret key has changed, what the former key chained is verified still, and the chain goes on under the other.
pub async fn a_chain_goes_on_under_another_key(test: TestDb) {
    let deps = audited(&test).await;
    let file = tempfile::tempdir().unwrap();
    let other = Secrets::of(&Keys::load_or_create(&file.path().join("key")).unwrap(), "identity").unwrap();
    let former = deps.audit.current();
    // As a rotation does: what is sealed is sealed under the new secret key.
    let sealed = other.seal(&AUDIT_KEY.row(&former.id), former.bytes());
    let reseal = "UPDATE audit_keys SET sealed = $2 WHERE key_id = $1";
    deps.db.execute(reseal, args![&former.id, sealed]).await.unwrap();
    let kept = heads(&deps).await;
    let mut rotated = deps.clone();
    rotated.audit = audit::open(&deps.db, &other).await.unwrap();
    append(&rotated, ACCOUNT, 70).await;
    assert_eq!(broken(&rotated, &kept).await, BTreeMap::new());
    let keys = "SELECT DISTINCT key_id FROM audit_events WHERE account_id = $1";
    assert_eq!(deps.db.fetch_all(keys, args![ACCOUNT]).await.unwrap().len(), 2);
    // A process that was not told yet appends nothing, and spoils nothing.
    let mut tx = deps.db.begin().await.unwrap();
    let refused = audit::append(&deps.audit, &mut tx, [event(ACCOUNT, 71)]).await.unwrap_err();
    tx.rollback().await.unwrap();
    assert!(refused.cause().contains(&rotated.audit.current().id), "{refused}");
    assert_eq!(broken(&rotated, &kept).await, BTreeMap::new());
    // Without the former key its events cannot be verified, which is said.
    deps.db.execute("DELETE FROM audit_keys WHERE key_id = $1", args![&former.id]).await.unwrap();
    let mut without = deps.clone();
    without.audit = audit::open(&deps.db, &other).await.unwrap();
    let unknown = Verdict::Broken { seq: 1, fault: Fault::UnknownKey(former.id) };
    assert_eq!(verdicts(&without, &[]).await[&ACCOUNT], unknown);
}
