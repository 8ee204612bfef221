//! What calls on a gRPC port take of the budget.
//!
//! Callers that come through the gateway are counted there, so services of the installation pass. Of every other call
//! the message under way counts for its account, or for its address without one. The messages of a stream count one by
//! one: what came before is with its handler. A message to what anybody may call is small. A stream lasts as long as its
//! client likes, so it holds no place at work.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use portolan_api::{Error, Reason, Who, options::PUBLIC_BYTES_MAX};
use portolan_authz::{Caller, RequestInfo};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use crate::budget::{CallBudget, Hold, Owner};

/// A compression flag and the length of the message behind it.
const HEADER_BYTES: usize = 5;

/// Counts calls and their bodies; belongs behind the guard, which says who calls.
#[derive(Clone)]
pub struct CallsLayer(pub CallBudget);

impl<S> Layer<S> for CallsLayer {
    type Service = Calls<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Calls { budget: self.0.clone(), inner }
    }
}

#[derive(Clone)]
pub struct Calls<S> {
    budget: CallBudget,
    inner: S,
}

impl<S> Service<Request<Body>> for Calls<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Some(owner) = owner(&request) else { return Box::pin(self.inner.call(request)) };
        let mut hold = self.budget.hold(owner);
        let policy = portolan_api::policy(request.uri().path());
        let is_unary = policy.is_some_and(|policy| !policy.streams_request);
        let is_public = policy.is_some_and(|policy| policy.who == Who::Public);
        let bytes_max = if is_public { PUBLIC_BYTES_MAX } else { usize::MAX };
        // The one that was found ready serves this call.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        Box::pin(async move {
            if is_unary {
                hold.enter().await;
            }
            let hold = Arc::new(Mutex::new(hold));
            let counted =
                |body| Body::new(Counted { body, hold: hold.clone(), message: Message::default(), bytes_max });
            let answer = inner.call(request.map(counted)).await;
            // What was read is held until there is an answer.
            drop(hold);
            answer
        })
    }
}

/// Who is charged; nobody for what another service passes on.
fn owner(request: &Request<Body>) -> Option<Owner> {
    let caller = request.extensions().get::<Caller>();
    let info = caller.map(|caller| &caller.info).or_else(|| request.extensions().get::<RequestInfo>())?;
    if !info.speaker.is_empty() {
        return None;
    }
    let unknown = [0, 0, 0, 0].into();
    Some(match caller {
        Some(caller) => Owner::Account(caller.account_id),
        None => Owner::Address(info.client_address.parse().unwrap_or(unknown)),
    })
}

/// A body whose bytes are counted while they arrive.
struct Counted {
    body: Body,
    hold: Arc<Mutex<Hold>>,
    message: Message,
    /// Of one message.
    bytes_max: usize,
}

impl Counted {
    fn hold(&self) -> MutexGuard<'_, Hold> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&mut self, data: &Bytes) -> Result<(), Status> {
        let mut rest = &data[..];
        while !rest.is_empty() {
            if self.message.is_whole() {
                self.hold().release();
                self.message = Message::default();
            }
            let taken = self.message.take(rest);
            if self.message.length() > self.bytes_max {
                return Err(Error::new(Reason::BodyTooLarge).with("limit", self.bytes_max).into());
            }
            self.hold().grow(taken)?;
            rest = &rest[taken..];
        }
        Ok(())
    }
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(frame)) => frame,
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => return Poll::Pending,
        };
        let counted = frame.and_then(|frame| match frame.data_ref() {
            Some(data) => self.count(data).map(|()| frame),
            None => Ok(frame),
        });
        Poll::Ready(Some(counted))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How much of a message has come.
#[derive(Default)]
struct Message {
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    /// Behind the header.
    bytes: usize,
}

impl Message {
    fn length(&self) -> usize {
        let [_, length @ ..] = self.header;
        usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX)
    }

    fn is_whole(&self) -> bool {
        self.header_bytes == HEADER_BYTES && self.bytes >= self.length()
    }

    /// Takes what belongs to this message, and says how much that is.
    fn take(&mut self, data: &[u8]) -> usize {
        let of_header = data.len().min(HEADER_BYTES - self.header_bytes);
        self.header[self.header_bytes..self.header_bytes + of_header].copy_from_slice(&data[..of_header]);
        self.header_bytes += of_header;
        if self.header_bytes < HEADER_BYTES {
            return of_header;
        }
        let of_message = (data.len() - of_header).min(self.length() - self.bytes);
        self.bytes += of_message;
        of_header + of_message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    const KIB: usize = 1 << 10;

    fn message(bytes: usize) -> Vec<u8> {
        let mut message = vec![0];
        message.extend(u32::try_from(bytes).unwrap().to_be_bytes());
        message.resize(HEADER_BYTES + bytes, 7);
        message
    }

    async fn read(budget: &CallBudget, pieces: Vec<Vec<u8>>) -> Result<usize, Status> {
        read_up_to(usize::MAX, budget, pieces).await
    }

    async fn read_up_to(bytes_max: usize, budget: &CallBudget, pieces: Vec<Vec<u8>>) -> Result<usize, Status> {
        let hold = Arc::new(Mutex::new(budget.hold(Owner::Account(1.into()))));
        let pieces = pieces.into_iter().map(|piece| Ok::<_, Status>(Frame::data(Bytes::from(piece))));
        let body = Body::new(http_body_util::StreamBody::new(tokio_stream::iter(pieces)));
        let mut counted = Counted { body, hold, message: Message::default(), bytes_max };
        let mut bytes = 0;
        while let Some(frame) = counted.frame().await {
            bytes += frame?.into_data().unwrap().len();
        }
        Ok(bytes)
    }

    #[tokio::test]
    async fn a_message_counts_whole_and_those_of_a_stream_one_by_one() {
        let budget = CallBudget::new(200 * KIB, 100 * KIB);
        let large: Vec<Vec<u8>> = message(120 * KIB).chunks(KIB).map(<[u8]>::to_vec).collect();
        let refused = read(&budget, large).await.unwrap_err();
        assert_eq!(portolan_api::Error::from(refused).reason(), Reason::BodiesShareExceeded);
        // Pieces that end anywhere, also within a header.
        let stream = message(80 * KIB).repeat(10);
        for piece in [7, 4_096, stream.len()] {
            let pieces = stream.chunks(piece).map(<[u8]>::to_vec).collect();
            assert_eq!(read(&budget, pieces).await.unwrap(), stream.len(), "in pieces of {piece}");
        }
        // Nothing is left of any of them.
        budget.hold(Owner::Account(1.into())).grow(100 * KIB).unwrap();
    }

    #[tokio::test]
    async fn a_message_that_says_that_it_is_large_is_refused_at_once() {
        let budget = CallBudget::new(200 * KIB, 100 * KIB);
        assert_eq!(read_up_to(KIB, &budget, vec![message(KIB)]).await.unwrap(), HEADER_BYTES + KIB);
        let first = message(KIB + 1)[..HEADER_BYTES].to_vec();
        let refused = read_up_to(KIB, &budget, vec![first]).await.unwrap_err();
        assert_eq!(portolan_api::Error::from(refused).reason(), Reason::BodyTooLarge);
    }
}
