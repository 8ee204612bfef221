use std::sync::Arc;

use sqlx::{Error as DriverError, SqlStr};

use crate::fault::Kind;
use crate::pool::Begun;
use crate::reach::Reach;
use crate::{Bulk, Dialect, Error, Faults, Row, Sql, Value, fault, value};

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
        let outcome = match value::into_driver(args) {
            Ok(args) => {
                reaching(reach, sqlx::query_with(sql.into_driver(), args).execute(self.begun.connection()?)).await
            }
            Err(error) => Err(error.into()),
        };
        self.noted(outcome).map(|done| done.rows_affected())
    }

    /// All rows of a query, or of a statement with `RETURNING`.
    pub async fn fetch_all(&mut self, sql: impl Into<Sql>, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        let sql = sql.into();
        self.ready(fault::FETCH).await?;
        let reach = self.reach.clone();
        let outcome = match value::into_driver(args) {
            Ok(args) => {
                reaching(reach, sqlx::query_with(sql.into_driver(), args).fetch_all(self.begun.connection()?)).await
            }
            Err(error) => Err(error.into()),
        };
        self.noted(outcome).map(|rows| rows.into_iter().map(Row).collect())
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
        self.fetch_optional(sql, args).await?.ok_or_else(|| DriverError::RowNotFound.into())
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
    pub(crate) async fn execute_script(&mut self, script: SqlStr) -> Result<(), Error> {
        self.ready(fault::EXECUTE).await?;
        let outcome = sqlx::raw_sql(script).execute(self.begun.connection()?).await;
        self.noted(outcome.map_err(Error::from)).map(drop)
    }

    /// Commits. `Ok` means durable.
    ///
    /// # Errors
    /// [`Error::CommitUnknown`] when the connection broke before the answer came: then all or nothing is written.
    pub async fn commit(mut self) -> Result<(), Error> {
        self.ready(fault::COMMIT).await?;
        reaching(self.reach, self.begun.commit()).await.map_err(Error::while_committing)?;
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
        Ok(self.begun.roll_back().await?)
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
                let end = async {
                    let end = sqlx::query("SELECT pg_terminate_backend(pg_backend_pid())");
                    end.execute(self.begun.connection()?).await
                };
                end.await.map_or_else(Error::from, |_| fault::injected(point))
            }
        }
    }
}

/// A statement whose server may be gone before it answers.
async fn reaching<T>(
    reach: Option<Arc<Reach>>,
    statement: impl Future<Output = Result<T, DriverError>>,
) -> Result<T, Error> {
    match reach {
        Some(reach) => Ok(reach.cut_off(statement).await.map_err(Error::Unavailable)??),
        None => Ok(statement.await?),
    }
}
