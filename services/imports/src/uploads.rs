//! Uploads: what became of each operation or request of a document, and the approval that ingests a reviewed one.

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_ids::{CollectionId, JobId, UploadId};
use portolan_jobs::{Job, Step};
use portolan_log::Positions;
use portolan_outbox::Change;
use portolan_record::Record;
use portolan_store::{Tx, retrying};
use serde_json::Value;

use crate::ingest::{self, Appender, CHUNK_BYTES_MAX, Chunks};
use crate::model::ids;
use crate::model::jobs::{Cursor, Finished, Task};
use crate::model::targets::Wanted;
use crate::model::uploads::{Group, ImportType, Operation, PostmanLog, Upload, UploadStatus};
use crate::store::uploads as rows;
use crate::{Deps, Error, jobs, sight::Sight, targets};

/// An upload that the caller may read: their own, one of a collection that they see, and, of several or unknown
/// collections, whoever sees all of them. To others it is as good as missing.
async fn find(deps: &Deps, caller: &Caller, upload_id: &UploadId) -> Result<Option<Upload>, Error> {
    let Some(upload) = rows::get(&deps.db, caller.account_id, upload_id).await? else { return Ok(None) };
    if upload.is_of(caller) {
        return Ok(Some(upload));
    }
    let sight = Sight::of(deps, caller, upload.collection_id.filter(|_| !upload.kind.is_postman())).await?;
    let is_shown = if upload.kind.is_postman() { sight.shows_all() } else { sight.shows(upload.collection_id) };
    Ok(Some(upload).filter(|_| is_shown))
}

/// An upload and its operations that have errors, in document order.
///
/// # Errors
/// `UPLOAD_ID_INVALID` when the account has no such upload.
pub async fn get(deps: &Deps, caller: &Caller, upload_id: &UploadId) -> Result<(Upload, Vec<Operation>), Error> {
    let upload = find(deps, caller, upload_id).await?;
    let upload = upload.filter(|upload| !upload.kind.is_postman()).ok_or(Reason::UploadIdInvalid)?;
    let operations = rows::list_with_errors(&deps.db, caller.account_id, upload_id).await?;
    Ok((upload, operations))
}

/// # Errors
/// `UPLOAD_ID_REQUIRED`, and `UPLOAD_NOT_FOUND` when the account has no such upload.
pub async fn postman_log(deps: &Deps, caller: &Caller, upload_id: Option<UploadId>) -> Result<PostmanLog, Error> {
    let upload = find_postman(deps, caller, upload_id).await?;
    let (account_id, upload_id) = (caller.account_id, &upload.upload_id);
    if upload.status != UploadStatus::Succeeded {
        return Ok(PostmanLog { upload, groups: Vec::new(), with_errors: Vec::new(), first: Vec::new() });
    }
    let groups = rows::groups(&deps.db, account_id, upload_id).await?;
    let with_errors = rows::list_with_errors(&deps.db, account_id, upload_id).await?;
    let first = rows::list_first(&deps.db, account_id, upload_id).await?;
    Ok(PostmanLog { groups, with_errors, first, upload })
}

async fn find_postman(deps: &Deps, caller: &Caller, upload_id: Option<UploadId>) -> Result<Upload, Error> {
    let upload_id = upload_id.filter(|id| !id.as_str().trim().is_empty()).ok_or(Reason::UploadIdRequired)?;
    let upload = find(deps, caller, &upload_id).await?;
    Ok(upload.filter(|upload| upload.kind.is_postman()).ok_or(Reason::UploadNotFound)?)
}

/// Hides an upload at once; a job removes it.
///
/// # Errors
/// `UPLOAD_ID_REQUIRED`, `UPLOAD_NOT_FOUND`.
pub async fn delete(deps: &Deps, caller: &Caller, upload_id: Option<UploadId>) -> Result<(), Error> {
    let upload_id = upload_id.filter(|id| !id.as_str().trim().is_empty()).ok_or(Reason::UploadIdRequired)?;
    let upload = find(deps, caller, &upload_id).await?.ok_or(Reason::UploadNotFound)?;
    let own = ids::upload(caller.account_id, &format!("delete/{upload_id}"));
    let job = &jobs::new(caller, Task::DeleteUpload { upload_id: upload.upload_id }, &own, None);
    retrying(|| async {
        let mut tx = deps.db.begin().await?;
        if deps.jobs.add(&mut tx, job).await? {
            rows::mark_deleted(&mut tx, caller.account_id, &upload_id).await?;
            portolan_outbox::audit(&mut tx, caller, Change::of("upload", &upload_id)).await?;
        }
        tx.commit().await?;
        Ok::<_, Error>(())
    })
    .await?;
    jobs::begun(deps, job).await?;
    Ok(())
}

