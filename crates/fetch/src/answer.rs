use std::io::Read;

use bytes::Bytes;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use futures::StreamExt as _;
use http::{HeaderMap, header};

use crate::FetchError;

/// Reads the body of an answer up to a limit, then decompresses it under the same limit.
pub(crate) async fn body(response: reqwest::Response, bytes_max: usize) -> Result<Bytes, FetchError> {
    let encoding = encoding(response.headers());
    if response.content_length().is_some_and(|length| length > bytes_max as u64) {
        return Err(FetchError::TooLarge(bytes_max));
    }
    let mut body = Vec::new();
    let mut pieces = response.bytes_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| FetchError::NoAnswer)?;
        if body.len() + piece.len() > bytes_max {
            return Err(FetchError::TooLarge(bytes_max));
        }
        body.extend_from_slice(&piece);
    }
    match encoding.as_str() {
        "" | "identity" => Ok(body.into()),
        "gzip" | "x-gzip" => decompressed(MultiGzDecoder::new(body.as_slice()), bytes_max),
        "deflate" => decompressed(ZlibDecoder::new(body.as_slice()), bytes_max),
        _ => Err(FetchError::BadEncoding),
    }
}

fn encoding(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().trim().to_ascii_lowercase()
}

fn decompressed(reader: impl Read, bytes_max: usize) -> Result<Bytes, FetchError> {
    let mut body = Vec::new();
    reader.take(bytes_max as u64 + 1).read_to_end(&mut body).map_err(|_| FetchError::BadEncoding)?;
    if body.len() > bytes_max { Err(FetchError::TooLarge(bytes_max)) } else { Ok(body.into()) }
}
