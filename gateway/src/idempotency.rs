//! `Idempotency-Key`: the same key, caller and request gets the first answer again and does nothing.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use portolan_api::{Error, Reason};
use sha2::{Digest, Sha256};

use crate::{
    dialect::Form,
    error,
    ports::{Begin, IdempotencyId, IdempotencyStore, StoredAnswer},
    reply::Reply,
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const KEY_CHARACTERS_MAX: usize = 255;
/// Largest answer that is kept for repetitions.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// An answer as it is sent now and as a repetition gets it, without secrets.
pub(crate) struct Answered {
    pub reply: Reply,
    pub replay: Reply,
}

/// The key of a request, when it has one and its verb may change something.
pub(crate) fn key_of(verb: &Method, headers: &HeaderMap) -> Result<Option<String>, Error> {
    if !matches!(*verb, Method::POST | Method::PUT | Method::PATCH | Method::DELETE) {
        return Ok(None);
    }
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=KEY_CHARACTERS_MAX).contains(&key.len()) && values.next().is_none() => Ok(Some(key.to_owned())),
        _ => Err(Reason::IdempotencyKeyInvalid.into()),
    }
}

/// The SHA-256 of everything that makes a request this one. A streamed body is told apart by its service, which keeps the
/// digest of what it read.
pub(crate) fn digest(verb: &Method, uri: &Uri, body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [verb.as_str().as_bytes(), uri.path().as_bytes(), uri.query().unwrap_or_default().as_bytes(), body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// The id under which services make a write happen once: equal for repetitions of a key, and for nothing else.
pub(crate) fn write_id(id: &IdempotencyId) -> String {
    let mut hash = Sha256::new();
    hash.update((id.scope.len() as u64).to_be_bytes());
    hash.update(&id.scope);
    hash.update(&id.key);
    hex::encode(hash.finalize())
}

/// Runs `work` unless the request was answered before. The `work` of a streamed request runs again and comes to the same
/// answer: only its service can tell whether the same body was sent.
///
/// Errors of `work` are rendered in their form and stored when they would be the same again. The caller of this future
/// must see it to its end, or the key stays held until the store lets it lapse.
pub(crate) async fn once(
    store: &dyn IdempotencyStore,
    id: &IdempotencyId,
    digest: [u8; 32],
    form: Form,
    request_id: &str,
    is_streamed: bool,
    work: impl Future<Output = Result<Answered, Error>>,
) -> Result<Reply, Error> {
    match store.begin(id, digest).await? {
        Begin::Fresh => {}
        Begin::Replay(_) if is_streamed => return work.await.map(|answered| mark_replayed(answered.replay)),
        Begin::Replay(stored) => return replay(stored),
        Begin::Conflict => return Err(Reason::IdempotencyKeyReused.into()),
        Begin::InProgress => return Err(Reason::IdempotencyKeyInUse.into()),
    }
    let answered = match AssertUnwindSafe(work).catch_unwind().await {
        Ok(Ok(answered)) => answered,
        Ok(Err(failure)) => {
            let reply = error::render(&failure, form, request_id);
            Answered { replay: reply.clone(), reply }
        }
        Err(_) => {
            let reply = error::render(&Error::internal("a request panicked"), form, request_id);
            Answered { replay: reply.clone(), reply }
        }
    };
    // A larger answer is not kept: a repetition makes the write under its id, which changes nothing, and is answered anew.
    let is_kept = is_final(answered.reply.status()) && answered.replay.body().len() <= KEPT_BYTES_MAX;
    let kept = if is_kept { store.finish(id, stored(&answered.replay)).await } else { store.abandon(id).await };
    if let Err(failure) = kept {
        // The answer stands. A repetition does the work again under the same write id, which changes nothing.
        tracing::warn!(request_id, %failure, "an idempotent answer was not kept");
    }
    Ok(answered.reply)
}

/// Whether a repetition would be answered alike. Refusals that depend on the caller's rights or on the moment are not.
fn is_final(status: StatusCode) -> bool {
    status.is_success() || matches!(status.as_u16(), 400 | 404 | 409 | 422)
}

fn stored(reply: &Reply) -> StoredAnswer {
    let text = |(name, value): (&HeaderName, &HeaderValue)| Some((name.to_string(), value.to_str().ok()?.to_owned()));
    StoredAnswer {
        status: reply.status().as_u16(),
        headers: reply.headers().iter().filter_map(text).collect(),
        body: reply.body().clone(),
    }
}

fn replay(stored: StoredAnswer) -> Result<Reply, Error> {
    let unreadable = || Error::internal("a stored answer cannot be read");
    let mut reply = Response::new(stored.body);
    *reply.status_mut() = StatusCode::from_u16(stored.status).map_err(|_| unreadable())?;
    for (name, value) in &stored.headers {
        let name = HeaderName::try_from(name).map_err(|_| unreadable())?;
        reply.headers_mut().append(name, HeaderValue::try_from(value).map_err(|_| unreadable())?);
    }
    Ok(mark_replayed(reply))
}

fn mark_replayed(mut reply: Reply) -> Reply {
    reply.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_bounds() {
        let key = |text: &str| {
            let headers = HeaderMap::from_iter([(IDEMPOTENCY_KEY, HeaderValue::from_str(text).unwrap())]);
            key_of(&Method::POST, &headers)
        };
        assert_eq!(key(&"k".repeat(255)).unwrap().unwrap().len(), 255);
        assert!(key("").is_err() && key(&"k".repeat(256)).is_err());
        let headers = HeaderMap::from_iter([(IDEMPOTENCY_KEY, HeaderValue::from_static("k"))]);
        assert_eq!(key_of(&Method::GET, &headers).unwrap(), None);
    }

    #[test]
    fn ids_and_digests_do_not_meet_by_accident() {
        let id = |scope: &str, key: &str| write_id(&IdempotencyId { scope: scope.into(), key: key.into() });
        assert_ne!(id("a", "bc"), id("ab", "c"));
        let uri = |text| Uri::from_static(text);
        assert_ne!(digest(&Method::POST, &uri("/a?b"), b""), digest(&Method::POST, &uri("/a"), b"b"));
    }
}
