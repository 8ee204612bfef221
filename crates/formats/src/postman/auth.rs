use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::tree::{Map, Node};

use super::scope::Scope;

/// How a request shows who sends it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Auth {
    #[default]
    None,
    /// A header, unless the request writes it itself.
    Header(String, String),
    Query(String, String),
    /// A scheme that this converter does not know.
    Unknown(String),
}

/// Stands for a credential that the file does not hold.
const UNKNOWN: &str = "-";

/// Reads an `auth` member; `None` when the place inherits.
pub(super) fn read(auth: Option<&Node>, scope: &Scope<'_>) -> Option<Auth> {
    let auth = auth?.as_map()?;
    let kind = auth.get("type")?.scalar()?;
    if matches!(&*kind, "inherit" | "inherited") {
        return None;
    }
    let values = Values { node: auth.get(&kind), scope };
    Some(of_kind(&kind, &values))
}

/// Reads the helper of version 1.
pub(super) fn read_helper(request: &Map, scope: &Scope<'_>) -> Option<Auth> {
    let kind = request.get("currentHelper")?.scalar()?;
    let values = Values { node: request.get("helperAttributes"), scope };
    Some(of_kind(kind.strip_suffix("Auth").unwrap_or(&kind), &values))
}

fn of_kind(kind: &str, values: &Values<'_, '_>) -> Auth {
    let header = |value: String| Auth::Header("authorization".to_owned(), value);
    match kind {
        "noauth" | "" | "normal" | "null" => Auth::None,
        "bearer" => header(format!("Bearer {}", values.or_unknown("token"))),
        "jwt" => header(format!("Bearer {}", values.or_unknown("token"))),
        "basic" => {
            let (user, password) = (values.get("username"), values.get("password"));
            header(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
        }
        "apikey" => {
            let name =
                Some(values.get("key")).filter(|name| !name.is_empty()).unwrap_or_else(|| "x-api-key".to_owned());
            let value = values.or_unknown("value");
            if values.get("in") == "query" {
                Auth::Query(name, value)
            } else {
                Auth::Header(name.to_lowercase(), value)
            }
        }
        "oauth2" => {
            let token = values.or_unknown("accessToken");
            if values.get("addTokenTo") == "queryParams" {
                return Auth::Query("access_token".to_owned(), token);
            }
            let prefix = Some(values.get("headerPrefix").trim().to_owned()).filter(|prefix| !prefix.is_empty());
            header(format!("{} {token}", prefix.as_deref().unwrap_or("Bearer")))
        }
        // Signed per request: the scheme is known, the signature is not.
        "oauth1" => header("OAuth".to_owned()),
        "digest" => header("Digest".to_owned()),
        "hawk" => header("Hawk".to_owned()),
        "awsv4" | "aws" => header("AWS4-HMAC-SHA256".to_owned()),
        "ntlm" => header("NTLM".to_owned()),
        "edgegrid" => header("EG1-HMAC-SHA256".to_owned()),
        other => Auth::Unknown(other.chars().take(60).collect()),
    }
}

/// The parameters of a scheme: an object in 2.0, a list of `key` and `value` in 2.1.
struct Values<'d, 's> {
    node: Option<&'d Node>,
    scope: &'s Scope<'s>,
}

impl Values<'_, '_> {
    fn get(&self, name: &str) -> String {
        let found = match self.node {
            Some(Node::Map(map)) => map.get(name),
            Some(Node::List(list)) => {
                let named = |entry: &&Node| entry.get("key").and_then(Node::as_text) == Some(name);
                list.iter().find(named).and_then(|entry| entry.get("value"))
            }
            _ => None,
        };
        self.scope.resolve(&found.and_then(Node::scalar).unwrap_or_default())
    }

    fn or_unknown(&self, name: &str) -> String {
        Some(self.get(name)).filter(|value| !value.is_empty()).unwrap_or_else(|| UNKNOWN.to_owned())
    }
}
