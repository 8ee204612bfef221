use std::time::{Duration, Instant};

use portolan_ids::AccountId;
use portolan_log::{Accounts, CHANNEL, Error, Log, PARTITIONS, Rejected, partition_of};
use portolan_store::{Store, args};
use portolan_testkit::TestDb;

use crate::{TOPIC, message, open, read_all, rejected};

const ALL: usize = usize::MAX;

/// Records of one key come back in the order of their appends.
pub async fn keys_keep_their_order(test: TestDb) {
    let log = open(&test).await;
    for sequence in 0..20_i64 {
        let messages = ["a", "b", "c", "d", "e"].map(|key| message(key, sequence.to_string())).into();
        log.append("importer", sequence, messages).await.expect("append");
    }
    for key in ["a", "b", "c", "d", "e"] {
        let records = read_all(&log, partition_of(key.as_bytes()), ALL).await;
        let of_key = records.iter().filter(|record| record.key == key.as_bytes());
        let values: Vec<String> = of_key.map(|record| String::from_utf8_lossy(&record.value).into_owned()).collect();
        assert_eq!(values, (0..20).map(|sequence| sequence.to_string()).collect::<Vec<_>>());
    }
}

/// A position inside a batch, at the end, beyond it, and out of range.
pub async fn reading_begins_anywhere(test: TestDb) {
    let log = open(&test).await;
    let partition = partition_of(b"key");
    for sequence in 0..3 {
        let messages = (0..5).map(|index| message("key", format!("{sequence}{index}"))).collect();
        log.append("importer", sequence, messages).await.expect("append");
    }
    for from_offset in -1..=16_i64 {
        let records = log.fetch(partition, from_offset, ALL).await.expect("fetch");
        let offsets: Vec<i64> = records.iter().map(|record| record.offset).collect();
        assert_eq!(offsets, (from_offset.max(0)..15).collect::<Vec<_>>());
        if let Some(first) = records.first() {
            assert_eq!(first.value, format!("{}{}", first.offset / 5, first.offset % 5));
        }
    }
    assert_eq!(log.fetch(partition, 7, 0).await.expect("fetch").len(), 3, "the rest of one batch");
    for none in [-1, PARTITIONS, i64::MAX] {
        assert!(matches!(log.fetch(none, 0, ALL).await, Err(Error::Partition(_))));
    }
}

/// Messages of 5 MiB pass whole, and a fetch stays near its limit.
pub async fn large_messages_pass_and_bound_a_fetch(test: TestDb) {
    let log = open(&test).await;
    let value: Vec<u8> = (0..5_u32 << 20).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let messages = (0..4).map(|_| message("key", value.clone())).collect();
    log.append("importer", 1, messages).await.expect("append");
    let partition = partition_of(b"key");
    assert_eq!(log.fetch(partition, 0, 1_000).await.expect("fetch").len(), 1);
    assert_eq!(log.fetch(partition, 0, 11 << 20).await.expect("fetch").len(), 2);
    let records = read_all(&log, partition, 6 << 20).await;
    assert_eq!(records.len(), 4);
    assert!(records.iter().all(|record| record.value == value));
}

