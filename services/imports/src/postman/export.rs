//! The export of a collection: an API in Postman with an OpenAPI schema, made or brought up to date.

use std::io::Read as _;

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_ids::{CollectionId, JobId, WorkspaceId};
use portolan_jobs::{Attempt, NewJob};
use serde_json::Value;

use super::api::{ApiError, Client, PATIENCE_OF_JOB};
use super::credentials;
use crate::jobs;
use crate::model::ids;
use crate::model::jobs::{End, Progress, Task};
use crate::peers::Export;
use crate::{Deps, Error};

/// Pages of 100 endpoints that are exported.
const PAGES_MAX: usize = 200;
const SCHEMA_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Writes the schema down with the rights of the caller and begins the export. Returns its job.
///
/// # Errors
/// `POSTMAN_CREDENTIAL_REQUIRED`, and those of the collection.
pub async fn create(
    deps: &Deps,
    caller: &Caller,
    collection_id: CollectionId,
    only: Vec<(String, String)>,
) -> Result<JobId, Error> {
    credentials::get(deps, caller.account_id).await?;
    let upload_id = ids::upload(caller.account_id, &caller.info.write_id);
    if let Some(job) = deps.jobs.find(caller.account_id, upload_id.as_str()).await? {
        return Ok(job.job_id);
    }
    let (name, document) = document(deps, caller, collection_id, only).await?;
    let task = Task::ExportPostman { name: name.clone() };
    let job = jobs::new(caller, task, &upload_id, Some((collection_id, &name)));
    let waiting = deps.jobs.active_bytes(caller.account_id).await?;
    let share = deps.spool.share(caller.account_id, waiting)?;
    let mut file = deps.spool.create(job.job_id.as_str(), share).await?;
    file.write(document.to_string().as_bytes()).await?;
    let bytes_total = i64::try_from(file.finish().await?).unwrap_or(i64::MAX);
    Ok(jobs::insert_with_file(deps, NewJob { bytes_total, ..job }).await?.job_id)
}

/// The whole collection as one OpenAPI document, with the name under which it is listed.
async fn document(
    deps: &Deps,
    caller: &Caller,
    collection_id: CollectionId,
    only: Vec<(String, String)>,
) -> Result<(String, Value), Error> {
    let mut export = Export::new(&deps.peers, caller, collection_id, only);
    let (mut name, mut whole) = (String::new(), Value::Null);
    for _ in 0..PAGES_MAX {
        let page = export.page().await?;
        let document: Value = serde_json::from_str(&page.document).map_err(portolan_api::Error::internal)?;
        name = page.name;
        whole = merged(whole, document);
        if page.is_last {
            break;
        }
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
pub async fn run(deps: &Deps, job: &Attempt<Task>, name: &str) -> Result<End, Error> {
    let credential = match credentials::get(deps, job.account_id).await {
        Ok(credential) => credential,
        Err(Error::Refused(error)) if error.reason() == Reason::PostmanCredentialRequired => {
            return Ok(End::Failed(error.text()));
        }
        Err(error) => return Err(error),
    };
    let (deps_, file, reading) = (deps.clone(), job.job_id.clone(), job.pulse().clone());
    let content = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        deps_.spool.open(file.as_str(), reading)?.take(SCHEMA_BYTES_MAX).read_to_string(&mut text)?;
        Ok::<_, Error>(text)
    });
    let content = content.await??;
    let client = Client::new(deps, &credential.api_key, PATIENCE_OF_JOB, Some(job.pulse()));
    match export(deps, &client, &credential.workspace_id, name, &content).await {
        Ok(()) => Ok(End::Succeeded(Progress::default())),
        Err(Failure::Api(ApiError::Stopping)) => Err(ApiError::Stopping.into()),
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
    workspace_id: &WorkspaceId,
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
