//! What every answer of a deprecated route says: since when, what takes its place, and until when it is served.
//!
//! `Deprecation` is that of RFC 9745, `Sunset` that of RFC 8594, the link relation `successor-version` that of RFC 5829.

use http::{HeaderMap, HeaderValue, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use portolan_api::Error;

use crate::{
    dialect,
    routes::{Route, param_of},
};

const EXPOSED: &str = "Deprecation, Link, Sunset";
const DOCUMENTATION: &str = "</docs>; rel=\"deprecation\"; type=\"text/html\"";
/// Unreserved characters of RFC 3986 stay.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Reads the configured end of deprecated routes, an RFC 3339 date; empty names none.
///
/// # Errors
/// `INTERNAL` for another text.
pub fn sunset(text: &str) -> Result<Option<HeaderValue>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |_| Error::internal(format!("http.sunset: `{text}` is no date such as 2027-06-01"));
    let date = time::Date::parse(text, time::macros::format_description!("[year]-[month]-[day]")).map_err(wrong)?;
    // A route ends after it was announced, never before.
    let since = portolan_api::policies().values().filter_map(|policy| Some(policy.deprecation.as_ref()?.since)).max();
    if since.is_some_and(|since| date.midnight().assume_utc().unix_timestamp() < since) {
        return Err(Error::internal(format!("http.sunset: `{text}` is before the deprecation itself")));
    }
    let format = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let text = date.midnight().format(&format).map_err(Error::internal)?;
    Ok(Some(HeaderValue::try_from(text).map_err(Error::internal)?))
}

/// The value of `Link` for a successor's path, with the page that explains.
pub(crate) fn successor_link(path: &str) -> String {
    format!("<{path}>; rel=\"successor-version\", {DOCUMENTATION}")
}

/// Adds the headers when the route is deprecated. A link that the service gave stays.
pub(crate) fn announce(headers: &mut HeaderMap, route: &Route, values: &[String], sunset: Option<&HeaderValue>) {
    let Some(deprecation) = &route.rpc.policy.deprecation else { return };
    if let Ok(since) = HeaderValue::try_from(format!("@{}", deprecation.since)) {
        headers.insert("deprecation", since);
    }
    if !headers.contains_key(header::LINK) {
        let path = successor(&deprecation.successor, route, values);
        if let Ok(link) = HeaderValue::try_from(successor_link(&path)) {
            headers.insert(header::LINK, link);
        }
    }
    if let Some(sunset) = sunset {
        headers.insert("sunset", sunset.clone());
    }
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
}

/// Fills the parameters of the request's path in and ends before the first one that is not known. A route without the
/// parameter that its dialect may omit is the direct form of the same resource, and so is its successor.
fn successor(template: &str, route: &Route, values: &[String]) -> String {
    let given: Vec<_> = route.pattern.split('/').filter_map(param_of).map(|(name, _)| name).zip(values).collect();
    let omitted = dialect::of(route.rpc.policy.dialect).omitted_param();
    let mut path = String::new();
    let mut segments = template.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if let Some((name, _)) = segments.peek().copied().and_then(param_of)
            && Some(name) == omitted
            && !given.iter().any(|(other, _)| *other == name)
        {
            segments.next();
            continue;
        }
        match param_of(segment) {
            None => path = format!("{path}/{segment}"),
            Some((name, _)) => match given.iter().find(|(other, _)| *other == name) {
                Some((_, value)) => path = format!("{path}/{}", utf8_percent_encode(value, SEGMENT)),
                None => break,
            },
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sunset_is_a_date_of_http() {
        assert_eq!(sunset("2026-12-01").unwrap().unwrap(), "Tue, 01 Dec 2026 00:00:00 GMT");
        assert_eq!(sunset("").unwrap(), None);
        assert!(sunset("soon").is_err() && sunset("2025-11-30").is_err());
    }
}
