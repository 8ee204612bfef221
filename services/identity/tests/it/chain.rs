use portolan_authz::Cache;
use portolan_identity::{
    audit::{self, Verdict},
    roles::{self, RoleInput},
};
use portolan_store::args;
use portolan_testkit::TestDb;

use crate::world::{ACCOUNT, admin, identity, with_role};

/// Whatever is written over an event, or over the head, the check names the first place that does not hold.
pub async fn every_edit_of_an_event_is_found(test: TestDb) {
    let deps = identity(&test, Cache::memory()).await;
    let caller = admin(with_role(&deps, "root@example.org", "ADMIN").await, "");
    for n in 0..4 {
        let input = RoleInput { name: format!("role-{n}"), base_role: "GUEST".into(), ..RoleInput::default() };
        roles::create(&deps, &caller, input).await.unwrap();
    }
    let verdict = async || audit::verify(&deps.db, ACCOUNT).await.unwrap();
    assert_eq!(verdict().await, Verdict::Whole { events: 4 });
    let changed = |seq| Verdict::Broken { seq, reason: "an event was changed" };
    let head = |seq| Verdict::Broken { seq, reason: "the chain does not end at its head" };
    for (edit, undo, expected) in [
        (
            "UPDATE audit_events SET event = replace(event, 'role-1', 'role-9') WHERE account_id = $1 AND seq = 2",
            "UPDATE audit_events SET event = replace(event, 'role-9', 'role-1') WHERE account_id = $1 AND seq = 2",
            changed(2),
        ),
        (
            "UPDATE audit_events SET event = replace(event, 'DONE', 'REFUSED') WHERE account_id = $1 AND seq = 1",
            "UPDATE audit_events SET event = replace(event, 'REFUSED', 'DONE') WHERE account_id = $1 AND seq = 1",
            changed(1),
        ),
        (
            "UPDATE audit_events SET hash = replace(hash, substr(hash, 1, 1), 'x') WHERE account_id = $1 AND seq = 3",
            "",
            changed(3),
        ),
        ("UPDATE audit_heads SET hash = 'ff' WHERE account_id = $1", "", head(4)),
    ] {
        let saved_event = "SELECT hash FROM audit_events WHERE account_id = $1 AND seq = 3";
        let saved_head = "SELECT hash FROM audit_heads WHERE account_id = $1";
        let text = async |sql: &'static str| {
            deps.db.fetch_one(sql, args![ACCOUNT]).await.unwrap().get::<String>("hash").unwrap()
        };
        let (event, end) = (text(saved_event).await, text(saved_head).await);
        assert_eq!(deps.db.execute(edit, args![ACCOUNT]).await.unwrap(), 1);
        assert_eq!(verdict().await, expected, "{edit}");
        if undo.is_empty() {
            let event_back = "UPDATE audit_events SET hash = $2 WHERE account_id = $1 AND seq = 3";
            let head_back = "UPDATE audit_heads SET hash = $2 WHERE account_id = $1";
            deps.db.execute(event_back, args![ACCOUNT, event]).await.unwrap();
            deps.db.execute(head_back, args![ACCOUNT, end]).await.unwrap();
        } else {
            deps.db.execute(undo, args![ACCOUNT]).await.unwrap();
        }
        assert_eq!(verdict().await, Verdict::Whole { events: 4 }, "{undo}");
    }
    // The columns that the list filters by count as much as the text.
    for (change, back) in [
        (
            "UPDATE audit_events SET user_id = user_id + 1 WHERE account_id = $1 AND seq = 2",
            "UPDATE audit_events SET user_id = user_id - 1 WHERE account_id = $1 AND seq = 2",
        ),
        (
            "UPDATE audit_events SET action = 'x' || action WHERE account_id = $1 AND seq = 2",
            "UPDATE audit_events SET action = substr(action, 2) WHERE account_id = $1 AND seq = 2",
        ),
        (
            "UPDATE audit_events SET time_ms = time_ms + 1 WHERE account_id = $1 AND seq = 2",
            "UPDATE audit_events SET time_ms = time_ms - 1 WHERE account_id = $1 AND seq = 2",
        ),
        (
            "UPDATE audit_events SET event_id = 'x' || event_id WHERE account_id = $1 AND seq = 2",
            "UPDATE audit_events SET event_id = substr(event_id, 2) WHERE account_id = $1 AND seq = 2",
        ),
    ] {
        deps.db.execute(change, args![ACCOUNT]).await.unwrap();
        assert_eq!(verdict().await, changed(2), "{change}");
        deps.db.execute(back, args![ACCOUNT]).await.unwrap();
        assert_eq!(verdict().await, Verdict::Whole { events: 4 }, "{back}");
    }
    // A head that was moved back, and one that was removed, with which the chain would go unlooked at.
    for edit in [
        "UPDATE audit_heads SET seq = 3 WHERE account_id = $1",
        "UPDATE audit_heads SET seq = 0 WHERE account_id = $1",
        "DELETE FROM audit_heads WHERE account_id = $1",
    ] {
        deps.db.execute(edit, args![ACCOUNT]).await.unwrap();
        assert!(matches!(verdict().await, Verdict::Broken { .. }), "{edit}");
        assert_eq!(audit::accounts(&deps.db).await.unwrap(), [ACCOUNT], "{edit}");
    }
    // Two events that change places, each with its own hash.
    for (from, to) in [(2, 99), (3, 2), (99, 3)] {
        let swap = "UPDATE audit_events SET seq = $3 WHERE account_id = $1 AND seq = $2";
        deps.db.execute(swap, args![ACCOUNT, from, to]).await.unwrap();
    }
    assert_eq!(verdict().await, changed(2));
}
