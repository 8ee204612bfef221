use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::Method;
use crate::headers::Headers;
use crate::text::contains_ignoring_case;

/// The protocol an endpoint speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "each is the protocol of its name")]
pub enum ApiType {
    Rest,
    Graphql,
    Grpc,
    Soap,
    Websocket,
}

impl ApiType {
    /// Every API type.
    pub const ALL: [Self; 5] = [Self::Rest, Self::Graphql, Self::Grpc, Self::Soap, Self::Websocket];

    /// What one call speaks, by its URL, the headers of the request, and the request's body.
    pub fn of_call(method: Method, url: &str, headers: &Headers<'_>, payload: &str) -> Self {
        let is_upgrade = || headers.get("upgrade").is_some_and(|value| value.trim().eq_ignore_ascii_case("websocket"));
        if method == Method::Ws || is_upgrade() {
            return Self::Websocket;
        }
        let content_type = headers.get("content-type").unwrap_or_default();
        let is_type = |part: &str| contains_ignoring_case(content_type, part);
        let at_graphql = !crate::template::is_templatable(url);
        if at_graphql && payload.contains("query") || is_type("application/graphql") || is_graphql(payload) {
            return Self::Graphql;
        }
        if is_type("grpc") {
            Self::Grpc
        } else if is_type("json") || is_type("form") {
            Self::Rest
        } else if is_type("soap") || is_type("xml") {
            Self::Soap
        } else {
            Self::Rest
        }
    }

    /// As the contract spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rest => "REST",
            Self::Graphql => "GRAPHQL",
            Self::Grpc => "GRPC",
            Self::Soap => "SOAP",
            Self::Websocket => "WEBSOCKET",
        }
    }

    /// The API type of a documented name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|api_type| api_type.name() == name)
    }
}

/// Whether a body asks by GraphQL over HTTP: an object whose `query` is an executable document, or a batch of them.
fn is_graphql(payload: &str) -> bool {
    #[derive(Deserialize)]
    struct Asked<'a> {
        #[serde(borrow)]
        query: Cow<'a, str>,
    }
    // What costs a reading is looked for first: a document has braces of its own.
    if !payload.contains("\"query\"") || payload.matches('{').nth(1).is_none() {
        return false;
    }
    match payload.trim_start().as_bytes().first() {
        Some(b'{') => serde_json::from_str(payload).is_ok_and(|asked: Asked<'_>| is_document(&asked.query)),
        Some(b'[') => serde_json::from_str(payload)
            .is_ok_and(|batch: Vec<Asked<'_>>| batch.iter().all(|asked| is_document(&asked.query))),
        _ => false,
    }
}

/// Whether a text begins as an executable document does: a selection, or a definition, behind comments.
fn is_document(text: &str) -> bool {
    let mut rest = text.trim_start();
    while let Some(comment) = rest.strip_prefix('#') {
        rest = comment.split_once('\n').map_or("", |(_, rest)| rest).trim_start();
    }
    let keyword = rest.find(|c: char| !c.is_ascii_alphabetic()).map_or(rest, |end| &rest[..end]);
    let begins = rest.starts_with('{') || ["query", "mutation", "subscription", "fragment"].contains(&keyword);
    begins && rest.contains('{') && rest.trim_end().ends_with('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_tells_the_protocol() {
        let of = |url: &str, content_type: &str, payload: &str| {
            let headers = format!("{{\"Content-Type\":\"{content_type}\"}}");
            ApiType::of_call(Method::Post, url, &Headers::parse(&headers), payload)
        };
        assert_eq!(of("/a", "application/json", "{}"), ApiType::Rest);
        assert_eq!(of("/graphql", "application/json", r#"{"query":"{a}"}"#), ApiType::Graphql);
        assert_eq!(of("/graphs/7", "application/json", "{}"), ApiType::Rest);
        for body in [
            r##"{"operationName":"Me","query":"# who\nquery Me { me { id } }","variables":{"a":1}}"##,
            r#"[{"query":"{ me { id } }"},{"query":"mutation Sign($in: In!) { sign(in: $in) { ok } }"}]"#,
            r#"{"query":"subscription { messages { text } }"}"#,
        ] {
            assert_eq!(of("/api/gateway", "application/json", body), ApiType::Graphql, "{body}");
        }
        for body in [
            r#"{"query":"queries {a}"}"#,
            r#"{"query":{"match":{"title":"query { a }"}}}"#,
            r#"{"query":"find {me}","filter":{"a":1}}"#,
            r#"{"note":"\"query\": \"{ a }\""}"#,
            r#"[{"query":"{ a }"},{"other":{}}]"#,
        ] {
            assert_eq!(of("/api/gateway", "application/json", body), ApiType::Rest, "{body}");
        }
        assert_eq!(of("/api/gateway", "application/graphql", "{ me }"), ApiType::Graphql);
        assert_eq!(of("/a", "application/grpc+proto", ""), ApiType::Grpc);
        assert_eq!(of("/a", "text/XML; charset=utf-8", "<a/>"), ApiType::Soap);
        assert_eq!(of("/a", "", ""), ApiType::Rest);
        assert_eq!(ApiType::of_call(Method::Ws, "/a", &Headers::default(), ""), ApiType::Websocket);
    }
}
