//! One gRPC call by hand: a frame out, a frame back, and the status from the trailers.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, Version, header, uri::PathAndQuery};
use http_body_util::{BodyExt, Full};
use portolan_api::{Error, Reason};
use tonic::{Code, Status, body::Body};
use tower::ServiceExt;

use crate::ports::Backend;

/// Length of a gRPC frame's header: a compression flag and the message's length.
pub(crate) const FRAME_HEADER_BYTES: usize = 5;
/// Largest answer of a service. Lists are capped far below; this bounds the memory of one request.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Longest work on one request; a 64 MiB capture takes seconds.
const CALL_TIME_MAX: Duration = Duration::from_secs(120);
/// The same as the header that asks the service to give up.
const CALL_TIME_HEADER: HeaderValue = HeaderValue::from_static("120S");

/// Calls a unary RPC. `frame` is a message with [`FRAME_HEADER_BYTES`] of room before it.
pub(crate) async fn unary(
    backend: Backend,
    path: &PathAndQuery,
    mut metadata: HeaderMap,
    mut frame: Vec<u8>,
) -> Result<Bytes, Error> {
    let len = frame.len().saturating_sub(FRAME_HEADER_BYTES);
    let len = u32::try_from(len).map_err(|_| Error::new(Reason::BodyTooLarge).with("limit", u32::MAX))?;
    frame[1..FRAME_HEADER_BYTES].copy_from_slice(&len.to_be_bytes());
    metadata.insert("grpc-timeout", CALL_TIME_HEADER);
    let body = Body::new(Full::new(Bytes::from(frame)));
    tokio::time::timeout(CALL_TIME_MAX, call(backend, path, metadata, body))
        .await
        .map_err(|_| Error::unavailable(format!("{path} took longer than {} s", CALL_TIME_MAX.as_secs())))?
}

/// Calls an RPC with a stream of framed messages. There is no time limit, since a client may send for hours; a silent
/// one is cut off by the body itself.
pub(crate) async fn call(
    backend: Backend,
    path: &PathAndQuery,
    metadata: HeaderMap,
    body: Body,
) -> Result<Bytes, Error> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = Uri::from(path.clone());
    *request.headers_mut() = metadata;
    request.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));

    let lost = |error: tower::BoxError| match Status::try_from_error(error) {
        // What the transport reports about itself, such as a refused connection, is never the caller's fault.
        Ok(status) if status.code() != Code::Unknown => Error::from_status(&status),
        Ok(status) => Error::unavailable(format!("{path}: {}", status.message())),
        Err(error) => Error::unavailable(format!("{path}: {error}")),
    };
    let response = backend.oneshot(request).await.map_err(lost)?;
    if response.status() != StatusCode::OK {
        return Err(Error::unavailable(format!("{path} answered HTTP {}", response.status())));
    }
    // A status in the headers means that there is no message.
    if let Some(status) = Status::from_header_map(response.headers()) {
        return Err(refusal(path, status));
    }

    let mut body = response.into_body();
    let mut received = Received::default();
    let mut trailers = HeaderMap::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|status| lost(status.into()))?;
        match frame.into_data() {
            Ok(data) => received.push(data)?,
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    match Status::from_header_map(&trailers) {
        Some(status) if status.code() == Code::Ok => received.message(path),
        Some(status) => Err(refusal(path, status)),
        None => Err(Error::unavailable(format!("{path} ended without a status"))),
    }
}

fn refusal(path: &PathAndQuery, status: Status) -> Error {
    match status.code() {
        Code::Ok => Error::internal(format!("{path} answered no message")),
        _ => Error::from_status(&status),
    }
}

/// The bytes of an answer. Nearly always they come in one piece, which is kept as it is.
#[derive(Default)]
struct Received {
    first: Bytes,
    rest: BytesMut,
}

impl Received {
    fn push(&mut self, data: Bytes) -> Result<(), Error> {
        if self.first.len() + self.rest.len() + data.len() > ANSWER_BYTES_MAX + FRAME_HEADER_BYTES {
            return Err(Error::internal("an answer is too large"));
        }
        if self.first.is_empty() && self.rest.is_empty() {
            self.first = data;
            return Ok(());
        }
        if self.rest.is_empty() {
            self.rest.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.rest.extend_from_slice(&data);
        Ok(())
    }

    /// The only message.
    fn message(self, path: &PathAndQuery) -> Result<Bytes, Error> {
        let bytes = if self.rest.is_empty() { self.first } else { self.rest.freeze() };
        match bytes.as_ref() {
            [0, a, b, c, d, message @ ..] if u32::from_be_bytes([*a, *b, *c, *d]) as usize == message.len() => {
                Ok(bytes.slice(FRAME_HEADER_BYTES..))
            }
            _ => Err(Error::internal(format!("{path} answered something else than one plain message"))),
        }
    }
}
