//! The collections of a Postman workspace: fetched one by one for review.

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_formats::Format;
use portolan_formats::openapi::{ErrorType, ImportError};
use portolan_runtime::now_s;

use super::api::{ApiError, Client, PATIENCE_OF_JOB};
use super::credentials;
use crate::model::credentials::Credential;
use crate::model::documents::{Converted, Place};
use crate::model::ids;
use crate::model::jobs::{End, Finished, Job, JobKind, REFUSALS_MAX, Refusal};
use crate::model::uploads::{Group, Upload, UploadKind};
use crate::spool::Meter;
use crate::store::{jobs as job_rows, uploads as rows};
use crate::{Deps, Error, documents, job_input, jobs};

/// Collections of one workspace that are fetched.
const COLLECTIONS_MAX: usize = 1_000;

/// Begins the import, whose job has the credential until it is known to be good. Returns the ids of its upload and job.
///
/// # Errors
/// `POSTMAN_KEY_INVALID`, `POSTMAN_WORKSPACE_INVALID` when one is missing.
pub async fn create(
    deps: &Deps,
    caller: &Caller,
    api_key: Option<String>,
    workspace_id: Option<String>,
) -> Result<(String, String), Error> {
    let given = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let api_key = given(api_key).ok_or(Reason::PostmanKeyInvalid)?;
    let workspace_id = given(workspace_id).ok_or(Reason::PostmanWorkspaceInvalid)?;
    let credential = Credential { api_key, workspace_id: workspace_id.clone() };
    let upload_id = ids::upload(caller.account_id, &caller.info.write_id);
    let kind = UploadKind::PostmanWorkspace;
    let name = format!("Postman workspace {workspace_id}");
    let mut upload = Converted::default().upload(caller.into(), upload_id.clone(), kind, name, now_s());
    upload.workspace_id = workspace_id;
    rows::insert(&deps.db, &upload, &[], &[]).await?;
    let job = Job {
        format: Some(Format::Postman),
        ..Job::new(caller, JobKind::ImportPostmanWorkspace, upload_id.clone(), now_s())
    };
    let job = jobs::insert(deps, job_input::give(deps, job, &credential), "").await?;
    Ok((upload_id, job.job_id))
}

/// Fetches what is not fetched yet.
///
/// # Errors
/// What may go better later.
pub async fn run(deps: &Deps, job: &Job, owner: &str, meter: &Meter) -> Result<End, Error> {
    match fetch(deps, job, owner, meter).await {
        Ok(()) => Ok(End::Succeeded),
        Err(Fault::Fatal(reason)) => {
            rows::fail(&deps.db, job.account_id, &job.upload_id, &reason).await?;
            Ok(End::Failed(reason))
        }
        Err(Fault::Later(error)) => Err(error),
    }
}

enum Fault {
    Fatal(String),
    Later(Error),
}

impl<E: Into<Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Later(error.into())
    }
}

/// How a failure of Postman ends the import, when nothing of the kind is there.
fn fatal(missing: &str) -> impl Fn(ApiError) -> Fault {
    move |error| match error {
        ApiError::Stopping => Fault::Later(Error::Stopping),
        ApiError::NotFound => Fault::Fatal(missing.to_owned()),
        other => Fault::Fatal(other.to_string()),
    }
}

async fn fetch(deps: &Deps, job: &Job, owner: &str, meter: &Meter) -> Result<(), Fault> {
    let account_id = job.account_id;
    let Some(upload) = rows::get(&deps.db, account_id, &job.upload_id).await? else {
        return Err(Fault::Fatal("The upload was deleted".to_owned()));
    };
    let credential: Credential = job_input::take(deps, job)?;
    let client = Client::new(deps, &credential.api_key, PATIENCE_OF_JOB, Some(meter));
    let listed = client.workspace_collections(&credential.workspace_id).await.map_err(fatal("No workspace found"))?;
    if listed.is_empty() {
        return Err(Fault::Fatal("No collections found in workspace".to_owned()));
    }
    let known: Vec<_> = rows::groups(&deps.db, account_id, &job.upload_id).await?;
    for collection in listed.iter().take(COLLECTIONS_MAX) {
        if meter.is_stopped() {
            return Err(Fault::Later(Error::Stopping));
        }
        if known.iter().any(|group| group.group_id == collection.id) {
            continue;
        }
        let (group, converted) = match client.collection(&collection.id).await {
            Ok(text) => convert(deps, &upload, &collection.id, &collection.name, text).await?,
            Err(error @ (ApiError::NotFound | ApiError::Unavailable(_))) => {
                (broken(&collection.id, &collection.name, &error.to_string()), Converted::default())
            }
            Err(error) => return Err(fatal("No workspace found")(error)),
        };
        rows::add_group(&deps.db, &upload, &group, &converted.operations).await?;
        meter.beat();
        deps.db.fault("imports.postman_group").await.map_err(Error::from)?;
        if !job_rows::save_progress(&deps.db, job, owner, &job.progress, now_s()).await? {
            return Err(Fault::Later(Error::LeaseLost));
        }
    }
    // An import that fails leaves the account's credential as it is.
    credentials::keep(deps, account_id, job.user_id, &credential).await?;
    rows::sum_up(&deps.db, account_id, &job.upload_id).await?;
    let upload = rows::get(&deps.db, account_id, &job.upload_id).await?;
    let Some(upload) = upload else { return Err(Fault::Fatal("The upload was deleted".to_owned())) };
    let mut progress = Finished::of(&upload).progress;
    for operation in rows::list_with_errors(&deps.db, account_id, &job.upload_id).await? {
        if !operation.importable && progress.refusals.len() < REFUSALS_MAX {
            let (item, reason) = (operation.label(), operation.error_text());
            progress.refusals.push(Refusal { item, reason });
        }
    }
    if !job_rows::save_progress(&deps.db, job, owner, &progress, now_s()).await? {
        return Err(Fault::Later(Error::LeaseLost));
    }
    Ok(())
}

async fn convert(
    deps: &Deps,
    upload: &Upload,
    id: &str,
    name: &str,
    text: Vec<u8>,
) -> Result<(Group, Converted), Error> {
    let place = Place { account_id: upload.account_id, collection_id: 0, path_only: false, time: upload.created_at };
    let mut converted = match documents::convert(deps, Format::Postman, text, place).await? {
        Ok(converted) => converted,
        Err(error) => return Ok((broken(id, name, &error.to_string()), Converted::default())),
    };
    for operation in &mut converted.operations {
        operation.group_id = id.to_owned();
    }
    let name = if name.is_empty() {
        converted.title.clone().unwrap_or_else(|| format!("Postman {id}"))
    } else {
        name.to_owned()
    };
    Ok((Group { group_id: id.to_owned(), name, errors: converted.errors.clone(), ..Group::default() }, converted))
}

/// A collection of which nothing can be imported.
fn broken(id: &str, name: &str, reason: &str) -> Group {
    let errors = vec![ImportError { error: reason.to_owned(), error_type: ErrorType::Error }];
    Group { group_id: id.to_owned(), name: name.to_owned(), errors, ..Group::default() }
}
