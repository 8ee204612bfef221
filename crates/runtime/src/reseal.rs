//! Seals anew what stands under a key that was rotated away.
//!
//! A row is written only while it holds what was read, so that it does not matter how many processes do this, when one of
//! them is killed, and what else writes the row.

use std::time::Duration;

use portolan_store::{Db, Error, Value};
use tokio_util::sync::CancellationToken;

use crate::{
    Secrets, Tasks,
    sealed::{Column, SealedRow},
    secrets::KeyId,
};

/// How often the keys are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// After a pass over everything; a value that was sealed meanwhile is found by the next one.
const PASS_EVERY: Duration = Duration::from_secs(2);

/// The sealed columns of a service.
pub type Columns = &'static [&'static Column];

/// What a pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Values that stand under the current key since.
    pub resealed: i64,
    /// Values that name a former key and do not open under it: nothing will open them.
    pub damaged: i64,
}

/// What stands under a former key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remaining {
    /// Values that open under the former key.
    pub values: i64,
    /// As in [`Pass`].
    pub damaged: i64,
}

/// Seals anew from now on whatever stands under a former key.
pub fn start(tasks: &Tasks, db: &Db, secrets: &Secrets, columns: Columns) {
    let (db, secrets) = (db.clone(), secrets.clone());
    tasks.spawn(async move |stop: CancellationToken| {
        let mut told = None;
        while !stop.is_cancelled() {
            let mut pause = LOOK_EVERY;
            if !secrets.former_key_ids().is_empty() {
                pause = PASS_EVERY;
                match stop.run_until_cancelled(pass(&db, &secrets, columns)).await {
                    None => return,
                    Some(Ok(pass)) if pass.resealed > 0 || told != Some(pass.damaged) => {
                        told = Some(pass.damaged);
                        tracing::info!(resealed = pass.resealed, damaged = pass.damaged, "sealed anew");
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => tracing::warn!(%error, "not everything was sealed anew: it is tried again"),
                }
            }
            let _ = stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    });
}

/// Goes over the columns once.
///
/// # Errors
/// When the store does not answer; what was done stays.
pub async fn pass(db: &Db, secrets: &Secrets, columns: Columns) -> Result<Pass, Error> {
    let mut done = Pass::default();
    let mut pages = Pages::of(db, secrets, columns);
    while let Some((column, rows)) = pages.next().await? {
        for row in &rows {
            match secrets.open_row(row) {
                Ok(value) => {
                    let is_written = column.replace(db, row, &secrets.seal(&row.place, &value)).await?;
                    done.resealed += i64::from(is_written);
                }
                Err(_) => done.damaged += 1,
            }
        }
        db.fault("reseal.page").await?;
    }
    Ok(done)
}

/// How many values stand under a former key: those that open, and those that do not.
///
/// # Errors
/// When the store does not answer.
pub async fn remaining(db: &Db, secrets: &Secrets, columns: Columns) -> Result<Remaining, Error> {
    let mut found = Remaining::default();
    let mut pages = Pages::of(db, secrets, columns);
    while let Some((_, rows)) = pages.next().await? {
        let opens = rows.iter().filter(|row| secrets.open_row(row).is_ok()).count() as i64;
        found.values += opens;
        found.damaged += rows.len() as i64 - opens;
    }
    Ok(found)
}

/// What stands under former keys, column by column, in the order of the rows' ids.
struct Pages<'a> {
    db: &'a Db,
    /// The column that is read comes last.
    left: Vec<(&'static Column, KeyId)>,
    after: Option<Value>,
}

impl<'a> Pages<'a> {
    fn of(db: &'a Db, secrets: &Secrets, columns: Columns) -> Self {
        let former = secrets.former_key_ids();
        let left = columns.iter().flat_map(|column| former.iter().map(move |key| (*column, *key)));
        Self { db, left: left.rev().collect(), after: None }
    }

    /// The next rows, one at least; `None` at the end.
    async fn next(&mut self) -> Result<Option<(&'static Column, Vec<SealedRow>)>, Error> {
        while let Some((column, former)) = self.left.last() {
            let rows = column.page(self.db, former, self.after.as_ref()).await?;
            if let Some(last) = rows.last() {
                self.after = Some(last.id.clone());
                return Ok(Some((column, rows)));
            }
            self.left.pop();
            self.after = None;
        }
        Ok(None)
    }
}
