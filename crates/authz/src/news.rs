//! What processes tell each other of changes: the names of values whose copies are worth nothing any more. Nobody relies
//! on it; a message that is lost costs nothing but the rest of a copy's time.

use std::{sync::Weak, time::Duration};

use tokio_stream::StreamExt as _;

use crate::{Redis, link::LinkSession};

/// Names of one message; above this it says that everything may have changed.
const NAMES_MAX: usize = 1_000;
/// Between two attempts to listen.
const AGAIN: Duration = Duration::from_secs(1);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Who keeps copies.
pub(crate) trait Forgets: Send + Sync {
    fn forget(&self, names: &[&str]);
    fn forget_all(&self);
}

/// The channel of an installation.
fn channel(installation: &str) -> String {
    format!("portolan:{installation}:changed")
}

/// Tells that values changed. A server that refuses messages is not at fault: its operator may have left them out.
pub(crate) async fn tell(redis: &Redis, names: &[String]) {
    let message = if names.len() > NAMES_MAX { String::new() } else { names.join("\n") };
    let publish = async |mut session: LinkSession| {
        let channel = channel(&session.installation);
        let _ = redis::cmd("PUBLISH").arg(channel).arg(message).query_async::<()>(&mut session.connection).await;
        Ok(())
    };
    let _ = redis.hurried(publish).await;
}

/// Tells somebody of what any process tells, for as long as they are there. Called within a runtime.
pub(crate) fn follow(redis: &Redis, follower: Weak<dyn Forgets>) {
    let redis = redis.clone();
    tokio::spawn(async move {
        while follower.strong_count() > 0 {
            let _ = listen(&redis, &follower).await;
            tokio::time::sleep(AGAIN).await;
        }
    });
}

/// Returns when the connection has ended, or nobody is there to be told.
async fn listen(redis: &Redis, follower: &Weak<dyn Forgets>) -> Result<(), BoxError> {
    let (client, installation) = redis.client()?;
    let mut connection = client.get_async_pubsub().await?;
    connection.subscribe(channel(&installation)).await?;
    let mut messages = connection.on_message();
    while let Some(message) = messages.next().await {
        let Some(follower) = follower.upgrade() else { break };
        let message: String = message.get_payload()?;
        let names: Vec<_> = message.lines().collect();
        match names.is_empty() {
            true => follower.forget_all(),
            false => follower.forget(&names),
        }
    }
    Ok(())
}
