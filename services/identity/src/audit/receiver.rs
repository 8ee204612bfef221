use std::time::Duration;

use portolan_authz::BoxFuture;
use portolan_fetch::{Fetch, Request};
use portolan_outbox::{Event, Failure, Sink};
use serde_json::{Value, json};

const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Shorter than a delivery of the outbox.
const TIME_MAX: Duration = Duration::from_secs(8);

/// Where signed heads are posted to, outside of the installation: `{"heads":[…]}`.
#[derive(Clone)]
pub struct HeadReceiver {
    fetch: Fetch,
    url: String,
}

impl HeadReceiver {
    /// Sends signed heads to this URL.
    pub fn new(fetch: Fetch, url: &str) -> Self {
        Self { fetch, url: url.to_owned() }
    }
}

impl Sink for HeadReceiver {
    fn deliver<'a>(&'a self, events: &'a [Event]) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let heads = events.iter().map(|event| serde_json::from_str(&event.payload));
            let heads = heads.collect::<Result<Vec<Value>, _>>().map_err(|error| Failure::Never(error.to_string()))?;
            let request = Request::post(self.url.clone()).json(&json!({ "heads": heads }));
            let request = request.bytes_max(ANSWER_BYTES_MAX).redirects_max(0).time_max(TIME_MAX);
            // The address stays out of the log: it may hold a secret.
            match self.fetch.send(request).await {
                Ok(answer) if answer.status.is_success() => Ok(()),
                Ok(answer) => Err(Failure::Later(format!("audit.heads_url answered {}", answer.status))),
                Err(error) => Err(Failure::Later(format!("audit.heads_url: {error}"))),
            }
        })
    }
}
