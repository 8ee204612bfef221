use std::collections::BTreeSet;

use portolan_log::{Error, PARTITIONS, partition_of};
use portolan_store::args;
use portolan_testkit::TestDb;

use crate::{message, open, read_all};

const DAY_S: i64 = 24 * 3_600;

fn ten(prefix: &str) -> Vec<portolan_log::Message> {
    (0..10).map(|index| message(&format!("key {index}"), format!("{prefix} {index}"))).collect()
}

/// A producer that did not hear the answer asks again and gets the same one.
pub async fn a_repeated_sequence_appends_nothing(test: TestDb) {
    let log = open(&test).await;
    let first = log.append("importer", 1, ten("first")).await.expect("append");
    assert_eq!(log.end_offsets().await.expect("ends").values().sum::<i64>(), 10);
    log.append("importer", 2, ten("second")).await.expect("append");
    let ends = log.end_offsets().await.expect("ends");
    assert_eq!(log.append("importer", 1, ten("first")).await.expect("repeat"), first);
    assert_eq!(log.end_offsets().await.expect("ends"), ends);
    log.append("another importer", 1, ten("third")).await.expect("append");
    assert_eq!(log.end_offsets().await.expect("ends").values().sum::<i64>(), 30);
    assert!(log.append("importer", 3, Vec::new()).await.expect("append nothing").is_empty());
}

/// Losing the answer to a commit, or the connection before it, appends exactly once.
pub async fn a_commit_of_unknown_outcome_is_resolved(test: TestDb) {
    let log = open(&test).await;
    for (sequence, point) in (0..).zip(["store.committed", "store.commit", "store.execute", "store.begin"]) {
        test.db.faults().at(point).lose_connection();
        log.append("importer", sequence, ten(point)).await.expect("append");
        assert_eq!(log.end_offsets().await.expect("ends").values().sum::<i64>(), 10 * (sequence + 1), "{point}");
    }
}

/// Two senders of the same call at the same time append once.
pub async fn concurrent_repetitions_append_once(test: TestDb) {
    let log = open(&test).await;
    for sequence in 0..10 {
        let both = [log.clone(), log.clone()]
            .map(|log| tokio::spawn(async move { log.append("importer", sequence, ten("same")).await }));
        let [one, two] = both;
        let one = one.await.expect("ends").expect("append");
        assert_eq!(one, two.await.expect("ends").expect("append"));
    }
    assert_eq!(log.end_offsets().await.expect("ends").values().sum::<i64>(), 100);
}

/// Offsets count up by one in every partition, and each record is there once.
pub async fn concurrent_appends_leave_no_gap(test: TestDb) {
    let log = open(&test).await;
    let producers: Vec<_> = (0..4)
        .map(|producer| {
            let log = log.clone();
            tokio::spawn(async move {
                for sequence in 0..10 {
                    let prefix = format!("{producer} {sequence}");
                    log.append(&format!("producer {producer}"), sequence, ten(&prefix)).await.expect("append");
                }
            })
        })
        .collect();
    for producer in producers {
        producer.await.expect("the producer ends");
    }
    let mut values = BTreeSet::new();
    for partition in 0..PARTITIONS {
        for (expected, record) in (0..).zip(read_all(&log, partition, 500).await) {
            assert_eq!(record.offset, expected);
            assert_eq!(partition_of(&record.key), partition);
            assert!(values.insert(record.value), "a record appears twice");
        }
    }
    assert_eq!(values.len(), 400);
}

/// A refused call leaves nothing, and its sequence is still free.
pub async fn limits_are_refused_before_anything_is_written(test: TestDb) {
    let log = open(&test).await;
    let large = vec![message("a", "small"), message("b", vec![0; 16 << 20])];
    let refused = log.append("importer", 1, large).await;
    assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
    let many = (0..6).map(|_| message("a", vec![0; 12 << 20])).collect();
    assert!(matches!(log.append("importer", 1, many).await, Err(Error::TooLarge { .. })));
    for producer_id in ["", "a\0b", &"x".repeat(201)] {
        assert!(matches!(log.append(producer_id, 1, ten("x")).await, Err(Error::ProducerId)));
    }
    assert_eq!(log.end_offsets().await.expect("ends").values().sum::<i64>(), 0);
    log.append("importer", 1, ten("x")).await.expect("append");
}

/// What repeats after a week counts as new; until then it does not.
pub async fn producers_are_forgotten_after_a_week(test: TestDb) {
    let log = open(&test).await;
    log.append("importer", 1, ten("x")).await.expect("append");
    let db = test.store.service("log").await.expect("open");
    let row = db.fetch_one("SELECT created_at FROM log_producers", args![]).await.expect("select");
    let appended_at: i64 = row.get(0).expect("time");
    assert_eq!(log.trim_producers(appended_at + 7 * DAY_S).await.expect("trim"), 0);
    assert_eq!(log.trim_producers(appended_at + 7 * DAY_S + 1).await.expect("trim"), 1);
    log.append("importer", 1, ten("x")).await.expect("append");
    assert_eq!(log.end_offsets().await.expect("ends").values().sum::<i64>(), 20);
}
