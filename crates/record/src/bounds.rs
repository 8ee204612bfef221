//! What one record may hold. Every door checks it before a record reaches the log, and the reader of the log checks it
//! again, so that no record costs its readers more than these bounds allow.

/// Largest URL of a record, with its query, in bytes. Servers and proxies refuse longer ones.
pub const URL_BYTES_MAX: usize = 16 * 1024;
/// Most segments of a URL's path.
pub const SEGMENTS_MAX: usize = 256;
/// Most parameters of one record: pairs of the query and parameters that a specification declares.
pub const PARAMETERS_MAX: usize = 50_000;
/// Largest record, in bytes of its wire form: what the log takes as one message.
pub const RECORD_BYTES_MAX: usize = 5 * 1024 * 1024;

/// Which bound a record exceeds. The text is for the person who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the text of each variant says what was exceeded, and by what")]
pub enum BoundExceeded {
    #[error("the URL has {0} bytes; at most {URL_BYTES_MAX} are taken")]
    UrlBytes(usize),
    #[error("the URL has {0} path segments; at most {SEGMENTS_MAX} are taken")]
    Segments(usize),
    #[error("the record has {0} parameters; at most {PARAMETERS_MAX} are taken")]
    Parameters(usize),
    #[error("Message too big size: {0}")]
    RecordBytes(usize),
}

/// Checks a URL and the number of parameters that are declared beside it.
pub(crate) fn check(url: &str, declared: usize) -> Result<(), BoundExceeded> {
    let segments = segments(url);
    if segments > SEGMENTS_MAX {
        return Err(BoundExceeded::Segments(segments));
    }
    if url.len() > URL_BYTES_MAX {
        return Err(BoundExceeded::UrlBytes(url.len()));
    }
    let pairs = url.bytes().filter(|byte| *byte == b'&').count();
    match declared + pairs {
        count if count > PARAMETERS_MAX => Err(BoundExceeded::Parameters(count)),
        _ => Ok(()),
    }
}

/// Checks the size of a written record.
pub(crate) fn check_size(bytes: usize) -> Result<(), BoundExceeded> {
    if bytes > RECORD_BYTES_MAX { Err(BoundExceeded::RecordBytes(bytes)) } else { Ok(()) }
}

/// Segments of the path of a URL, absolute or not; scheme, host, query, and fragment do not count.
fn segments(url: &str) -> usize {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once("://").map_or(path, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    let path = path.strip_prefix('/').unwrap_or(path);
    if path.is_empty() { 0 } else { 1 + path.bytes().filter(|byte| *byte == b'/').count() }
}
