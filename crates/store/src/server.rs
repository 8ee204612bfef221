//! Connections to a Postgres server.

use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments as _, Column as _, Error as DriverError, PgConnection, Postgres, Row as _};
use sqlx::{TypeInfo as _, ValueRef as _};

use crate::row::Cell;
use crate::turns::Turn;
use crate::value::Type;
use crate::{Error, Row, Sql, Value};

/// A connection of somebody, which may break at any time.
pub(crate) struct ServerConnection {
    connection: PoolConnection<Postgres>,
    /// It ends after the connection has gone back.
    _turn: Turn,
}

impl ServerConnection {
    pub fn new(connection: PoolConnection<Postgres>, turn: Turn) -> Self {
        Self { connection, _turn: turn }
    }

    fn driver(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    pub async fn execute(&mut self, sql: Sql, args: Vec<Value>) -> Result<u64, Error> {
        let statement = sqlx::query_with(sql.into_driver(), arguments(args)?);
        Ok(statement.execute(self.driver()).await?.rows_affected())
    }

    pub async fn execute_script(&mut self, sql: Sql) -> Result<(), Error> {
        sqlx::raw_sql(sql.into_driver()).execute(self.driver()).await?;
        Ok(())
    }

    pub async fn fetch(&mut self, sql: Sql, args: Vec<Value>, rows_max: usize) -> Result<Vec<Row>, Error> {
        let statement = sqlx::query_with(sql.into_driver(), arguments(args)?);
        let found = match rows_max {
            1 => statement.fetch_optional(self.driver()).await?.into_iter().collect(),
            _ => statement.fetch_all(self.driver()).await?,
        };
        let Some(first) = found.first() else { return Ok(Vec::new()) };
        let columns: Arc<[String]> = first.columns().iter().map(|column| column.name().to_owned()).collect();
        let rows = found.iter().take(rows_max).map(|row| {
            let cells = (0..columns.len()).map(|at| cell(row, at)).collect::<Result<_, _>>()?;
            Ok(Row::new(columns.clone(), cells))
        });
        rows.collect()
    }

    /// Ends a transaction without its writes; where that fails, the connection is closed.
    pub async fn roll_back(mut self) -> Result<(), Error> {
        let rolled_back = self.execute_script("ROLLBACK".into()).await;
        if let Err(error) = &rolled_back {
            tracing::error!(%error, "a database connection whose transaction did not end is closed");
            self.close();
        }
        rolled_back
    }

    /// Closes a connection of which nobody knows in which state it is.
    pub fn close(mut self) {
        self.connection.close_on_drop();
    }
}

fn arguments(values: Vec<Value>) -> Result<PgArguments, DriverError> {
    let mut arguments = PgArguments::default();
    arguments.reserve(values.len(), 0);
    for value in values {
        match value {
            Value::I64(value) => arguments.add(value),
            Value::F64(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value),
            Value::Bytes(value) => arguments.add(value),
            Value::Null(Type::I64) => arguments.add(None::<i64>),
            Value::Null(Type::F64) => arguments.add(None::<f64>),
            Value::Null(Type::Text) => arguments.add(None::<String>),
            Value::Null(Type::Bytes) => arguments.add(None::<Vec<u8>>),
        }
        .map_err(DriverError::Encode)?;
    }
    Ok(arguments)
}

fn cell(row: &PgRow, at: usize) -> Result<Cell, DriverError> {
    let value = row.try_get_raw(at)?;
    if value.is_null() {
        return Ok(Cell::Null);
    }
    Ok(match value.type_info().name() {
        "BOOL" => Cell::I64(row.try_get::<bool, _>(at)?.into()),
        "INT2" => Cell::I64(row.try_get::<i16, _>(at)?.into()),
        "INT4" => Cell::I64(row.try_get::<i32, _>(at)?.into()),
        "INT8" => Cell::I64(row.try_get(at)?),
        "FLOAT4" => Cell::F64(row.try_get::<f32, _>(at)?.into()),
        "FLOAT8" => Cell::F64(row.try_get(at)?),
        "BYTEA" => Cell::Bytes(row.try_get(at)?),
        // The answer of a function that has none.
        "VOID" => Cell::Null,
        _ => Cell::Text(row.try_get(at)?),
    })
}
