//! The specification that a user keeps for a collection without ingesting it: it declares operations, and makes no
//! endpoints.

use portolan_engine::drift::Shape;
use portolan_path::{Kind, Template};
use serde_json::Value;

use crate::{Deps, Error, model::keys, peers, store::specifications::DeclaredRow};

/// Members of a path item that are operations.
const METHODS: [&str; 9] = ["get", "put", "post", "delete", "options", "head", "patch", "trace", "query"];

/// A kept specification, read.
pub(crate) struct Kept {
    pub(crate) title: String,
    pub(crate) version: String,
    /// Unix seconds.
    pub(crate) updated_at: i64,
    /// The document as JSON text.
    pub(crate) document: String,
    pub(crate) operations: Vec<DeclaredRow>,
}

/// That of a collection; nothing where none is kept.
pub(crate) async fn of(deps: &Deps, account_id: i64, collection_id: i32) -> Result<Option<Kept>, Error> {
    let kept = peers::kept_specification(&deps.peers, account_id, collection_id).await?;
    Ok(kept.map(|kept| {
        let document: Value = serde_json::from_str(&kept.content).unwrap_or_default();
        let version = document["info"]["version"].as_str().unwrap_or_default().to_owned();
        let operations = operations(&document);
        Kept { title: kept.name, version, updated_at: kept.updated_at, document: kept.content, operations }
    }))
}

/// The operations of a document by the URLs of their servers, with words in place of names.
fn operations(document: &Value) -> Vec<DeclaredRow> {
    let mut rows = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        let server = [item, document].into_iter().find_map(|node| node["servers"][0]["url"].as_str());
        let server = server.unwrap_or_default().trim_end_matches('/');
        let operations = item.as_object().into_iter().flatten();
        for (method, operation) in operations.filter(|(name, _)| METHODS.contains(&name.as_str())) {
            let is_integer = |name: &str| {
                let mut parameters = operation["parameters"].as_array().into_iter().flatten();
                parameters.any(|known| known["name"] == name && known["schema"]["type"] == "integer")
            };
            let kind = |name: &str| if is_integer(name) { Kind::Integer } else { Kind::String };
            let url = format!("{server}{}", Template::parse(path, &kind).words());
            let method = method.to_ascii_uppercase();
            rows.push(DeclaredRow { key: keys::endpoint_key(&method, &url), method, url, shape: Shape::default() });
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn operations_have_the_urls_of_their_servers() {
        let id = json!([{"name": "id", "in": "path", "schema": {"type": "integer"}}]);
        let document = json!({"paths": {
            "/users/{id}/{name}": {"servers": [{"url": "https://h/v1/"}], "get": {"parameters": id}, "parameters": []},
            "/plain": {"post": {}},
        }});
        let mut found: Vec<_> =
            operations(&document).into_iter().map(|row| format!("{} {}", row.method, row.url)).collect();
        found.sort();
        assert_eq!(found, ["GET https://h/v1/users/INTEGER/STRING", "POST /plain"]);
        assert!(operations(&Value::Null).is_empty());
    }
}
