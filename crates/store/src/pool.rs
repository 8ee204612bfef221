//! Connections, who is next at them, and how they come back.
//!
//! A connection comes back to the driver's pool by a task of its own that asks the database whether it is still there. One
//! to a file does not break while nobody looks, so it is left for the next one as it is: each question would be a switch to
//! its thread and back.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Error as DriverError};

use crate::driver::{ACQUIRE_TIMEOUT, Usage};
use crate::turns::{Turn, Turns};

/// Connections, and who is next at them.
#[derive(Clone)]
pub(crate) struct Pool {
    connections: AnyPool,
    turns: Arc<Turns>,
    left: Option<Arc<Left>>,
}

/// Connections that were left for the next ones; nothing once the pool is closed.
struct Left(Mutex<Option<Vec<PoolConnection<Any>>>>);

/// A connection of somebody, and the place that is to be kept as long as it.
pub(crate) struct Lease {
    connection: PoolConnection<Any>,
    left: Option<Arc<Left>>,
    /// It ends after the connection has gone back.
    _turn: Turn,
}

/// A connection in a transaction, which is rolled back when this is dropped. There is one from the begin to the end.
pub(crate) struct Begun(Option<Lease>);

impl Pool {
    /// Connections to a server, which may break while nobody looks.
    pub fn to_server(connections: AnyPool) -> Self {
        let turns = Turns::new(connections.options().get_max_connections());
        Self { connections, turns, left: None }
    }

    /// Connections to a file.
    pub fn to_file(connections: AnyPool) -> Self {
        Self { left: Some(Arc::new(Left(Mutex::new(Some(Vec::new()))))), ..Self::to_server(connections) }
    }

    pub async fn acquire(&self) -> Result<Lease, DriverError> {
        let turn = tokio::time::timeout(ACQUIRE_TIMEOUT, self.turns.take());
        let turn = turn.await.map_err(|_| DriverError::PoolTimedOut)?;
        let connection = match self.left.as_ref().and_then(|left| left.take()) {
            Some(connection) => connection,
            None => self.connections.acquire().await?,
        };
        Ok(Lease { connection, left: self.left.clone(), _turn: turn })
    }

    /// Whether anybody waits for a connection.
    pub fn is_awaited(&self) -> bool {
        self.turns.are_awaited()
    }

    pub fn usage(&self, service: &str) -> Usage {
        let left = self.left.as_ref().map_or(0, |left| left.lock().as_ref().map_or(0, Vec::len));
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let idle = count(self.connections.num_idle() + left);
        let max = self.connections.options().get_max_connections();
        Usage { service: service.to_owned(), busy: self.connections.size().saturating_sub(idle), idle, max }
    }

    /// Waits for those who have a connection, and closes all of them.
    pub async fn close(&self) {
        // They come back to the driver's pool, which closes them.
        drop(self.left.as_ref().and_then(|left| left.lock().take()));
        self.connections.close().await;
    }
}

impl Left {
    fn take(&self) -> Option<PoolConnection<Any>> {
        self.lock().as_mut()?.pop()
    }

    fn add(&self, connection: PoolConnection<Any>) {
        if let Some(left) = &mut *self.lock() {
            left.push(connection);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<PoolConnection<Any>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        // To come back they would need the runtime, which may be over.
        self.lock().take().into_iter().flatten().for_each(|connection| drop(connection.detach()));
    }
}

impl Lease {
    /// Gives back a connection that has answered all that it was asked, outside of a transaction.
    pub fn give_back(self) {
        if let Some(left) = &self.left {
            left.add(self.connection);
        }
    }

    /// Closes a connection of which nobody knows in which state it is.
    pub fn close(mut self) {
        self.connection.close_on_drop();
    }

    /// Ends a transaction without its writes. After a full disk or a failed write SQLite has ended it by itself; such a
    /// connection is closed.
    async fn roll_back(mut self) -> Result<(), DriverError> {
        match sqlx::raw_sql("ROLLBACK").execute(&mut *self).await {
            Ok(_) => self.give_back(),
            Err(error) => {
                tracing::error!(%error, "a database connection whose transaction did not end is closed");
                self.close();
                return Err(error);
            }
        }
        Ok(())
    }
}

impl Deref for Lease {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.connection
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.connection
    }
}

impl Begun {
    /// Begins a transaction. It counts as begun before it is, so that who goes away in the middle leaves none behind: the
    /// next user of the connection would be in it.
    pub async fn begin(lease: Lease, statement: &'static str) -> Result<Self, DriverError> {
        let mut begun = Self(Some(lease));
        match sqlx::raw_sql(statement).execute(begun.connection()?).await {
            Ok(_) => Ok(begun),
            Err(error) => {
                // There is nothing to be rolled back, or a transaction that is not this one.
                begun.0.take().into_iter().for_each(Lease::close);
                Err(error)
            }
        }
    }

    pub fn connection(&mut self) -> Result<&mut AnyConnection, DriverError> {
        self.0.as_deref_mut().ok_or(DriverError::WorkerCrashed)
    }

    pub async fn commit(mut self) -> Result<(), DriverError> {
        sqlx::raw_sql("COMMIT").execute(self.connection()?).await?;
        self.0.take().into_iter().for_each(Lease::give_back);
        Ok(())
    }

    pub async fn roll_back(mut self) -> Result<(), DriverError> {
        match self.0.take() {
            // To its end, also where nobody waits.
            Some(lease) => tokio::spawn(lease.roll_back()).await.unwrap_or(Err(DriverError::WorkerCrashed)),
            None => Ok(()),
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(lease) = self.0.take() {
            tokio::spawn(lease.roll_back());
        }
    }
}
