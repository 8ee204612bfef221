//! Records that a log holds twice.
//!
//! A broker cannot tell that an append is a repetition, so the records of one are marked with their place among those of
//! their producer. A producer writes in ascending order, so its last mark in a partition says which records are new.

use std::{collections::HashMap, sync::Arc};

use portolan_log::Stored;
use store::producers::Mark;

use crate::{Deps, Error, store};

/// Producers remembered of one partition; beyond this the memory starts anew and asks the table.
const PRODUCERS_MAX: usize = 10_000;

/// What one partition has brought of each producer, as it is committed.
#[derive(Default)]
pub struct Repeats {
    committed: HashMap<Arc<str>, Option<Mark>>,
}

/// The last marks of a batch that is not committed yet.
#[derive(Default)]
pub struct Marks(HashMap<Arc<str>, Mark>);

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
        for record in records.iter().filter_map(|record| record.producer.as_ref()) {
            if !self.committed.contains_key(&record.producer_id) {
                let found = store::producers::find(&deps.db, deps.log.source(), partition, &record.producer_id).await?;
                self.committed.insert(record.producer_id.clone(), found);
            }
        }
        records.retain(|record| {
            let Some(producer) = &record.producer else { return true };
            let mark = (producer.sequence, producer.index);
            let committed = self.committed.get(&producer.producer_id).copied().flatten();
            let last = marks.0.get(&producer.producer_id).copied().max(committed);
            let is_new = last.is_none_or(|last| mark > last);
            if is_new {
                marks.0.insert(producer.producer_id.clone(), mark);
            }
            is_new
        });
        Ok(())
    }

    /// Takes over the marks of a batch that was committed.
    pub fn commit(&mut self, marks: &Marks) {
        self.committed.extend(marks.0.iter().map(|(producer_id, mark)| (producer_id.clone(), Some(*mark))));
    }

    /// Forgets what another consumer may have changed.
    pub fn forget(&mut self) {
        self.committed.clear();
    }
}

impl Marks {
    pub fn iter(&self) -> impl Iterator<Item = (&str, Mark)> {
        self.0.iter().map(|(producer_id, mark)| (&**producer_id, *mark))
    }
}
