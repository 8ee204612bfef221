//! Request bodies: read whole up to a limit, or passed on in pieces as messages of a stream.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use portolan_api::{Error, Reason};
use portolan_runtime::budget::Hold;
use tokio::time::{Instant, Sleep, timeout};
use tower::BoxError;

use crate::codec::put_tag_bytes;

/// Longest silence of a client that is sending a body.
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);
/// Longest time that a whole body may take to arrive, however lively its client is.
const WHOLE_TIME_MAX: Duration = Duration::from_secs(120);
/// How long the rest of a body is read and thrown away after an early answer. A client that is still sending would
/// otherwise see a reset connection in place of the answer.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);
/// Largest piece of a streamed body in one message; far below what a gRPC server takes.
const PIECE_BYTES_MAX: usize = 1024 * 1024;
/// Room made before the first byte of a body arrives, whatever `content-length` promises.
const RESERVE_BYTES_MAX: usize = 1024 * 1024;

/// A body that is drained when it is dropped unread.
pub(crate) struct RequestBody {
    body: Option<Body>,
    /// The client holds the body back until it is asked for, so there is nothing to drain.
    is_held_back: bool,
    length: Option<u64>,
}

impl RequestBody {
    pub fn new(body: Body, headers: &HeaderMap) -> Self {
        let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        Self { body: Some(body), is_held_back: headers.contains_key(header::EXPECT), length }
    }

    /// Whether it is known, without reading, that there is no body.
    pub fn is_empty(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.is_end_stream())
    }

    /// Reads all of it, within what its owner may hold. Errors: `BODY_TOO_LARGE`; `BODIES_SHARE_EXCEEDED`;
    /// `BODIES_BUDGET_EXCEEDED`; `BODY_NOT_JSON` when the client stops sending.
    pub async fn read(mut self, limit: usize, hold: &mut Hold) -> Result<Bytes, Error> {
        let too_large = || Error::new(Reason::BodyTooLarge).with("limit", limit);
        if self.length.is_some_and(|length| length > limit as u64) {
            return Err(too_large());
        }
        let incomplete = |detail| Error::new(Reason::BodyNotJson).with("detail", detail);
        let mut first = Bytes::new();
        let mut whole = Vec::new();
        let deadline = Instant::now() + WHOLE_TIME_MAX;
        // The body stays in `self` until it is read, so that an early return drains it.
        while let Some(body) = &mut self.body {
            let patience = IDLE_TIME_MAX.min(deadline.saturating_duration_since(Instant::now()));
            let frame = timeout(patience, body.frame()).await.map_err(|_| incomplete("it did not arrive in time"))?;
            let Some(frame) = frame else { break };
            let Ok(data) = frame.map_err(|_| incomplete("it ended early"))?.into_data() else { continue };
            if first.len() + whole.len() + data.len() > limit {
                return Err(too_large());
            }
            hold.grow(data.len())?;
            if first.is_empty() && whole.is_empty() {
                first = data;
                continue;
            }
            if whole.is_empty() {
                let announced = self.length.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
                whole.reserve(announced.min(RESERVE_BYTES_MAX).max(first.len() + data.len()));
                whole.extend_from_slice(&std::mem::take(&mut first));
            }
            whole.extend_from_slice(&data);
        }
        self.body = None;
        Ok(if whole.is_empty() { first } else { whole.into() })
    }

    /// Passes it on as a stream of messages: `first`, then every piece in the bytes field with this number.
    pub fn into_messages(mut self, first: Vec<u8>, number: u32) -> tonic::body::Body {
        let body = self.body.take().unwrap_or_default();
        let pending = [Some(frame_of(first.len(), &first)), None];
        let idle = Box::pin(tokio::time::sleep(IDLE_TIME_MAX));
        tonic::body::Body::new(Messages { body, number, pending, piece: Bytes::new(), idle })
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(mut body) = self.body.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if body.is_end_stream() || self.is_held_back {
            return;
        }
        runtime.spawn(timeout(DRAIN_TIME_MAX, async move { while let Some(Ok(_)) = body.frame().await {} }));
    }
}

/// A raw body as gRPC messages. The pieces are passed on without a copy; only their prefixes are new.
struct Messages {
    body: Body,
    number: u32,
    /// Written before anything else: a prefix, then its piece.
    pending: [Option<Bytes>; 2],
    /// What is left of the last chunk.
    piece: Bytes,
    idle: Pin<Box<Sleep>>,
}

impl http_body::Body for Messages {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            let this = &mut *self;
            if let Some(bytes) = this.pending.iter_mut().find_map(Option::take) {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if !this.piece.is_empty() {
                let piece = this.piece.split_to(this.piece.len().min(PIECE_BYTES_MAX));
                this.pending = [Some(piece_prefix(this.number, piece.len())), Some(piece)];
                continue;
            }
            match Pin::new(&mut this.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    this.idle.as_mut().reset(Instant::now() + IDLE_TIME_MAX);
                    this.piece = frame.into_data().unwrap_or_default();
                }
                // The error resets the stream, so that the service never takes a broken upload for a whole one.
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error.into()))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending if this.idle.as_mut().poll(context).is_ready() => {
                    return Poll::Ready(Some(Err("the client stopped sending".into())));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

fn frame_of(len: usize, message: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(5 + message.len());
    frame.push(0);
    frame.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(message);
    frame.into()
}

/// The frame header of a message that holds one bytes field, with everything before the bytes themselves.
fn piece_prefix(number: u32, len: usize) -> Bytes {
    let mut field = Vec::with_capacity(12);
    put_tag_bytes(&mut field, number, len);
    frame_of(field.len() + len, &field)
}

#[cfg(test)]
mod tests {
    use portolan_runtime::budget::{CallBudget, Owner};

    use super::*;

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit() {
        let budget = CallBudget::new(10, 10);
        let read = async |text: &'static str, limit| {
            let mut hold = budget.hold(Owner::Account(1.into()));
            RequestBody::new(Body::from(text), &HeaderMap::new()).read(limit, &mut hold).await
        };
        assert_eq!(read("abc", 3).await.unwrap(), "abc");
        assert_eq!(read("abcd", 3).await.unwrap_err().reason(), Reason::BodyTooLarge);
    }

    #[tokio::test]
    async fn pieces_are_messages() {
        let body = RequestBody::new(Body::from(vec![7u8; PIECE_BYTES_MAX + 1]), &HeaderMap::new());
        let bytes = body.into_messages(vec![8, 1], 5).collect().await.unwrap().to_bytes();
        assert_eq!(&bytes[..7], [0, 0, 0, 0, 2, 8, 1]);
        let tail = &bytes[bytes.len() - 8..];
        assert_eq!(tail, [0, 0, 0, 0, 3, 5 << 3 | 2, 1, 7]);
        assert_eq!(bytes.len(), 7 + 5 + 4 + PIECE_BYTES_MAX + 8);
    }
}
