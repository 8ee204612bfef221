//! Connections, who is next at them, and how they come back.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;

use crate::file::{File, FileConnection};
use crate::server::ServerConnection;
use crate::turns::Turns;
use crate::{Error, Row, Sql, Value};

/// How long a caller waits for a connection. Longer than any single transaction, shorter than a request's deadline.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// How full a pool is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The service that it is of.
    pub service: String,
    /// Connections that somebody has.
    pub busy: u32,
    /// Connections that are open and free.
    pub idle: u32,
    /// Connections that may be open.
    pub max: u32,
}

/// Connections, and who is next at them.
#[derive(Clone)]
pub(crate) struct Pool {
    connections: Connections,
    turns: Arc<Turns>,
}

#[derive(Clone)]
enum Connections {
    ToServer(PgPool),
    ToFile(Arc<File>),
}

/// A connection of somebody.
pub(crate) enum Lease {
    Server(ServerConnection),
    File(FileConnection),
}

/// A connection in a transaction, which is rolled back when this is dropped. There is one from the begin to the end.
pub(crate) struct Begun(Option<Lease>);

impl Pool {
    pub fn to_server(pool: PgPool) -> Self {
        let turns = Turns::new(pool.options().get_max_connections());
        Self { connections: Connections::ToServer(pool), turns }
    }

    pub fn to_file(file: File) -> Self {
        let turns = file.turns.clone();
        Self { connections: Connections::ToFile(Arc::new(file)), turns }
    }

    pub async fn acquire(&self) -> Result<Lease, Error> {
        let turn = tokio::time::timeout(ACQUIRE_TIMEOUT, self.turns.take());
        let turn = turn.await.map_err(|_| Error::Unavailable("no connection became free".into()))?;
        Ok(match &self.connections {
            Connections::ToServer(pool) => Lease::Server(ServerConnection::new(pool.acquire().await?, turn)),
            Connections::ToFile(file) => Lease::File(file.connection(turn)?),
        })
    }

    /// Whether anybody waits for a connection.
    pub fn is_awaited(&self) -> bool {
        self.turns.are_awaited()
    }

    pub fn usage(&self, service: &str) -> Usage {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let (busy, idle) = match &self.connections {
            Connections::ToServer(pool) => {
                let idle = count(pool.num_idle());
                (pool.size().saturating_sub(idle), idle)
            }
            Connections::ToFile(file) => (count(self.turns.taken()), count(file.idle())),
        };
        Usage { service: service.to_owned(), busy, idle, max: count(self.turns.all()) }
    }

    /// Waits for those who have a connection, and closes all of them.
    pub async fn close(&self) {
        match &self.connections {
            Connections::ToServer(pool) => pool.close().await,
            Connections::ToFile(file) => file.close().await,
        }
    }
}

impl Lease {
    /// Runs a statement that is a transaction of its own; a file is waited for where it is to be synced.
    pub async fn execute_alone(self, sql: Sql, args: Vec<Value>, is_synced: bool) -> Result<u64, Error> {
        match self {
            Self::Server(mut connection) => connection.execute(sql, args).await,
            Self::File(connection) => connection.execute_alone(sql, args, is_synced).await,
        }
    }

    /// The first rows of a query.
    pub async fn fetch(&mut self, sql: Sql, args: Vec<Value>, rows_max: usize) -> Result<Vec<Row>, Error> {
        match self {
            Self::Server(connection) => connection.fetch(sql, args, rows_max).await,
            Self::File(connection) => connection.fetch(sql, args, rows_max).await,
        }
    }
}

impl Begun {
    /// Begins a transaction. It counts as begun before it is, so that who goes away in the middle leaves none behind: the
    /// next user of the connection would be in it.
    pub async fn begin(lease: Lease, statement: &'static str) -> Result<Self, Error> {
        let mut begun = Self(Some(lease));
        let outcome = match begun.lease()? {
            Lease::Server(connection) => connection.execute_script(statement.into()).await,
            Lease::File(connection) => connection.begin(statement).await,
        };
        if outcome.is_err()
            && let Some(Lease::Server(connection)) = begun.0.take()
        {
            // There is nothing to be rolled back, or a transaction that is not this one.
            connection.close();
        }
        outcome.map(|()| begun)
    }

    pub async fn execute(&mut self, sql: Sql, args: Vec<Value>) -> Result<u64, Error> {
        match self.lease()? {
            Lease::Server(connection) => connection.execute(sql, args).await,
            Lease::File(connection) => connection.execute(sql, args).await,
        }
    }

    pub async fn execute_script(&mut self, sql: Sql) -> Result<(), Error> {
        match self.lease()? {
            Lease::Server(connection) => connection.execute_script(sql).await,
            Lease::File(connection) => connection.execute_script(sql).await,
        }
    }

    pub async fn fetch_all(&mut self, sql: Sql, args: Vec<Value>) -> Result<Vec<Row>, Error> {
        self.lease()?.fetch(sql, args, usize::MAX).await
    }

    /// Commits, calls as soon as others see it, and returns once the disk holds it; without a call, before that.
    pub async fn commit(mut self, shown: Option<impl FnOnce()>) -> Result<(), Error> {
        if let Lease::Server(connection) = self.lease()? {
            let unsynced = "SET LOCAL synchronous_commit TO off; COMMIT";
            connection.execute_script(if shown.is_some() { "COMMIT" } else { unsynced }.into()).await?;
        }
        match self.0.take() {
            Some(Lease::File(connection)) => connection.commit(shown).await,
            _ => {
                shown.into_iter().for_each(|shown| shown());
                Ok(())
            }
        }
    }

    pub async fn roll_back(mut self) -> Result<(), Error> {
        match self.0.take() {
            // To its end, also where nobody waits.
            Some(Lease::Server(connection)) => {
                tokio::spawn(connection.roll_back()).await.unwrap_or_else(|_| Err(ended()))
            }
            Some(Lease::File(connection)) => connection.roll_back().await,
            None => Ok(()),
        }
    }

    fn lease(&mut self) -> Result<&mut Lease, Error> {
        self.0.as_mut().ok_or_else(ended)
    }
}

fn ended() -> Error {
    Error::Unavailable("the transaction has ended".into())
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(Lease::Server(connection)) = self.0.take() {
            tokio::spawn(connection.roll_back());
        }
    }
}
