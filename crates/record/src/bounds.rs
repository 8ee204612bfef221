//! What one record may hold. Every door checks it before a record reaches the log, and the reader of the log checks it
//! again, so that no record costs its readers more than these bounds allow.

use crate::Record;

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

impl Record<'_> {
    /// Checks everything but the size of the written record.
    ///
    /// # Errors
    /// The first bound that is exceeded.
    pub fn check_bounds(&self) -> Result<(), BoundExceeded> {
        let segments = segments(&self.path);
        if segments > SEGMENTS_MAX {
            return Err(BoundExceeded::Segments(segments));
        }
        if self.path.len() > URL_BYTES_MAX {
            return Err(BoundExceeded::UrlBytes(self.path.len()));
        }
        let declared = self.declaration.as_ref().map_or(0, |declaration| declaration.parameters.len());
        let pairs = self.path.bytes().filter(|byte| *byte == b'&').count();
        match declared + pairs {
            count if count > PARAMETERS_MAX => Err(BoundExceeded::Parameters(count)),
            _ => Ok(()),
        }
    }

    /// The record in its wire form, if it keeps every bound.
    ///
    /// # Errors
    /// The first bound that is exceeded.
    pub fn to_bounded_json(&self) -> Result<String, BoundExceeded> {
        self.check_bounds()?;
        let json = self.to_json();
        if json.len() > RECORD_BYTES_MAX { Err(BoundExceeded::RecordBytes(json.len())) } else { Ok(json) }
    }
}

/// Segments of the path of a URL, absolute or not; scheme, host, query, and fragment do not count.
fn segments(url: &str) -> usize {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once("://").map_or(path, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    let path = path.strip_prefix('/').unwrap_or(path);
    if path.is_empty() { 0 } else { 1 + path.bytes().filter(|byte| *byte == b'/').count() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Declaration;

    fn check(path: &str) -> Result<(), BoundExceeded> {
        Record { path: path.into(), ..Record::default() }.check_bounds()
    }

    #[test]
    fn each_bound_is_the_last_value_that_is_taken() {
        let path = |segments: usize| "/a".repeat(segments);
        assert_eq!(check(&path(SEGMENTS_MAX)), Ok(()));
        assert_eq!(check(&path(SEGMENTS_MAX + 1)), Err(BoundExceeded::Segments(SEGMENTS_MAX + 1)));
        let absolute = format!("https://h.example{}?a=/b/c", path(SEGMENTS_MAX));
        assert_eq!(check(&absolute), Ok(()));
        assert_eq!(check(&format!("/{}", "a".repeat(URL_BYTES_MAX - 1))), Ok(()));
        let long = format!("/{}", "a".repeat(URL_BYTES_MAX));
        assert_eq!(check(&long), Err(BoundExceeded::UrlBytes(URL_BYTES_MAX + 1)));
    }

    #[test]
    fn declared_parameters_and_bytes_are_bounded() {
        let declared = |count: usize| {
            let json = r#"{"location":"query","responseCode":-1,"name":"a","schemaType":"string"}"#;
            let parameter: crate::DeclaredParameter = serde_json::from_str(json).unwrap();
            let declaration = Declaration { parameters: vec![parameter; count], ..Declaration::default() };
            Record { path: "/a".into(), declaration: Some(Box::new(declaration)), ..Record::default() }
        };
        assert_eq!(declared(PARAMETERS_MAX).check_bounds(), Ok(()));
        let over = declared(PARAMETERS_MAX + 1);
        assert_eq!(over.to_bounded_json(), Err(BoundExceeded::Parameters(PARAMETERS_MAX + 1)));
        let large =
            Record { path: "/a".into(), request_payload: "x".repeat(RECORD_BYTES_MAX).into(), ..Record::default() };
        assert!(matches!(large.to_bounded_json(), Err(BoundExceeded::RecordBytes(_))));
    }
}
