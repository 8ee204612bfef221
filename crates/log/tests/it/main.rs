//! The log on both databases.

mod append;
mod kafka;
mod read;

use portolan_log::{Log, Message, Rejected, Stored};
use portolan_testkit::TestDb;

portolan_testkit::suite! {
    append::a_repeated_sequence_appends_nothing,
    append::a_commit_of_unknown_outcome_is_resolved,
    append::concurrent_repetitions_append_once,
    append::concurrent_appends_leave_no_gap,
    append::limits_are_refused_before_anything_is_written,
    append::producers_are_forgotten_after_a_week,
    read::keys_keep_their_order,
    read::reading_begins_anywhere,
    read::large_messages_pass_and_bound_a_fetch,
    read::waiting_ends_with_the_append,
    read::another_process_is_noticed,
    read::trimming_keeps_offsets,
    read::rejected_records_are_kept_once,
    read::rejected_records_are_listed_and_replayed,
    read::rejected_records_of_an_account_are_bounded,
    read::a_flood_of_rejected_records_leaves_the_newest,
    read::topics_are_apart,
    read::damage_is_reported,
    kafka::a_cluster_that_is_gone_is_named_at_once;
    PORTOLAN_TEST_KAFKA:
    kafka::records_come_back_in_order_with_their_marks,
    kafka::reading_begins_anywhere,
    kafka::rejected_records_are_kept_and_published,
    kafka::two_processes_share_the_partitions,
    kafka::batches_of_every_codec_are_read;
    PORTOLAN_TEST_KAFKA_LIBS @sqlite:
    kafka::an_unreadable_batch_is_told_with_its_end,
    kafka::a_secured_cluster_is_spoken_to,
}

const TOPIC: &str = "akto.api.logs";

async fn open(test: &TestDb) -> Log {
    Log::open("embedded:", TOPIC, &test.store).await.expect("open the log")
}

fn message(key: &str, value: impl Into<Vec<u8>>) -> Message {
    Message { key: key.as_bytes().to_vec(), value: value.into() }
}

fn rejected(partition: i64, offset: i64, reason: &str, value: &[u8]) -> Rejected {
    let (reason, value) = (reason.to_owned(), value.to_vec());
    Rejected { partition, offset, reason, value, ..Rejected::default() }
}

/// Everything in one partition, in as many fetches as it takes.
async fn read_all(log: &Log, partition: i64, bytes_max: usize) -> Vec<Stored> {
    let mut records: Vec<Stored> = Vec::new();
    loop {
        let from_offset = records.last().map_or(0, |last| last.offset + 1);
        let more = log.fetch(partition, from_offset, bytes_max).await.expect("fetch");
        if more.is_empty() {
            return records;
        }
        records.extend(more);
    }
}
