//! The collections of a Postman workspace: fetched for review, one a step.

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_formats::Format;
use portolan_formats::openapi::{ErrorType, ImportError};
use portolan_ids::{CollectionId, JobId, UploadId, WorkspaceId};
use portolan_jobs::{Attempt, Job, Step};
use portolan_runtime::now_s;
use portolan_store::{Tx, retrying};

use super::api::{ApiError, Client, PATIENCE_OF_JOB};
use super::credentials;
use crate::model::credentials::{Credential, Sealed};
use crate::model::documents::{Converted, Destination};
use crate::model::ids;
use crate::model::jobs::{Cursor, Finished, Progress, REFUSALS_MAX, Refusal, Task};
use crate::model::uploads::{Group, Operation, Upload, UploadKind};
use crate::store::{credentials as credential_rows, uploads as rows};
use crate::{Deps, Error, documents, jobs};

/// Collections of one workspace that are fetched.
const COLLECTIONS_MAX: usize = 1_000;

/// Begins the import, whose job has the credential until it is known to be good; who brought it is said now. Returns the
/// ids of its upload and job.
///
/// # Errors
/// `POSTMAN_KEY_INVALID`, `POSTMAN_WORKSPACE_INVALID` when one is missing.
pub async fn create(
    deps: &Deps,
    caller: &Caller,
    api_key: Option<String>,
    workspace_id: Option<String>,
) -> Result<(UploadId, JobId), Error> {
    let given = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let api_key = given(api_key).ok_or(Reason::PostmanKeyInvalid)?;
    let workspace_id = WorkspaceId::from(given(workspace_id).ok_or(Reason::PostmanWorkspaceInvalid)?);
    let upload_id = ids::upload(caller.account_id, &caller.info.write_id);
    let kind = UploadKind::PostmanWorkspace;
    let name = format!("Postman workspace {workspace_id}");
    let mut upload = Converted::default().upload(caller.into(), upload_id.clone(), kind, name, now_s());
    upload.workspace_id.clone_from(&workspace_id);
    let credential = Credential { api_key, workspace_id: workspace_id.clone() };
    let job = &jobs::new(caller, Task::ImportPostmanWorkspace { credential }, &upload_id, None);
    retrying(|| async {
        let mut tx = deps.db.begin().await?;
        if deps.jobs.add(&mut tx, job).await? {
            rows::insert_upload(&mut tx, &upload).await?;
            credentials::audit(&mut tx, caller, &workspace_id).await?;
        }
        tx.commit().await?;
        Ok::<_, Error>(())
    })
    .await?;
    let job_id = jobs::begun(deps, job).await?.job_id;
    Ok((upload_id, job_id))
}

/// What the next step keeps.
pub enum Fetched {
    /// The collections of the workspace, each by its id and name.
    List(Vec<(String, String)>),
    /// The next of them.
    Collection { upload: Upload, group: Group, operations: Vec<Operation> },
    /// All are kept: the credential is good, and these are their counts.
    All { credential: Sealed, progress: Progress },
}

/// Why nothing was fetched.
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
        ApiError::Stopping => Fault::Later(error.into()),
        ApiError::NotFound => Fault::Fatal(missing.to_owned()),
        other => Fault::Fatal(other.to_string()),
    }
}

/// Fetches what the next step keeps.
///
/// # Errors
/// What ends the import, when the process ends, and what may go better later.
pub async fn fetch(deps: &Deps, job: &Attempt<Task>, credential: &Credential) -> Result<Fetched, Error> {
    match next(deps, job, credential).await {
        Ok(fetched) => Ok(fetched),
        Err(Fault::Fatal(reason)) => Err(portolan_jobs::Error::Never(reason).into()),
        Err(Fault::Later(error)) => Err(error),
    }
}

