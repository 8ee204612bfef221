//! What processes tell each other of changes: the names of values whose copies are worth nothing any more. Nobody relies
//! on it; a message that is lost costs nothing but the rest of a copy's time.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio_stream::StreamExt as _;

use crate::{Redis, link::Session};

/// Names of one message; above this it says that everything may have changed.
const NAMES_MAX: usize = 1_000;
/// Between two attempts to listen.
const AGAIN: Duration = Duration::from_secs(1);

/// Who keeps copies.
pub(crate) trait Forgets: Send + Sync {
    fn forget(&self, names: &[&str]);
    fn forget_all(&self);
}

/// Those who keep copies in this process.
#[derive(Clone, Default)]
pub(crate) struct Followers(Arc<Mutex<Vec<Weak<dyn Forgets>>>>);

impl Followers {
    /// Answers whether it is the first.
    pub fn add(&self, follower: Weak<dyn Forgets>) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(follower);
        all.len() == 1
    }

    /// Those that are still there; the list keeps no others.
    fn present(&self) -> Vec<Arc<dyn Forgets>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|follower| follower.strong_count() > 0);
        all.iter().filter_map(Weak::upgrade).collect()
    }

    fn hear(&self, message: &str) {
        let names: Vec<_> = message.lines().collect();
        for follower in self.present() {
            match names.is_empty() {
                true => follower.forget_all(),
                false => follower.forget(&names),
            }
        }
    }
}

/// The channel of an installation.
fn channel(installation: &str) -> String {
    format!("portolan:{installation}:changed")
}

/// Tells that values changed. A server that refuses messages is not at fault: its operator may have left them out.
pub(crate) async fn tell(redis: &Redis, names: &[String]) {
    let message = if names.len() > NAMES_MAX { String::new() } else { names.join("\n") };
    let publish = async |mut session: Session| {
        let channel = channel(&session.installation);
        let _ = redis::cmd("PUBLISH").arg(channel).arg(message).query_async::<()>(&mut session.connection).await;
        Ok(())
    };
    let _ = redis.hurried(publish).await;
}

/// Listens for as long as anybody keeps copies, and again a moment after each failure.
pub(crate) async fn listen(client: redis::Client, installation: Arc<str>, followers: Followers) {
    while !followers.present().is_empty() {
        let _ = follow(&client, &installation, &followers).await;
        tokio::time::sleep(AGAIN).await;
    }
}

async fn follow(client: &redis::Client, installation: &str, followers: &Followers) -> redis::RedisResult<()> {
    let mut connection = client.get_async_pubsub().await?;
    connection.subscribe(channel(installation)).await?;
    let mut messages = connection.on_message();
    while let Some(message) = messages.next().await {
        followers.hear(&message.get_payload::<String>()?);
    }
    Ok(())
}
