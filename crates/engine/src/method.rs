use serde::{Deserialize, Serialize};

/// The verb of an endpoint. A verb outside the list is [`Method::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "each is the HTTP method of its name")]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
    Head,
    Options,
    Trace,
    Patch,
    Track,
    Connect,
    Ws,
    /// The safe method with a body.
    Query,
    /// Stands in a declaration for each method that is not declared beside it.
    Any,
    Other,
}

impl Method {
    /// Every method that is told apart.
    pub const ALL: [Self; 14] = [
        Self::Get,
        Self::Post,
        Self::Put,
        Self::Delete,
        Self::Head,
        Self::Options,
        Self::Trace,
        Self::Patch,
        Self::Track,
        Self::Connect,
        Self::Ws,
        Self::Query,
        Self::Any,
        Self::Other,
    ];

    /// Reads a verb in any case.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        Self::ALL.into_iter().find(|method| method.name().eq_ignore_ascii_case(text)).unwrap_or(Self::Other)
    }

    /// In capital letters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
            Self::Track => "TRACK",
            Self::Connect => "CONNECT",
            Self::Ws => "WS",
            Self::Query => "QUERY",
            Self::Any => "ANY",
            Self::Other => "OTHER",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_any_case_and_keeps_unknown_verbs_as_other() {
        assert_eq!(Method::parse("get"), Method::Get);
        assert_eq!(Method::parse(" PaTcH "), Method::Patch);
        assert_eq!(Method::parse("PROPFIND"), Method::Other);
        assert_eq!(Method::parse(""), Method::Other);
    }
}
