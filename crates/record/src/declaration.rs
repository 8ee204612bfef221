use serde::{Deserialize, Serialize};

/// What a specification says of one operation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Declaration {
    /// The specification marks it as deprecated.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deprecated: bool,
    /// One line on what it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The groups that the document sorts the operation into.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Further URLs of the operation, one for each server after the first, with variable segments as in the record's
    /// own path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Declared response status codes; ranges and `default` are left out.
    pub response_codes: Vec<i32>,
    /// Of path, query, headers, cookies, and body.
    pub parameters: Vec<DeclaredParameter>,
    /// One entry per alternative of the effective security requirement; empty means no authentication is declared.
    pub auth: Vec<AuthAlternative>,
    /// The document that says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub specification: Option<Specification>,
}

/// A document that declares operations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Specification {
    /// The same for the same text.
    pub id: String,
    /// As its author called it.
    pub title: String,
    /// What the document says of itself.
    pub version: String,
}

/// One declared parameter, header or body leaf.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeclaredParameter {
    /// Where a call has it.
    pub location: Location,
    /// The status of the response that holds it; -1 for the request.
    pub response_code: i32,
    /// Header or query name; body leaf joined by `#` with `$` for an array level; for a path parameter the 0-based
    /// index of its segment among the path's segments.
    pub name: String,
    /// The name that the document gives a path parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// JSON Schema type: `string`, `integer`, `number`, `boolean`, `object`, `array`, `null`, or empty when unknown.
    #[serde(default)]
    pub schema_type: String,
    /// As the schema names it, such as `date-time`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// A call without it is refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// Example and enum values written in the document, as text; at most 5.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
}

/// Where a call has a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "each is the part of a call of its name")]
pub enum Location {
    Path,
    Query,
    Header,
    Cookie,
    Body,
}

/// The schemes that a caller has to use together. On the wire one scheme stands by itself, several in a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AuthAlternative {
    /// This scheme.
    One(DeclaredAuth),
    /// Every one of these together.
    All(Vec<DeclaredAuth>),
}

impl AuthAlternative {
    /// Its schemes.
    pub fn schemes(&self) -> &[DeclaredAuth] {
        match self {
            Self::One(scheme) => std::slice::from_ref(scheme),
            Self::All(schemes) => schemes,
        }
    }
}

impl From<DeclaredAuth> for AuthAlternative {
    fn from(scheme: DeclaredAuth) -> Self {
        Self::One(scheme)
    }
}

/// The kind of a declared security scheme, in the terms of OpenAPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "each is the security scheme of its name in OpenAPI")]
pub enum DeclaredAuth {
    ApiKey,
    Basic,
    Bearer,
    Oauth2,
    OpenIdConnect,
    MutualTls,
    /// An HTTP scheme other than basic and bearer.
    Http,
    /// The empty alternative `{}`: the operation may be called without credentials.
    None,
}
