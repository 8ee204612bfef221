//! A Postman collection kept as the specification of an API collection: an OpenAPI document without values.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_formats::postman::{Document, RequestOutcome};
use portolan_ids::{AccountId, CollectionId};
use portolan_outbox::Change;
use portolan_record::Source;
use portolan_runtime::now_s;
use portolan_store::retrying;
use serde_json::{Map, Value, json};

use super::api::{ApiError, Client, PATIENCE_OF_REQUEST};
use super::credentials;
use crate::model::documents::Destination;
use crate::model::specifications::Specification;
use crate::model::targets::Wanted;
use crate::model::text::without_nul;
use crate::store::specifications as rows;
use crate::{Deps, Error, targets};

/// Largest specification that is kept.
const CONTENT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Fetches a collection and keeps it for the API collection, instead of an earlier one.
///
/// # Errors
/// `MEMBER_REQUIRED`, `COLLECTION_NOT_FOUND`, `POSTMAN_CREDENTIAL_REQUIRED`, `POSTMAN_KEY_INVALID`,
/// `POSTMAN_COLLECTION_NOT_FOUND`, `POSTMAN_UNAVAILABLE`, `POSTMAN_FILE_INVALID`.
pub async fn save(
    deps: &Deps,
    caller: &Caller,
    postman_collection_id: Option<String>,
    collection_id: CollectionId,
) -> Result<(), Error> {
    let uid = postman_collection_id.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty());
    let credential = credentials::get(deps, caller.account_id).await?;
    let uid =
        uid.ok_or_else(|| portolan_api::Error::new(Reason::MemberRequired).with("member", "postmanCollectionId"))?;
    let target =
        targets::resolve(deps, caller, Wanted::Id(collection_id.into())).await?.ok_or(Reason::CollectionNotFound)?;
    let client = Client::new(deps, &credential.api_key, PATIENCE_OF_REQUEST, None);
    let text = client.collection(&uid).await.map_err(|error: ApiError| Error::from(error))?;
    let destination = Destination {
        account_id: caller.account_id,
        collection_id: target.collection_id,
        path_only: false,
        time: now_s(),
    };
    let turn = deps.documents.take(caller.account_id, text.len()).await;
    let converted = portolan_runtime::in_background_from(text.len(), move || {
        let _turn = turn;
        convert(&text, &destination)
    });
    let specification = converted.await?.ok_or(Reason::PostmanFileInvalid)?;
    let specification = &specification;
    retrying(|| async {
        let mut tx = deps.db.begin().await?;
        rows::put(&mut tx, caller.account_id, collection_id, specification, caller.user_id).await?;
        let change = Change::of("specification", collection_id).after(&json!({ "name": specification.name }));
        portolan_outbox::audit(&mut tx, caller, change).await?;
        tx.commit().await?;
        Ok(())
    })
    .await
}

/// The specification of a collection.
pub async fn find(
    deps: &Deps,
    account_id: AccountId,
    collection_id: CollectionId,
) -> Result<Option<Specification>, Error> {
    Ok(rows::get(&deps.db, account_id, collection_id).await?)
}

fn convert(text: &[u8], destination: &Destination) -> Option<Specification> {
    let document = Document::parse(text).ok()?;
    let collection = document.collections().next()?;
    let name = collection.name().unwrap_or_else(|| "Postman collection".to_owned());
    let mut paths = BTreeMap::new();
    collection.convert(&destination.target(Source::Postman), &mut |outcome| {
        if !outcome.records.is_empty() {
            add(&mut paths, &outcome);
        }
        ControlFlow::Continue(())
    });
    let content = json!({"openapi": "3.0.3", "info": {"title": name, "version": "1.0.0"}, "paths": paths}).to_string();
    let name = without_nul(name.chars().take(200).collect());
    (content.len() <= CONTENT_BYTES_MAX).then_some(Specification { name, content, updated_at: destination.time })
}

/// Adds a request: its path with named variables, its server, its query names and the statuses of its answers.
fn add(paths: &mut BTreeMap<String, Map<String, Value>>, outcome: &RequestOutcome) {
    let (origin, path) = match outcome.url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            (Some(format!("{scheme}://{host}")), path)
        }
        None => (None, outcome.url.as_str()),
    };
    let mut parameters = Vec::new();
    let mut written = String::new();
    for segment in path.split('/').skip(1) {
        written.push('/');
        let schema = match segment {
            "INTEGER" => "integer",
            "STRING" => "string",
            literal => {
                written.push_str(literal);
                continue;
            }
        };
        let name = format!("param{}", parameters.len() + 1);
        written.push_str(&format!("{{{name}}}"));
        parameters.push(json!({"name": name, "in": "path", "required": true, "schema": {"type": schema}}));
    }
    let mut names = Vec::new();
    let mut responses = Map::new();
    for record in &outcome.records {
        let query = record.path.split_once('?').map_or("", |(_, query)| query);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let name = pair.split('=').next().unwrap_or_default().to_owned();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if record.status_code >= 100 {
            responses.insert(record.status_code.to_string(), json!({"description": record.status}));
        }
    }
    let query = names.into_iter().map(|name| json!({"name": name, "in": "query", "schema": {"type": "string"}}));
    parameters.extend(query);
    if responses.is_empty() {
        responses.insert("default".to_owned(), json!({"description": ""}));
    }
    let item = paths.entry(written).or_default();
    if let Some(origin) = origin {
        item.entry("servers").or_insert_with(|| json!([{"url": origin}]));
    }
    let operation = json!({"summary": outcome.name, "parameters": parameters, "responses": responses});
    item.entry(outcome.method.to_lowercase()).or_insert(operation);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_becomes_a_document_without_values() {
        let text = r#"{"collection": {"info": {"name": "Shop"}, "item": [{"name": "get", "request": {"method": "GET",
            "url": "https://h/u/:id?page=secret", "header": [{"key": "x", "value": "secret"}]},
            "response": [{"code": 200, "status": "OK", "body": "secret"}]}]}}"#;
        let destination =
            Destination { account_id: AccountId(1), collection_id: CollectionId(2), path_only: false, time: 3 };
        let found = convert(text.as_bytes(), &destination).unwrap();
        let document: Value = serde_json::from_str(&found.content).unwrap();
        assert_eq!((found.name.as_str(), &document["info"]["title"]), ("Shop", &json!("Shop")));
        let item = &document["paths"]["/u/{param1}"];
        assert_eq!(item["servers"], json!([{"url": "https://h"}]));
        assert_eq!(item["get"]["parameters"][1]["name"], "page");
        assert_eq!(item["get"]["responses"], json!({"200": {"description": "OK"}}));
        assert!(!found.content.contains("secret"));
    }
}
