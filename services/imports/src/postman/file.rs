//! Postman files: converted for review, or for one collection.

use std::ops::ControlFlow;

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_formats::postman::{Collection, Document};
use portolan_formats::{Format, FormatError};
use portolan_record::Source;

use crate::documents::{self, Converted, Place};
use crate::jobs::{self, Finished};
use crate::store::uploads as rows;
use crate::uploads::{Group, Upload, UploadKind, UploadStatus};
use crate::{Deps, Error, id, now_s};

/// Longest name that is kept of a collection.
const NAME_CHARS_MAX: usize = 200;

/// Converts a collection for review, and answers the ids of its upload and job. A repetition under the same write id
/// answers the same.
///
/// # Errors
/// `POSTMAN_FILE_INVALID`, `POSTMAN_FILE_WITHOUT_INFO`; then nothing is stored.
pub async fn import(deps: &Deps, caller: &Caller, text: Option<String>) -> Result<(String, String), Error> {
    let upload_id = id::upload(caller.account_id, &caller.info.write_id);
    let upload = match rows::get(&deps.db, caller.account_id, &upload_id).await? {
        Some(upload) => upload,
        None => {
            let text = text.unwrap_or_default().into_bytes();
            let place = Place { account_id: caller.account_id, collection_id: 0, path_only: false, time: now_s() };
            let converted =
                documents::convert(deps, Format::Postman, text, place).await?.map_err(|error| match error {
                    FormatError::NotPostman(_) => Reason::PostmanFileWithoutInfo,
                    _ => Reason::PostmanFileInvalid,
                })?;
            if converted.groups.iter().any(|group| !group.has_info) {
                return Err(Reason::PostmanFileWithoutInfo.into());
            }
            let name = converted.title.clone().unwrap_or_default();
            let kind = UploadKind::PostmanFile;
            let mut upload = Upload::new(caller.into(), upload_id.clone(), kind, name, &converted, place.time);
            upload.status = UploadStatus::Succeeded;
            rows::insert(&deps.db, &upload, &converted.groups, &converted.operations).await?;
            upload
        }
    };
    let job_id = jobs::finished(deps, caller, "import.postman_file", &upload_id, Finished::of(&upload)).await?;
    Ok((upload_id, job_id))
}

/// Converts every collection of a file.
pub fn convert_text(text: &[u8], place: &Place) -> Result<Converted, FormatError> {
    let document = Document::parse(text)?;
    let mut converted = Converted::default();
    let mut title = None;
    for (index, collection) in document.collections().enumerate() {
        let mut group = group(&collection, index);
        if converted.groups.iter().any(|known: &Group| known.group_id == group.group_id) {
            group.group_id = format!("{}-{index}", group.group_id);
        }
        let mut failure = None;
        group.errors = collection.convert(&place.target(Source::Postman), &mut |outcome| {
            let (name, url, method) = (outcome.name, outcome.url, outcome.method);
            match converted.push(&group.group_id, name, url, method, outcome.records, outcome.errors) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            }
        });
        if let Some(error) = failure {
            return Err(error);
        }
        title.get_or_insert_with(|| group.name.clone());
        converted.errors.extend(group.errors.iter().cloned());
        converted.groups.push(group);
    }
    Ok(converted.titled(title.as_deref()))
}

fn group(collection: &Collection<'_>, index: usize) -> Group {
    let group_id = collection.id().unwrap_or_else(|| format!("collection-{index}"));
    let group_id: String = crate::without_nul(group_id).chars().take(100).collect();
    let name = collection.name().unwrap_or_else(|| format!("Postman Collection {group_id}"));
    let name = crate::without_nul(name.chars().take(NAME_CHARS_MAX).collect());
    Group { group_id, name, has_info: collection.has_info(), ..Group::default() }
}
