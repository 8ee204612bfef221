use serde::{Deserialize, Serialize};

/// The product scope that a call is made in; it selects the entry of the user's scope-role mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "each is the product of its name")]
pub enum Scope {
    #[default]
    Api,
    Mcp,
    GenAi,
    Agentic,
    Dast,
    Endpoint,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 6] = [Self::Api, Self::Mcp, Self::GenAi, Self::Agentic, Self::Dast, Self::Endpoint];

    /// Any case; absent, empty and unknown names mean API.
    pub fn parse(name: &str) -> Self {
        match name.trim().to_ascii_uppercase().as_str() {
            "MCP" => Self::Mcp,
            "GEN_AI" => Self::GenAi,
            "AGENTIC" => Self::Agentic,
            "DAST" => Self::Dast,
            "ENDPOINT" => Self::Endpoint,
            _ => Self::Api,
        }
    }

    /// As in `x-context-source` and in stored roles.
    pub fn name(self) -> &'static str {
        match self {
            Self::Api => "API",
            Self::Mcp => "MCP",
            Self::GenAi => "GEN_AI",
            Self::Agentic => "AGENTIC",
            Self::Dast => "DAST",
            Self::Endpoint => "ENDPOINT",
        }
    }
}
