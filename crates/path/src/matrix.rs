use std::borrow::Cow;

/// The matrix parameters of a segment (`;name=value`), with their names. What stands in parentheses is no parameter, and
/// neither is a list such as `101;204`.
pub fn matrix_parameters(segment: &str) -> impl Iterator<Item = (&str, &str)> {
    let (_, parameters) = split(segment);
    parameters.split(';').filter_map(|parameter| parameter.split_once('='))
}

/// The path without the matrix parameters of its segments.
pub fn without_matrix(path: &str) -> Cow<'_, str> {
    if !path.contains(';') {
        return Cow::Borrowed(path);
    }
    let mut text = String::with_capacity(path.len());
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            text.push('/');
        }
        text.push_str(split(segment).0);
    }
    Cow::Owned(text)
}

/// What servers call the id of a session among matrix parameters, in lower case.
const SESSIONS: [&str; 6] = ["jsessionid", "sid", "sessionid", "session_id", "phpsessid", "aspsessionid"];

/// The path without the matrix parameters that are ids of sessions.
pub(crate) fn without_sessions(path: &str) -> Cow<'_, str> {
    let is_session = |parameter: &str| {
        let name = parameter.split_once('=').map(|(name, _)| name.to_ascii_lowercase());
        name.is_some_and(|name| SESSIONS.contains(&&*name))
    };
    if !path.split(['/', ';']).any(is_session) {
        return Cow::Borrowed(path);
    }
    let kept = path.split('/').map(|segment| {
        let mut parts = segment.split(';');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.filter(|part| !is_session(part)).fold(first, |kept, part| format!("{kept};{part}"))
    });
    Cow::Owned(kept.collect::<Vec<_>>().join("/"))
}

/// A segment and its parameters. All that follows the first parameter has to be one.
fn split(segment: &str) -> (&str, &str) {
    let outside = segment.rfind([')', '}']).map_or(0, |at| at + 1);
    let Some(at) = segment[outside..].find(';').map(|at| outside + at) else { return (segment, "") };
    let parameters = &segment[at + 1..];
    let is_parameter = |text: &str| {
        let name = text.split_once('=').map(|(name, _)| name).unwrap_or_default();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._%".contains(&byte);
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name[1..].bytes().all(|byte| plain(byte) || byte == b'_')
    };
    if parameters.split(';').all(is_parameter) { (&segment[..at], parameters) } else { (segment, "") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_belong_to_their_segment() {
        for (path, expected, parameters) in [
            ("/a;x=1/b;y=2;z=", "/a/b", vec![("x", "1"), ("y", "2"), ("z", "")]),
            ("/cart;jsessionid=A1.node", "/cart", vec![("jsessionid", "A1.node")]),
            ("/questions/101;204;377/answers", "/questions/101;204;377/answers", vec![]),
            ("/Orders(a=1;b=2)", "/Orders(a=1;b=2)", vec![]),
            ("/a;b", "/a;b", vec![]),
            ("/{id};rev=3", "/{id}", vec![("rev", "3")]),
            ("/;x=1", "/", vec![("x", "1")]),
        ] {
            assert_eq!(without_matrix(path), expected, "{path}");
            let found: Vec<_> = path.split('/').flat_map(matrix_parameters).collect();
            assert_eq!(found, parameters, "{path}");
        }
    }
}
