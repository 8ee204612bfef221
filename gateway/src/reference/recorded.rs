//! Calls that were really made: `calls.txt`, which a test of the whole system writes and compares with the answers of a
//! running installation. What differs from run to run and what is secret stands in angle brackets, such as `<now>`.
//!
//! A call is verb and route, the path and query if they differ from the route, the body if there is one, and status and
//! answer; an empty line ends it.

use std::collections::HashMap;

use super::operation::Operation;

const CALLS: &str = include_str!("calls.txt");

/// A call with the credential that its route asks for, and its answer.
pub(super) struct Recorded {
    target: &'static str,
    body: &'static str,
    status: &'static str,
    answer: &'static str,
}

/// The first call of each verb and route that was answered with success, else the first.
pub(super) fn calls() -> HashMap<&'static str, Recorded> {
    let mut calls: HashMap<_, Recorded> = HashMap::new();
    for call in CALLS.split_terminator("\n\n") {
        let mut lines = call.lines();
        let Some(route) = lines.next() else { continue };
        let mut recorded =
            Recorded { target: route.split_once(' ').unwrap_or_default().1, body: "", status: "", answer: "" };
        for line in lines {
            match line.as_bytes().first() {
                Some(b'/') => recorded.target = line,
                Some(b'{') => recorded.body = line,
                _ => (recorded.status, recorded.answer) = line.split_once(' ').unwrap_or((line, "")),
            }
        }
        let is_success = |recorded: &Recorded| recorded.status.starts_with('2');
        if calls.get(route).is_none_or(|known| !is_success(known) && is_success(&recorded)) {
            calls.insert(route, recorded);
        }
    }
    calls
}

/// The name of an operation's call.
pub(super) fn name(operation: &Operation) -> String {
    format!("{} {}", operation.route.verb, operation.route.pattern)
}

impl Recorded {
    /// The call as a command, and what it printed.
    pub fn shown(&self, operation: &Operation) -> String {
        let answer = serde_json::from_str::<serde_json::Value>(self.answer);
        let answer = answer.map_or_else(|_| self.answer.to_owned(), |answer| format!("{answer:#}"));
        let mut command = format!("curl -i \"$PORTOLAN_URL{}\"", self.target);
        if operation.route.verb != "POST" && operation.route.verb != "GET" {
            command.push_str(&format!(" -X {}", operation.route.verb));
        } else if operation.route.verb == "POST" && self.body.is_empty() {
            command.push_str(" -X POST");
        }
        if !operation.is_public() {
            command.push_str(&format!(" -H \"{}\"", operation.dialect().credential_example()));
        }
        if !self.body.is_empty() {
            let body = self.body.replace('\'', r"'\''");
            command.push_str(&format!(" -H 'content-type: application/json' \\\n  -d '{body}'"));
        }
        format!("{command}\n\nHTTP/1.1 {}\n\n{answer}", self.status)
    }
}
