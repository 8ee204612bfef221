use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use portolan_store::{Db, Listener, apart};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use crate::PARTITIONS;
use crate::message::Positions;

/// Of all topics in a database.
pub const CHANNEL: &str = "portolan_log";
/// Others are told no sooner after the last time: a flood of appends is told of as one.
const PAUSE: Duration = Duration::from_millis(5);
/// Between two attempts to listen.
const AGAIN: Duration = Duration::from_secs(1);

const _: () = assert!(PARTITIONS <= 64, "a set of partitions is a u64");

/// Wakes those who wait for appends, in this process and in those that share its Postgres. Nobody relies on it: who waits
/// looks from time to time as well.
pub(crate) struct Appended {
    shared: Arc<Shared>,
    /// Tell and hear other processes.
    others: Option<[AbortOnDropHandle<()>; 2]>,
}

struct Shared {
    topic: String,
    /// Names this process, which need not hear itself.
    process: u64,
    by_partition: Vec<Notify>,
    /// Somebody of this process waits for records.
    is_read: Notify,
    /// Partitions that other processes are still to be told of, a bit each.
    untold: AtomicU64,
    are_untold: Notify,
}

impl Appended {
    /// Without a listener there are no other processes.
    pub fn new(topic: &str, db: &Db, listener: Option<Listener>) -> Self {
        let shared = Arc::new(Shared::new(topic));
        let others = listener.map(|listener| {
            let tells = tokio::spawn(apart(tell_others(Arc::clone(&shared), db.clone())));
            let hears = tokio::spawn(apart(hear_others(Arc::clone(&shared), listener)));
            [tells, hears].map(AbortOnDropHandle::new)
        });
        Self { shared, others }
    }

    /// What tells of appends to a partition, from when it is listened to.
    pub fn to(&self, partition: i64) -> Option<&Notify> {
        self.shared.is_read.notify_one();
        usize::try_from(partition).ok().and_then(|index| self.shared.by_partition.get(index))
    }

    /// Wakes those who wait for records of these partitions. Other processes are told soon after.
    pub fn tell(&self, positions: &Positions) {
        let partitions = positions.keys().fold(0, |set, partition| set | 1 << partition);
        self.shared.wake(partitions);
        if self.others.is_some() {
            self.shared.untold.fetch_or(partitions, Ordering::AcqRel);
            self.shared.are_untold.notify_one();
        }
    }
}

impl Shared {
    fn new(topic: &str) -> Self {
        Self {
            topic: topic.to_owned(),
            process: rand::random(),
            by_partition: (0..PARTITIONS).map(|_| Notify::new()).collect(),
            is_read: Notify::new(),
            untold: AtomicU64::new(0),
            are_untold: Notify::new(),
        }
    }

    fn wake(&self, partitions: u64) {
        let appended = self.by_partition.iter().enumerate().filter(|(index, _)| partitions >> index & 1 == 1);
        appended.for_each(|(_, appended)| appended.notify_waiters());
    }

    /// What is told to others: who tells it, the partitions, the topic.
    fn notice(&self, partitions: u64) -> String {
        format!("{} {partitions} {}", self.process, self.topic)
    }

    fn hear(&self, notice: &str) {
        let mut parts = notice.splitn(3, ' ');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let (Some(process), Some(partitions)) = (number(), number()) else { return };
        if process != self.process && parts.next() == Some(&self.topic) {
            self.wake(partitions);
        }
    }
}

async fn tell_others(shared: Arc<Shared>, db: Db) {
    loop {
        shared.are_untold.notified().await;
        let notice = shared.notice(shared.untold.swap(0, Ordering::AcqRel));
        if let Err(error) = db.notify(CHANNEL, &notice).await {
            tracing::debug!(%error, "other processes were not told of an append");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn hear_others(shared: Arc<Shared>, mut listener: Listener) {
    shared.is_read.notified().await;
    let mut listens = true;
    loop {
        match listener.next().await {
            Ok(notice) => {
                shared.hear(&notice);
                listens = true;
            }
            Err(error) => {
                if std::mem::take(&mut listens) {
                    tracing::warn!(%error, "appends of other processes are noticed a little later");
                }
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The partitions whose readers are woken by a notice, a bit each.
    fn woken_by(reader: &Shared, notice: &str) -> u64 {
        let mut waiting: Vec<_> = reader.by_partition.iter().map(|appended| Box::pin(appended.notified())).collect();
        for told in &mut waiting {
            assert!(!told.as_mut().enable(), "nobody has told yet");
        }
        reader.hear(notice);
        (0..).zip(&mut waiting).map(|(index, told)| u64::from(told.as_mut().enable()) << index).sum()
    }

    #[test]
    fn what_others_tell_wakes_readers_of_these_partitions_and_this_topic() {
        let (reader, writer, elsewhere) = (Shared::new("api logs"), Shared::new("api logs"), Shared::new("logs"));
        assert_eq!(woken_by(&reader, &writer.notice(0b1001)), 0b1001);
        assert_eq!(woken_by(&reader, &reader.notice(0b1111)), 0);
        assert_eq!(woken_by(&reader, &elsewhere.notice(0b1111)), 0);
        for notice in ["", "7", "7 15", "7 all api logs", "7 15 api"] {
            assert_eq!(woken_by(&reader, notice), 0, "{notice}");
        }
    }
}
