//! Calls that were really made: `calls.txt`, which a test of the whole system writes and compares with the answers of a
//! running installation. What differs from run to run stands in angle brackets, such as `<now>`.

use std::collections::HashMap;

const CALLS: &str = include_str!("calls.txt");

/// A POST by an administrator and its answer.
pub(super) struct Recorded {
    pub body: &'static str,
    pub status: &'static str,
    pub answer: &'static str,
}

/// The first call of each path that was answered with success, else the first.
pub(super) fn calls() -> HashMap<&'static str, Recorded> {
    let mut calls: HashMap<_, Recorded> = HashMap::new();
    for call in CALLS.split_terminator("\n\n") {
        let mut lines = call.splitn(3, '\n');
        let (Some(path), Some(body), Some(reply)) = (lines.next(), lines.next(), lines.next()) else { continue };
        let (status, answer) = reply.split_once(' ').unwrap_or((reply, ""));
        let is_success = |status: &str| status.starts_with('2');
        if calls.get(path).is_none_or(|known| !is_success(known.status) && is_success(status)) {
            calls.insert(path, Recorded { body, status, answer });
        }
    }
    calls
}

impl Recorded {
    /// The call as a command, and what it printed.
    pub fn shown(&self, path: &str) -> String {
        let answer = serde_json::from_str::<serde_json::Value>(self.answer);
        let answer = answer.map_or_else(|_| self.answer.to_owned(), |answer| format!("{answer:#}"));
        format!(
            "curl -i \"$PORTOLAN_URL{path}\" -H \"x-api-key: $PORTOLAN_KEY\" -H 'content-type: application/json' \\\n  \
             -d '{}'\n\nHTTP/1.1 {}\n\n{answer}",
            self.body.replace('\'', r"'\''"),
            self.status
        )
    }
}