/// Removes a part of an upload, the upload itself last. The log of the database is emptied before the step that ends it.
pub async fn remove_some(
    deps: &Deps,
    tx: &mut Tx,
    job: &Job<Task>,
    upload_id: &UploadId,
) -> Result<Step<Cursor>, Error> {
    if job.cursor.rows_removed {
        return Ok(Step::Over { done: 0, outcome: Value::Null });
    }
    let removed = rows::delete_some(tx, job.account_id, upload_id).await?;
    if removed > 0 {
        deps.db.fault("imports.deleting").await?;
    }
    let cursor = Cursor { rows_removed: removed == 0, ..Cursor::default() };
    Ok(Step::Next { cursor, done: i64::try_from(removed).unwrap_or(i64::MAX) })
}

/// Ingests the operations of an upload, each group into the collection that its name names. Operations that were
/// ingested before are left out, so that a repetition changes nothing and `ALL_APIS` after `ONLY_SUCCESSFUL_APIS` adds
/// the rest. Returns the job that tells of it.
///
/// # Errors
/// `UPLOAD_NOT_FOUND`, and those of the collection.
pub async fn approve(
    deps: &Deps,
    caller: &Caller,
    upload_id: &UploadId,
    import_type: ImportType,
    postman: bool,
) -> Result<JobId, Error> {
    let account_id = caller.account_id;
    let upload = find(deps, caller, upload_id).await?;
    let fits = |upload: &Upload| upload.status == UploadStatus::Succeeded && upload.kind.is_postman() == postman;
    let upload = upload.filter(fits).ok_or(Reason::UploadNotFound)?;
    let mut collection_id = upload.collection_id;
    if upload.ingested < import_type.ingests() {
        let mut positions = Positions::new();
        let mut groups = rows::groups(&deps.db, account_id, upload_id).await?;
        if groups.is_empty() {
            let (name, collection_id) = (upload.collection_name.clone(), upload.collection_id);
            groups.push(Group { name, collection_id, ..Group::default() });
        }
        for group in groups {
            let wanted = match group.collection_id {
                Some(id) => Wanted::Id(id.into()),
                None => Wanted::Titled(&group.name),
            };
            let target = targets::resolve(deps, caller, wanted).await?.ok_or(Reason::CollectionNotFound)?.plain()?;
            rows::set_group_collection(&deps.db, account_id, upload_id, &group.group_id, target.collection_id).await?;
            collection_id = collection_id.or(Some(target.collection_id));
            // Each class has a producer of its own, so that its chunks are the same whichever call ingests it.
            for with_errors in [false, true] {
                if with_errors && import_type == ImportType::OnlySuccessful {
                    break;
                }
                let appended = append_class(deps, &upload, &group.group_id, target.collection_id, with_errors).await?;
                ingest::merge(&mut positions, appended);
            }
            deps.db.fault("imports.approved_group").await?;
        }
        let kept = collection_id.unwrap_or_default();
        rows::finish(&deps.db, account_id, upload_id, kept, import_type.ingests()).await?;
        ingest::wait(deps, account_id, &positions, ingest::WAIT).await;
    }
    let mut finished = Finished::of(&upload);
    finished.collection_id = collection_id;
    if import_type == ImportType::OnlySuccessful {
        finished.progress.total_items -= upload.parsed_with_errors;
        finished.progress.imported_items -= upload.parsed_with_errors;
    }
    let own = ids::upload(account_id, &format!("approve/{upload_id}/{import_type:?}"));
    Ok(jobs::finished(deps, caller, Task::Approve, &own, finished).await?.job_id)
}

async fn append_class(
    deps: &Deps,
    upload: &Upload,
    group_id: &str,
    collection_id: CollectionId,
    with_errors: bool,
) -> Result<Positions, Error> {
    let Upload { account_id, upload_id, .. } = upload;
    let class = if with_errors { "with-errors" } else { "clean" };
    let producer = match group_id {
        "" => format!("upload/{account_id}/{upload_id}/{class}"),
        group_id => format!("upload/{account_id}/{upload_id}/{}/{class}", ids::digest(group_id)),
    };
    let mut appender = Appender::new(deps, producer);
    let mut chunks = Chunks::new(CHUNK_BYTES_MAX);
    let mut after = -1;
    loop {
        let page = rows::list_records(&deps.db, *account_id, upload_id, group_id, with_errors, after).await?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        for stored in page.iter().flat_map(|(_, stored)| stored.lines()) {
            let mut record = Record::parse(stored).map_err(portolan_api::Error::internal)?;
            record.collection_id = collection_id.get().into();
            let message = ingest::message(*account_id, collection_id, record.to_json());
            if let Some(chunk) = chunks.push(message, stored.len()) {
                appender.append(chunk).await?;
            }
        }
    }
    if let Some(chunk) = chunks.take() {
        appender.append(chunk).await?;
    }
    Ok(appender.positions())
}
