//! The export of a collection: an API in Postman with an OpenAPI schema, made or brought up to date.

use std::io::Read as _;

use portolan_api::Reason;
use portolan_api::inventory::v1::export_service_client::ExportServiceClient;
use portolan_api::inventory::v1::{EndpointKey, ExportOpenApiRequest};
use portolan_authz::Caller;
use serde_json::Value;

use super::api::{ApiError, Client, PATIENCE_OF_JOB};
use super::credentials;
use crate::import_job::End;
use crate::jobs::{self, Job, JobKind};
use crate::spool::Meter;
use crate::{Deps, Error, id};

/// Pages of 100 endpoints that are exported.
const PAGES_MAX: usize = 200;
const SCHEMA_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Writes the schema down with the rights of the caller and begins the export. Answers its job.
///
/// # Errors
/// `POSTMAN_CREDENTIAL_REQUIRED`, and those of the collection.
pub async fn create(
    deps: &Deps,
    caller: &Caller,
    collection_id: i32,
    only: Vec<(String, String)>,
) -> Result<String, Error> {
    credentials::get(deps, caller.account_id).await?;
    let upload_id = id::upload(caller.account_id, &caller.info.write_id);
    if let Some(job) = crate::store::jobs::get_by_upload(&deps.db, caller.account_id, &upload_id).await? {
        return Ok(job.job_id);
    }
    let (name, document) = document(deps, caller, collection_id, only).await?;
    let mut file = deps.spool.create(&upload_id).await?;
    file.write(document.to_string().as_bytes()).await?;
    let bytes_total = i64::try_from(file.finish().await?).unwrap_or(i64::MAX);
    let job = Job {
        input: name.clone(),
        collection_id: Some(collection_id),
        collection_name: name,
        bytes_total,
        ..Job::new(caller, JobKind::ExportPostman, upload_id)
    };
    Ok(jobs::insert(deps, job, deps.spool.id().await?).await?.job_id)
}

/// The whole collection as one OpenAPI document, with the name under which it is listed.
async fn document(
    deps: &Deps,
    caller: &Caller,
    collection_id: i32,
    only: Vec<(String, String)>,
) -> Result<(String, Value), Error> {
    let only: Vec<_> =
        only.into_iter().map(|(url, method)| EndpointKey { api_collection_id: collection_id, url, method }).collect();
    let channel = deps.peers.inventory.clone();
    let mut client = ExportServiceClient::with_interceptor(channel, deps.peers.as_caller(caller))
        .max_decoding_message_size(512 << 20);
    let mut request = ExportOpenApiRequest {
        api_collection_id: collection_id,
        api_info_key_list: only,
        ..ExportOpenApiRequest::default()
    };
    let (mut name, mut whole) = (String::new(), Value::Null);
    for _ in 0..PAGES_MAX {
        let answer = client.export_open_api(request.clone()).await.map_err(portolan_api::Error::from)?.into_inner();
        let page: Value = serde_json::from_str(&answer.open_api_string).map_err(portolan_api::Error::internal)?;
        name = answer.display_name;
        whole = merged(whole, page);
        if answer.last_fetched_url.is_none() {
            return Ok((name, whole));
        }
        (request.last_fetched_url, request.last_fetched_method) = (answer.last_fetched_url, answer.last_fetched_method);
    }
    Ok((name, whole))
}

/// Adds the paths of a page. A path whose methods stand on two pages has both.
fn merged(mut whole: Value, page: Value) -> Value {
    let Value::Object(paths) = page["paths"].clone() else { return page };
    let Some(known) = whole.get_mut("paths").and_then(Value::as_object_mut) else { return page };
    for (path, item) in paths {
        match (known.get_mut(&path).and_then(Value::as_object_mut), item) {
            (Some(there), Value::Object(item)) => there.extend(item),
            (_, item) => drop(known.insert(path, item)),
        }
    }
    whole
}

/// Finds or makes the API, then its schema. A repetition finds what was made.
///
/// # Errors
/// What may go better later.
pub async fn run(deps: &Deps, job: &Job, meter: &Meter) -> Result<End, Error> {
    let credential = match credentials::get(deps, job.account_id).await {
        Ok(credential) => credential,
        Err(Error::Refused(error)) if error.reason() == Reason::PostmanCredentialRequired => {
            return Ok(End::Failed(error.text()));
        }
        Err(error) => return Err(error),
    };
    let (deps_, upload_id, reading) = (deps.clone(), job.upload_id.clone(), meter.clone());
    let content = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        deps_.spool.open(&upload_id, reading)?.take(SCHEMA_BYTES_MAX).read_to_string(&mut text)?;
        Ok::<_, Error>(text)
    });
    let content = content.await??;
    let client = Client::new(deps, &credential.api_key, PATIENCE_OF_JOB, Some(meter));
    match export(deps, &client, &credential.workspace_id, &job.input, &content).await {
        Ok(()) => Ok(End::Succeeded),
        Err(Failure::Api(ApiError::Stopping)) => Err(Error::Stopping),
        Err(Failure::Api(error)) => Ok(End::Failed(error.to_string())),
        Err(Failure::Own(error)) => Err(error),
    }
}

enum Failure {
    Api(ApiError),
    Own(Error),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

async fn export(
    deps: &Deps,
    client: &Client<'_>,
    workspace_id: &str,
    name: &str,
    content: &str,
) -> Result<(), Failure> {
    let api_name = format!("AKTO {name}");
    let api_id = match client.find_api(&api_name, workspace_id).await? {
        Some(id) => id,
        None => client.create_api(&api_name, workspace_id, &format!("The API {name} as it is seen in traffic")).await?,
    };
    deps.db.fault("imports.postman_api").await.map_err(|error| Failure::Own(error.into()))?;
    match client.first_schema(&api_id).await? {
        None => client.create_schema(&api_id, content).await?,
        Some(schema_id) => client.update_schema(&api_id, &schema_id, content).await?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pages_become_one_document() {
        let first = json!({"openapi": "3.0.1", "paths": {"/a": {"get": 1}, "/b": {"get": 2}}});
        let second = json!({"openapi": "3.0.1", "paths": {"/b": {"post": 3}, "/c": {"get": 4}}});
        let whole = merged(merged(Value::Null, first), second);
        assert_eq!(whole["paths"], json!({"/a": {"get": 1}, "/b": {"get": 2, "post": 3}, "/c": {"get": 4}}));
    }
}
