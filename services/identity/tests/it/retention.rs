use std::path::{Path, PathBuf};

use portolan_authz::Cache;
use portolan_identity::{
    Deps,
    audit::{self, Fault, SignedHead, Verdict, WholeFile},
    model::audit::Event,
};
use portolan_store::args;
use portolan_testkit::TestDb;

use crate::world::{ACCOUNT, identity};

async fn append(deps: &Deps, n: i64, day: &str) {
    let time_ms = audit::month_start_ms(&day[..7]).unwrap() + (day[8..].parse::<i64>().unwrap() - 1) * 86_400_000;
    let event = Event { event_id: n.to_string(), account_id: ACCOUNT, user_id: n.into(), time_ms, ..Event::default() };
    audit::record(&deps.db, &deps.audit, vec![event]).await.unwrap();
}

async fn verdict(deps: &Deps, expected: &[SignedHead]) -> Verdict {
    audit::verify(&deps.db, &deps.audit, ACCOUNT, expected).await.unwrap()
}

async fn export(deps: &Deps, directory: &Path, before: &str) -> Vec<(String, i64, PathBuf)> {
    let before_ms = audit::month_start_ms(before).unwrap();
    let exported = audit::export(&deps.db, &deps.audit, directory, before_ms).await.unwrap();
    exported.into_iter().map(|one| (one.month, one.events, one.path)).collect()
}

/// Months leave as files; what stays holds from its anchor on, what left holds by itself, and every change of a file is
/// found.
pub async fn months_leave_as_files_that_hold(test: TestDb) {
    let deps = identity(&test, Cache::memory()).await;
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("audit");
    // One of January comes late, among those of February.
    let days = ["2001-01-05", "2001-01-20", "2001-02-01", "2001-01-31", "2001-02-20", "2001-03-10"];
    for (n, day) in (1..).zip(days) {
        append(&deps, n, day).await;
    }
    let (kept, _) = audit::signed(&deps.db, &deps.audit).await.unwrap();
    assert_eq!(export(&deps, &directory, "2001-01").await, [], "January has not ended before it began");
    let left = export(&deps, &directory, "2001-03").await;
    let months: Vec<_> = left.iter().map(|(month, events, _)| (month.as_str(), *events)).collect();
    assert_eq!(months, [("2001-01", 2), ("2001-02", 3)]);
    assert_eq!(export(&deps, &directory, "2001-03").await, []);
    // March, and an event for each month that left.
    assert_eq!(verdict(&deps, &kept).await, Verdict::Whole { events: 3 });
    append(&deps, 7, "2001-03-11").await;
    assert_eq!(verdict(&deps, &kept).await, Verdict::Whole { events: 4 });
    let rows = "SELECT min(seq) AS first FROM audit_events WHERE account_id = $1";
    assert_eq!(deps.db.fetch_one(rows, args![ACCOUNT]).await.unwrap().get::<i64>("first").unwrap(), 6);

    let check = |path: &Path| audit::verify_file(&deps.audit, path, &kept).unwrap();
    let (january, february) = (check(&left[0].2).unwrap(), check(&left[1].2).unwrap());
    let WholeFile { anchor_seq, end_seq, .. } = &february;
    assert_eq!((january.anchor_seq, january.end_seq, *anchor_seq, *end_seq), (0, 2, 2, 5));
    assert_eq!(january.end_hash, february.anchor_hash);

    let files = async |paths: &[&PathBuf]| {
        let paths: Vec<_> = paths.iter().map(|path| (*path).clone()).collect();
        let found = audit::verify_files(&deps.db, &deps.audit, &paths, &kept).await.unwrap();
        found.into_iter().filter_map(|(_, verdict)| verdict.err()).collect::<Vec<_>>()
    };
    assert_eq!(files(&[&left[1].2, &left[0].2]).await, []);
    assert_eq!(files(&[&left[1].2]).await, []);

    // Every line removed, repeated, in the place of its neighbor, and every letter or digit of it another one.
    let text = std::fs::read_to_string(&left[1].2).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let changed = directory.join("changed");
    let expect_found = |lines: &[&str], what: &str| {
        std::fs::write(&changed, lines.join("\n") + "\n").unwrap();
        assert!(check(&changed).is_err(), "{what}");
    };
    for at in 0..lines.len() {
        expect_found(&[&lines[..at], &lines[at + 1..]].concat(), &format!("line {at} removed"));
        expect_found(&[&lines[..=at], &lines[at..]].concat(), &format!("line {at} repeated"));
        if at > 0 {
            let mut swapped = lines.clone();
            swapped.swap(at - 1, at);
            expect_found(&swapped, &format!("line {at} moved"));
        }
        for (place, _) in lines[at].char_indices().filter(|(_, c)| c.is_ascii_alphanumeric()) {
            let other = if lines[at].as_bytes()[place] == b'1' { "2" } else { "1" };
            let line = format!("{}{other}{}", &lines[at][..place], &lines[at][place + 1..]);
            let mut edited = lines.clone();
            edited[at] = &line;
            expect_found(&edited, &format!("character {place} of line {at}: {line}"));
        }
    }
    for cut in [0, 1, 2] {
        expect_found(&lines[..cut], &format!("{cut} lines"));
    }
    // The end of one file behind the events of another.
    let first = std::fs::read_to_string(&left[0].2).unwrap();
    let other_end = first.lines().last().unwrap();
    expect_found(&[&lines[..lines.len() - 1], &[other_end]].concat(), "another end");

    // A file that was written before its events were removed is written again.
    let again = export(&deps, &directory, "2001-04").await;
    assert_eq!(again.iter().map(|(month, events, _)| (month.as_str(), *events)).collect::<Vec<_>>(), [("2001-03", 1)]);
    assert_eq!(files(&[&left[0].2, &left[1].2, &again[0].2]).await, []);
    assert_eq!(files(&[&left[0].2, &again[0].2]).await, [(5, Fault::NoFileBefore)]);
    // Of a chain that does not hold nothing leaves.
    let change = "UPDATE audit_events SET user_id = user_id + 1 WHERE account_id = $1";
    deps.db.execute(change, args![ACCOUNT]).await.unwrap();
    let count = || std::fs::read_dir(&directory).unwrap().count();
    let before = count();
    assert_eq!(export(&deps, &directory, "2100-01").await, []);
    assert_eq!(count(), before, "nothing is left of what was begun");
    assert!(matches!(verdict(&deps, &[]).await, Verdict::Broken { .. }));
}
