use serde::{Deserialize, Serialize};

use crate::Method;
use crate::body::contains_ignoring_case;
use crate::headers::Headers;

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
        if !crate::template::is_templatable(url) && payload.contains("query") {
            return Self::Graphql;
        }
        let content_type = headers.get("content-type").unwrap_or_default();
        let is_type = |part: &str| contains_ignoring_case(content_type, part);
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
        assert_eq!(of("/a", "application/grpc+proto", ""), ApiType::Grpc);
        assert_eq!(of("/a", "text/XML; charset=utf-8", "<a/>"), ApiType::Soap);
        assert_eq!(of("/a", "", ""), ApiType::Rest);
        assert_eq!(ApiType::of_call(Method::Ws, "/a", &Headers::default(), ""), ApiType::Websocket);
    }
}
