use std::sync::Arc;

use crate::fault::Kind;
use crate::pool::Begun;
use crate::reach::Reach;
use crate::{Bulk, Dialect, Error, Faults, Row, Sql, Value, fault};

/// A transaction, from [`crate::Db::begin`] to [`Tx::commit`]; dropping it rolls back.
///
/// After a failed statement every further use fails and nothing is committed: Postgres works so, and SQLite is held to
/// the same rule. Statements whose failure is expected say `ON CONFLICT DO NOTHING`.
pub struct Tx {
    begun: Begun,
    dialect: Dialect,
    faults: Faults,
    reach: Option<Arc<Reach>>,
    failed: bool,
}

#[derive(Clone, Copy)]
pub(crate) enum Mode {
    Read,
    Write,
}

impl Tx {
    pub(crate) fn new(begun: Begun, dialect: Dialect, faults: Faults, reach: Option<Arc<Reach>>) -> Self {
        Self { begun, dialect, faults, reach, failed: false }
    }

    /// Which database it is in.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Runs one statement and returns the number of rows it touched.
    pub async fn execute(&mut self, sql: impl Into<Sql>, args: Vec<Value>) -> Result<u64, Error> {
        let sql = sql.into();
        self.ready(fault::EXECUTE).await?;
        let reach = self.reach.clone();
        let outcome = reaching(reach, self.begun.execute(sql, args)).await;
        self.noted(outcome)
    }

    /// All rows of a query, or of a statement with `RETURNING`.
    pub async fn fetch_all(&mut self, sql: impl Into<Sql>, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        let sql = sql.into();
        self.ready(fault::FETCH).await?;
        let reach = self.reach.clone();
        let outcome = reaching(reach, self.begun.fetch_all(sql, args)).await;
        self.noted(outcome)
    }

    /// The row of a query that has at most one. Rows after the first are read and dropped, so that a statement with
    /// `RETURNING` always runs to its end.
    pub async fn fetch_optional(&mut self, sql: impl Into<Sql>, args: Vec<Value>) -> Result<Option<Row>, Error> {
        Ok(self.fetch_all(sql, args).await?.into_iter().next())
    }

    /// The row of a query that always has one.
    ///
    /// # Errors
    /// [`Error::Inconsistency`] when there is none.
    pub async fn fetch_one(&mut self, sql: impl Into<Sql>, args: Vec<Value>) -> Result<Row, Error> {
        self.fetch_optional(sql, args).await?.ok_or_else(Error::missing_row)
    }

    /// Inserts many rows with few statements and returns the number of rows touched.
    pub async fn bulk<const N: usize>(
        &mut self,
        bulk: &Bulk<N>,
        rows: impl IntoIterator<Item = [Value; N]>,
    ) -> Result<u64, Error> {
        let mut touched = 0;
        let mut rows = rows.into_iter().collect::<Vec<_>>().into_iter();
        while let Some((sql, args)) = bulk.next_statement(self.dialect, &mut rows) {
            touched += self.execute(sql, args).await?;
        }
        Ok(touched)
    }

    /// Inserts many rows and returns what the suffix's `RETURNING` names, in no particular order.
    pub async fn bulk_returning<const N: usize>(
        &mut self,
        bulk: &Bulk<N>,
        rows: impl IntoIterator<Item = [Value; N]>,
    ) -> Result<Vec<Row>, Error> {
        let mut answers = Vec::new();
        let mut rows = rows.into_iter().collect::<Vec<_>>().into_iter();
        while let Some((sql, args)) = bulk.next_statement(self.dialect, &mut rows) {
            answers.extend(self.fetch_all(sql, args).await?);
        }
        Ok(answers)
    }

    /// Runs the statements of a migration.
    pub(crate) async fn execute_script(&mut self, script: Sql) -> Result<(), Error> {
        self.ready(fault::EXECUTE).await?;
        let outcome = self.begun.execute_script(script).await;
        self.noted(outcome)
    }

    /// Commits. `Ok` means durable.
    ///
    /// # Errors
    /// [`Error::CommitUnknown`] when the connection broke before the answer came: then all or nothing is written.
    pub async fn commit(self) -> Result<(), Error> {
        self.commit_showing(|| {}).await
    }

    /// Commits as [`Tx::commit`] does, and calls as soon as others see what was written, which may be before it is durable.
    pub async fn commit_showing(self, shown: impl FnOnce()) -> Result<(), Error> {
        self.commit_as(Some(shown)).await
    }

    /// Commits without waiting for the disk, as an asynchronous commit of Postgres does. After a power failure it may be
    /// gone, with all that was committed later; the death of a process takes nothing. For what is done again then: a lease,
    /// the position in a log, the progress of a job.
    pub async fn commit_unsynced(self) -> Result<(), Error> {
        self.commit_as(None::<fn()>).await
    }

    async fn commit_as(mut self, shown: Option<impl FnOnce()>) -> Result<(), Error> {
        self.ready(fault::COMMIT).await?;
        reaching(self.reach, self.begun.commit(shown)).await.map_err(Error::while_committing)?;
        match self.faults.strike(fault::COMMITTED) {
            Some(Kind::Delay(time)) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Some(Kind::Fail | Kind::LoseConnection) => Err(fault::injected(fault::COMMITTED).while_committing()),
            Some(Kind::Panic) => fault::panic_at(fault::COMMITTED),
            None => Ok(()),
        }
    }

    /// Rolls back now instead of at the drop.
    pub async fn rollback(self) -> Result<(), Error> {
        self.begun.roll_back().await
    }

    async fn ready(&mut self, point: &'static str) -> Result<(), Error> {
        if self.failed {
            return Err(Error::Other("the transaction already failed at an earlier statement".into()));
        }
        // Until the statement answers, the transaction counts as failed: a cancelled statement may have half an answer
        // on the wire.
        let outcome = match self.faults.strike(point) {
            None => Ok(()),
            Some(Kind::Delay(time)) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Some(Kind::Fail) => Err(fault::injected(point)),
            Some(Kind::Panic) => fault::panic_at(point),
            Some(Kind::LoseConnection) if point == fault::COMMIT => {
                Err(self.lose_connection(point).await.while_committing())
            }
            Some(Kind::LoseConnection) => Err(self.lose_connection(point).await),
        };
        self.failed = true;
        outcome
    }

    fn noted<T>(&mut self, outcome: Result<T, Error>) -> Result<T, Error> {
        self.failed = outcome.is_err();
        outcome
    }

    async fn lose_connection(&mut self, point: &'static str) -> Error {
        match self.dialect {
            // A file has no connection to break; what a caller can observe of it is the rollback.
            Dialect::Sqlite => fault::injected(point),
            Dialect::Postgres => {
                let end = self.begun.execute("SELECT pg_terminate_backend(pg_backend_pid())".into(), Vec::new());
                end.await.err().unwrap_or_else(|| fault::injected(point))
            }
        }
    }
}

/// A statement whose server may be gone before it answers.
async fn reaching<T>(reach: Option<Arc<Reach>>, statement: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match reach {
        Some(reach) => reach.cut_off(statement).await.map_err(Error::Unavailable)?,
        None => statement.await,
    }
}
