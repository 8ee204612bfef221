//! Records that a log holds twice.
//!
//! A broker cannot tell that an append is a repetition, so the records of one are marked with their place among those of
//! their producer. A producer writes in ascending order, so its last mark in a lane of a partition says which records of
//! the lane are new.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use portolan_log::Stored;
use store::producers::Mark;

use crate::{Deps, Error, ingest::lanes, store};

/// Producers remembered of one partition, by lane; beyond this the memory starts anew and asks the table.
const PRODUCERS_MAX: usize = 10_000;

/// A lane and a producer.
type Key = (i64, Arc<str>);

/// What one partition has brought of each producer, as it is committed.
#[derive(Default)]
pub struct Repeats {
    committed: HashMap<Key, Option<Mark>>,
}

/// The last marks of a batch that is not committed yet.
#[derive(Default)]
pub struct Marks(HashMap<Key, Mark>);

impl Repeats {
    /// Removes the records that the partition has brought before, and notes the marks of the others.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub async fn remove(
        &mut self,
        deps: &Deps,
        partition: i64,
        records: &mut Vec<Stored>,
        marks: &mut Marks,
    ) -> Result<(), Error> {
        if self.committed.len() >= PRODUCERS_MAX {
            self.committed.clear();
        }
        let key = |record: &Stored| {
            let producer = record.producer.as_ref()?;
            Some((lanes::lane_of(&record.value), producer.producer_id.clone()))
        };
        let keys: Vec<Option<Key>> = records.iter().map(key).collect();
        for key in keys.iter().flatten() {
            if !self.committed.contains_key(key) {
                let place = (key.0, &*key.1);
                let found = store::producers::find(&deps.db, deps.log.source(), partition, place).await?;
                self.committed.insert(key.clone(), found);
            }
        }
        let mut keys = keys.into_iter();
        records.retain(|record| {
            let (Some(producer), Some(key)) = (&record.producer, keys.next().flatten()) else { return true };
            let mark = (producer.sequence, producer.index);
            let committed = self.committed.get(&key).copied().flatten();
            let last = marks.0.get(&key).copied().max(committed);
            let is_new = last.is_none_or(|last| mark > last);
            if is_new {
                marks.0.insert(key, mark);
            }
            is_new
        });
        Ok(())
    }

    /// Takes over the marks of a batch that was committed.
    pub fn commit(&mut self, marks: &Marks) {
        self.committed.extend(marks.0.iter().map(|(key, mark)| (key.clone(), Some(*mark))));
    }

    /// Forgets what another consumer may have changed.
    pub fn forget(&mut self) {
        self.committed.clear();
    }
}

impl Marks {
    /// Forgets the marks of these lanes.
    pub fn leave(&mut self, lanes: &BTreeSet<i64>) {
        self.0.retain(|(lane, _), _| !lanes.contains(lane));
    }

    pub fn iter(&self) -> impl Iterator<Item = (i64, &str, Mark)> {
        self.0.iter().map(|((lane, producer_id), mark)| (*lane, &**producer_id, *mark))
    }
}
