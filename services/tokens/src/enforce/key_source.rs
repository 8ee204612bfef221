use portolan_fetch::{Fetch, Request};
use portolan_jwks::{FetchFuture, Fetched, HttpGet};

/// Providers are asked through the client that guards every outgoing call.
pub(super) struct Guarded(pub Fetch);

impl HttpGet for Guarded {
    fn get<'a>(&'a self, url: &'a str, bytes_max: usize) -> FetchFuture<'a> {
        Box::pin(async move {
            let request = Request::get(url).header("accept", "application/json").bytes_max(bytes_max);
            let answer = self.0.send(request).await.map_err(|error| error.to_string())?;
            if answer.status.as_u16() != 200 {
                return Err(format!("status {}", answer.status.as_u16()));
            }
            let cache_control = answer.header("cache-control").to_owned();
            Ok(Fetched { body: answer.body.to_vec(), cache_control })
        })
    }
}
