//! The specification that a user keeps for a collection without ingesting it: it declares operations, and makes no
//! endpoints.

use portolan_engine::drift::Shape;
use portolan_formats::{Target, openapi::Document};
use portolan_ids::{AccountId, CollectionId};
use portolan_record::Source;

use crate::{Deps, Error, model::keys, peers, store::specifications::DeclaredRow};

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
pub(crate) async fn of(deps: &Deps, account_id: AccountId, collection_id: CollectionId) -> Result<Option<Kept>, Error> {
    let kept = peers::kept_specification(&deps.peers, account_id, collection_id).await?;
    Ok(kept.map(|kept| {
        let document = Document::parse(kept.content.as_bytes()).ok();
        Kept {
            title: kept.name,
            version: document.as_ref().map(|document| document.specification().version).unwrap_or_default(),
            updated_at: kept.updated_at,
            operations: document.as_ref().map(operations).unwrap_or_default(),
            document: kept.content,
        }
    }))
}

/// The operations of a document by the URLs of their servers, with words in place of names, as those that are ingested.
fn operations(document: &Document) -> Vec<DeclaredRow> {
    // What is read makes no records, so that it belongs to nobody.
    let nobody = Target { account_id: 0, collection_id: 0, time: 0, source: Source::OpenApi };
    let mut rows = Vec::new();
    for outcome in document.operations(&nobody) {
        let Some(declaration) = outcome.record.and_then(|record| record.declaration) else { continue };
        let shape = Shape::from(&*declaration);
        let row = |url: String| DeclaredRow {
            key: keys::endpoint_key(&outcome.method, &url),
            method: outcome.method.clone(),
            url,
            shape: shape.clone(),
        };
        rows.extend(std::iter::once(outcome.url).chain(declaration.addresses.iter().cloned()).map(row));
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
        let document = json!({"openapi": "3.0.3", "info": {"title": "T", "version": "1"}, "paths": {
            "/users/{id}/{name}": {"servers": [{"url": "https://h/v1/"}], "get": {"parameters": id}, "parameters": []},
            "/orders/{id}": {"parameters": id, "delete": {"deprecated": true}},
            "/plain": {"post": {}},
        }});
        let found = operations(&Document::parse(document.to_string().as_bytes()).unwrap()).into_iter();
        let mut found: Vec<_> = found.map(|row| (row.method, row.url, row.shape.deprecated)).collect();
        found.sort();
        let expected = [
            ("DELETE", "/orders/INTEGER", true),
            ("GET", "https://h/v1/users/INTEGER/STRING", false),
            ("POST", "/plain", false),
        ];
        assert_eq!(found, expected.map(|(method, url, deprecated)| (method.to_owned(), url.to_owned(), deprecated)));
    }
}