async fn next(deps: &Deps, job: &Attempt<Task>, credential: &Credential) -> Result<Fetched, Fault> {
    let (account_id, upload_id) = (job.account_id, &UploadId::new(job.key.as_str()));
    let gone = || Fault::Fatal("The upload was deleted".to_owned());
    let upload = rows::get(&deps.db, account_id, upload_id).await?.ok_or_else(gone)?;
    let client = Client::new(deps, &credential.api_key, PATIENCE_OF_JOB, Some(job.pulse()));
    let Some(listed) = &job.cursor.listed else {
        let listed = client.workspace_collections(&credential.workspace_id).await;
        let listed = listed.map_err(fatal("No workspace found"))?;
        if listed.is_empty() {
            return Err(Fault::Fatal("No collections found in workspace".to_owned()));
        }
        let named = listed.into_iter().take(COLLECTIONS_MAX).map(|found| (found.id, found.name));
        return Ok(Fetched::List(named.collect()));
    };
    if let Some((id, name)) = listed.first() {
        let (group, converted) = match client.collection(id).await {
            Ok(text) => convert(deps, &upload, id, name, text).await?,
            Err(error @ (ApiError::NotFound | ApiError::Unavailable(_))) => {
                (broken(id, name, &error.to_string()), Converted::default())
            }
            Err(error) => return Err(fatal("No workspace found")(error)),
        };
        return Ok(Fetched::Collection { upload, group, operations: converted.operations });
    }
    rows::sum_up(&deps.db, account_id, upload_id).await?;
    let upload = rows::get(&deps.db, account_id, upload_id).await?.ok_or_else(gone)?;
    let mut progress = Finished::of(&upload).progress;
    for group in rows::groups(&deps.db, account_id, upload_id).await? {
        progress.note(group.errors.iter().map(|error| format!("{}: {}", group.name, error.error)));
    }
    for operation in rows::list_with_errors(&deps.db, account_id, upload_id).await? {
        let (item, reason) = (operation.label(), operation.error_text());
        if operation.importable {
            progress.note([format!("{item}: {reason}")]);
        } else if progress.refusals.len() < REFUSALS_MAX {
            progress.refusals.push(Refusal { item, reason });
        }
    }
    Ok(Fetched::All { credential: credentials::seal(deps, account_id, credential), progress })
}

/// Keeps what was fetched. An import that fails leaves the account's credential as it is.
///
/// # Errors
/// Any of the store.
pub async fn step(deps: &Deps, tx: &mut Tx, job: &Job<Task>, fetched: &Fetched) -> Result<Step<Cursor>, Error> {
    let mut cursor = job.cursor.clone();
    match fetched {
        Fetched::List(listed) => {
            cursor.listed = Some(listed.clone());
            Ok(Step::Next { cursor, done: 0 })
        }
        Fetched::Collection { upload, group, operations } => {
            rows::add_group(tx, upload, group, operations).await?;
            deps.db.fault("imports.postman_group").await?;
            cursor.listed = cursor.listed.map(|listed| listed.into_iter().skip(1).collect());
            let done = i64::try_from(operations.len()).unwrap_or(i64::MAX);
            Ok(Step::Next { cursor, done })
        }
        Fetched::All { credential, progress } => {
            credential_rows::put(tx, job.account_id, credential, job.subject.user_id.unwrap_or_default(), now_s())
                .await?;
            let outcome = serde_json::to_value(progress).map_err(portolan_api::Error::internal)?;
            Ok(Step::Over { done: 0, outcome })
        }
    }
}

async fn convert(
    deps: &Deps,
    upload: &Upload,
    id: &str,
    name: &str,
    text: Vec<u8>,
) -> Result<(Group, Converted), Error> {
    let destination = Destination {
        account_id: upload.account_id,
        collection_id: CollectionId(0),
        path_only: false,
        time: upload.created_at,
    };
    let mut converted = match documents::convert(deps, Format::Postman, text, destination).await? {
        Ok((converted, _)) => converted,
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
