//! What processes tell each other through their Postgres server.

use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};

use crate::Error;
use crate::pool::ACQUIRE_TIMEOUT;

/// Hears what [`Db::notify`](crate::Db::notify) tells on a channel, in any process of the same database. It has a connection
/// of its own from the first call on. What is told while it has none is lost.
pub struct Listener {
    options: PgConnectOptions,
    channel: &'static str,
    listening: Option<PgListener>,
    /// One of each listener of the store, by which they are counted.
    _counted: Arc<()>,
}

impl Listener {
    pub(crate) fn new(options: PgConnectOptions, channel: &'static str, counted: Arc<()>) -> Self {
        Self { options, channel, listening: None, _counted: counted }
    }

    /// Connects unless it is connected, and begins to listen.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn connect(&mut self) -> Result<(), Error> {
        self.listening().await.map(drop)
    }

    /// The next text, whenever it comes.
    ///
    /// # Errors
    /// When the connection broke or cannot be made; the next call makes another.
    pub async fn next(&mut self) -> Result<String, Error> {
        let heard = self.listening().await?.try_recv().await;
        match heard {
            Ok(Some(heard)) => Ok(heard.payload().to_owned()),
            lost => {
                self.listening = None;
                lost?;
                Err(Error::Unavailable("the connection that listens broke".into()))
            }
        }
    }

    async fn listening(&mut self) -> Result<&mut PgListener, Error> {
        let listening = match self.listening.take() {
            Some(listening) => listening,
            None => listen(self.options.clone(), self.channel).await?,
        };
        Ok(self.listening.insert(listening))
    }
}

/// The driver takes the connection out of a pool, which is gone with it.
async fn listen(options: PgConnectOptions, channel: &str) -> Result<PgListener, Error> {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT);
    let pool = pool.max_lifetime(None).idle_timeout(None).connect_with(options).await?;
    let mut listening = PgListener::connect_with(&pool).await?;
    listening.eager_reconnect(false);
    listening.listen(channel).await?;
    Ok(listening)
}