/// A waiting reader is woken at once, and otherwise gives up in time.
pub async fn waiting_ends_with_the_append(test: TestDb) {
    let log = open(&test).await;
    let partition = partition_of(b"key");
    let begin = Instant::now();
    assert!(!log.wait(partition, 0, Duration::from_millis(60)).await.expect("wait"));
    assert!(begin.elapsed() >= Duration::from_millis(60));
    let reader = tokio::spawn({
        let log = log.clone();
        async move { log.wait(partition, 0, Duration::from_secs(20)).await.map(|found| (found, Instant::now())) }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    log.append("importer", 1, vec![message("key", "value")]).await.expect("append");
    let appended = Instant::now();
    let (found, woken) = reader.await.expect("the reader ends").expect("wait");
    assert!(found && woken.saturating_duration_since(appended) < Duration::from_millis(150), "woken late");
    assert!(log.wait(partition, 0, Duration::ZERO).await.expect("wait"));
    assert!(!log.wait(partition, 1, Duration::ZERO).await.expect("wait"));
}

/// An append through another store is noticed; on Postgres it is told.
pub async fn another_process_is_noticed(test: TestDb) {
    let log = open(&test).await;
    let mut listener = test.store.listener(CHANNEL);
    if let Some(listener) = &mut listener {
        listener.connect().await.expect("listen");
    }
    let other_store = Store::connect(&test.url).await.expect("open again");
    let other = Log::open("embedded:", TOPIC, &other_store).await.expect("open again");
    let partition = partition_of(b"key");
    let reader = tokio::spawn(async move { log.wait(partition, 0, Duration::from_secs(20)).await });
    other.append("importer", 1, vec![message("key", "value")]).await.expect("append");
    assert!(reader.await.expect("the reader ends").expect("wait"));
    if let Some(listener) = &mut listener {
        let notice = listener.next().await.expect("told");
        assert!(notice.ends_with(&format!(" {} {TOPIC}", 1 << partition)), "{notice}");
    }
    other_store.close().await;
}

/// Trimming removes whole batches below the offset; what is read afterwards keeps its offsets.
pub async fn trimming_keeps_offsets(test: TestDb) {
    let log = open(&test).await;
    let partition = partition_of(b"key");
    for sequence in 0..4 {
        let messages = (0..5).map(|_| message("key", "value")).collect();
        log.append("importer", sequence, messages).await.expect("append");
    }
    assert_eq!(log.trim(partition, 4).await.expect("trim"), 0);
    assert_eq!(log.trim(partition, 12).await.expect("trim"), 2);
    assert_eq!(log.start_offsets().await.expect("starts")[&partition], 10);
    assert_eq!(log.fetch(partition, 0, ALL).await.expect("fetch")[0].offset, 10);
    assert_eq!(log.trim(partition, i64::MAX).await.expect("trim"), 2);
    assert_eq!(log.start_offsets().await.expect("starts")[&partition], 20);
    assert!(log.fetch(partition, 0, ALL).await.expect("fetch").is_empty());
    let positions = log.append("importer", 9, vec![message("key", "value")]).await.expect("append");
    assert_eq!(positions[&partition], 21);
    assert_eq!(log.fetch(partition, 0, ALL).await.expect("fetch")[0].offset, 20);
}

/// A rejected record is kept with its reason, once, whatever bytes it has.
pub async fn rejected_records_are_kept_once(test: TestDb) {
    let log = open(&test).await;
    for _ in 0..2 {
        log.reject(&[rejected(1, 7, "not JSON: \0", &[0, 255])]).await.expect("reject");
    }
    log.reject(&[rejected(2, 8, "no path", b"{}")]).await.expect("reject");
    assert_eq!(log.rejected_count().await.expect("count"), 2);
    let records = log.rejected(Accounts::All, None, 10).await.expect("rejected");
    let first = records.iter().find(|record| record.partition == 1).expect("the first one");
    assert_eq!((first.offset, first.reason.as_str(), &first.value[..]), (7, "not JSON: \u{fffd}", &[0, 255][..]));
    assert_eq!(log.rejected(Accounts::All, None, 1).await.expect("rejected").len(), 1);
    assert!(matches!(log.reject(&[rejected(9, 0, "", b"")]).await, Err(Error::Partition(9))));
}

/// Topics of one store do not see each other, and other kinds of log are refused by name.
pub async fn topics_are_apart(test: TestDb) {
    let (log, other) = (open(&test).await, Log::open("embedded:", "other", &test.store).await.expect("open"));
    log.append("importer", 1, vec![message("key", "value")]).await.expect("append");
    assert_eq!(other.end_offsets().await.expect("ends").values().sum::<i64>(), 0);
    other.append("importer", 1, vec![message("key", "other")]).await.expect("append");
    assert_eq!(read_all(&log, partition_of(b"key"), ALL).await[0].value, "value");
    assert_eq!(read_all(&other, partition_of(b"key"), ALL).await[0].value, "other");
    for (url, topic) in [("kafka:", "t"), ("redis://x", "t"), ("embedded", "t"), ("embedded:", "")] {
        assert!(matches!(Log::open(url, topic, &test.store).await, Err(Error::Configuration(_))), "{url} {topic:?}");
    }
}

/// A batch that cannot be read names itself.
pub async fn damage_is_reported(test: TestDb) {
    let log = open(&test).await;
    let partition = partition_of(b"key");
    log.append("importer", 1, vec![message("key", "value")]).await.expect("append");
    let db = test.store.service("log").await.expect("open");
    db.execute("UPDATE log_batches SET payload = $1", args![vec![0xff_u8; 9]]).await.expect("damage");
    let outcome = log.fetch(partition, 0, ALL).await;
    assert!(matches!(outcome, Err(Error::Damaged { offset: 0, next_offset: 1, .. })), "{outcome:?}");
}

/// Each account's are listed from the newest on, page by page; a replay appends once and forgets.
pub async fn rejected_records_are_listed_and_replayed(test: TestDb) {
    let log = open(&test).await;
    for (offset, account_id) in [(1, Some(AccountId(7))), (2, None), (3, Some(AccountId(8))), (4, Some(AccountId(7)))] {
        let (key, created_at) = (b"key".to_vec(), 100 + offset / 3);
        let record = Rejected { account_id, key, created_at, ..rejected(0, offset, "why", b"{}") };
        log.reject(&[record]).await.expect("reject");
    }
    let offsets = async |accounts, before, limit| {
        let records = log.rejected(accounts, before, limit).await.expect("rejected");
        let place = records.last().map(portolan_log::Rejected::place);
        (records.into_iter().map(|record| record.offset).collect::<Vec<_>>(), place)
    };
    let (first, place) = offsets(Accounts::All, None, 3).await;
    assert_eq!((first, offsets(Accounts::All, place, 3).await.0), (vec![4, 3, 2], vec![1]));
    assert_eq!(offsets(Accounts::Of { account_id: AccountId(7), unknown: false }, None, 9).await.0, [4, 1]);
    assert_eq!(offsets(Accounts::Of { account_id: AccountId(8), unknown: true }, None, 9).await.0, [3, 2]);

    let record = log.find_rejected(0, 4).await.expect("find").expect("a record");
    let positions = log.replay(&record).await.expect("replay");
    // As after a crash before it was forgotten.
    assert_eq!(log.replay(&record).await.expect("replay"), positions);
    let (&partition, &next) = positions.first_key_value().expect("one partition");
    let appended = log.fetch(partition, 0, 1 << 20).await.expect("fetch");
    assert_eq!((next, appended.len(), &appended[0].value[..]), (1, 1, &b"{}"[..]));
    assert_eq!((log.find_rejected(0, 4).await.expect("find"), log.rejected_count().await.expect("count")), (None, 3));
}

/// Whoever has too many loses the oldest; those of others stay.
pub async fn rejected_records_of_an_account_are_bounded(test: TestDb) {
    let log = open(&test).await;
    let value = vec![b'x'; 10 << 20];
    log.reject(&[Rejected { account_id: Some(AccountId(8)), ..rejected(0, 0, "why", b"{}") }]).await.expect("reject");
    for offset in 1..=8 {
        let record =
            Rejected { account_id: Some(AccountId(7)), created_at: offset, ..rejected(0, offset, "why", &value) };
        log.reject(&[record]).await.expect("reject");
    }
    let kept = log.rejected(Accounts::All, None, 20).await.expect("rejected");
    let kept: Vec<i64> = kept.iter().map(|record| record.offset).collect();
    assert_eq!(kept, [8, 7, 6, 5, 4, 3, 0]);

    // Keys and reasons count as values do, also within one call.
    let large = |account_id, offset, key: &[u8], reason: &str| Rejected {
        account_id: Some(AccountId(account_id)),
        key: key.to_vec(),
        created_at: offset,
        ..rejected(1, offset, reason, b"{}")
    };
    let keyed: Vec<_> = (1..=8).map(|offset| large(9, offset, &value, "why")).collect();
    log.reject(&keyed).await.expect("reject");
    for record in &keyed {
        log.reject(&[Rejected { partition: 2, account_id: Some(AccountId(10)), ..record.clone() }])
            .await
            .expect("reject");
    }
    let of = async |account_id| {
        let accounts = Accounts::Of { account_id: AccountId(account_id), unknown: false };
        log.rejected(accounts, None, 2_000).await.expect("rejected")
    };
    for account_id in [9, 10] {
        let offsets: Vec<i64> = of(account_id).await.iter().map(|record| record.offset).collect();
        assert_eq!(offsets, [8, 7, 6, 5, 4, 3], "{account_id}");
    }
    let quoted = "é".repeat(100_000);
    log.reject(&[large(11, 1, b"key", &quoted)]).await.expect("reject");
    assert_eq!(of(11).await[0].reason.chars().count(), 1_000);
}

/// A flood of bad records, in calls of any size, leaves the newest thousand of its account, and those of others.
pub async fn a_flood_of_rejected_records_leaves_the_newest(test: TestDb) {
    let log = open(&test).await;
    let of = |account_id: i64, offset: i64| Rejected {
        account_id: Some(AccountId(account_id)),
        created_at: 1,
        ..rejected(0, offset, "why", b"{}")
    };
    log.reject(&[of(8, 0)]).await.expect("reject");
    for calls in [1_i64..=900, 901..=3_500, 3_501..=3_501, 3_502..=3_600] {
        let records: Vec<_> = calls.map(|offset| of(7, offset)).collect();
        log.reject(&records).await.expect("reject");
    }
    let kept =
        log.rejected(Accounts::Of { account_id: AccountId(7), unknown: false }, None, 2_000).await.expect("rejected");
    let kept: Vec<i64> = kept.iter().map(|record| record.offset).collect();
    assert_eq!(kept, (2_601..=3_600).rev().collect::<Vec<_>>());
    assert_eq!(log.rejected_count().await.expect("count"), 1_001);
}
