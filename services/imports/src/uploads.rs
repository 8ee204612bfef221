//! Uploads: what became of each operation or request of a document, and the approval that ingests a reviewed one.

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_formats::Format;
use portolan_formats::openapi::ImportError;
use portolan_log::Positions;
use portolan_outbox::Change;
use portolan_record::Record;
use portolan_store::retrying;

use crate::documents::Converted;
use crate::ingest::{self, Appender, CHUNK_BYTES_MAX, Chunks};
use crate::jobs::{Finished, Job, JobKind};
use crate::store::jobs as job_rows;
use crate::store::uploads as rows;
use crate::targets::{self, Wanted};
use crate::{Deps, Error, id, jobs};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadStatus {
    InProgress,
    Succeeded,
    Failed,
}

/// Where an upload comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadKind {
    SwaggerFile,
    PostmanFile,
    PostmanWorkspace,
    ImpervaFile,
}

impl UploadKind {
    pub const ALL: [Self; 4] = [Self::SwaggerFile, Self::PostmanFile, Self::PostmanWorkspace, Self::ImpervaFile];

    pub fn name(self) -> &'static str {
        match self {
            Self::SwaggerFile => "SWAGGER_FILE",
            Self::PostmanFile => "POSTMAN_FILE",
            Self::PostmanWorkspace => "POSTMAN_WORKSPACE",
            Self::ImpervaFile => "IMPERVA_FILE",
        }
    }

    pub fn of(format: Format) -> Self {
        match format {
            Format::Postman => Self::PostmanFile,
            Format::Imperva => Self::ImpervaFile,
            Format::OpenApi | Format::Har => Self::SwaggerFile,
        }
    }

    fn is_postman(self) -> bool {
        matches!(self, Self::PostmanFile | Self::PostmanWorkspace)
    }
}

/// Which operations of an upload are in the inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ingested {
    None,
    /// Those without errors.
    Successful,
    All,
}

/// An uploaded document.
#[derive(Clone, Debug)]
pub struct Upload {
    pub account_id: i64,
    /// Who uploaded it; 0 when that is not known.
    pub user_id: i64,
    /// 24 hex digits.
    pub upload_id: String,
    pub kind: UploadKind,
    pub status: UploadStatus,
    /// Why it failed.
    pub fatal_error: Option<String>,
    /// The Postman workspace that it was fetched from.
    pub workspace_id: String,
    /// Where its operations were ingested.
    pub collection_id: Option<i32>,
    pub collection_name: String,
    /// Operations of the document: the next three add up to it.
    pub total: i64,
    pub clean: i64,
    pub parsed_with_errors: i64,
    pub refused: i64,
    pub errors: Vec<ImportError>,
    pub ingested: Ingested,
    /// Unix seconds.
    pub created_at: i64,
}

/// One collection of a Postman upload.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// The id that Postman gave it, or one made for it.
    pub group_id: String,
    pub name: String,
    pub errors: Vec<ImportError>,
    /// Where it was ingested.
    pub collection_id: Option<i32>,
    /// It names itself as its version asks.
    pub has_info: bool,
}

/// One operation of an uploaded document, or one request of a collection.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The [`Group`] that it belongs to; empty for none.
    pub group_id: String,
    /// Empty when it has none.
    pub name: String,
    pub url: String,
    pub method: String,
    pub importable: bool,
    /// Its records in their wire form, one a line, kept while a review may still ask for them.
    pub record: Option<String>,
    pub errors: Vec<ImportError>,
}

/// What a caller asks an approval to ingest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportType {
    OnlySuccessful,
    All,
}

/// Whose an upload is.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    pub account_id: i64,
    pub user_id: i64,
}

impl From<&Caller> for Owner {
    fn from(caller: &Caller) -> Self {
        Self { account_id: caller.account_id, user_id: caller.user_id }
    }
}

impl Upload {
    /// Whether the caller may read it: their own, one of a collection that they see, and, of several or unknown
    /// collections, whoever sees all of them.
    fn is_readable(&self, caller: &Caller) -> bool {
        let is_own = self.user_id != 0 && self.user_id == caller.user_id;
        let sees = |id| caller.grant.sees(id);
        is_own
            || caller.grant.collections().is_none()
            || !self.kind.is_postman() && self.collection_id.is_some_and(sees)
    }

    /// An upload in progress with the counts of a document.
    pub fn new(
        owner: Owner,
        upload_id: String,
        kind: UploadKind,
        collection_name: String,
        document: &Converted,
        created_at: i64,
    ) -> Self {
        let count = |which: &dyn Fn(&Operation) -> bool| {
            i64::try_from(document.operations.iter().filter(|operation| which(operation)).count()).unwrap_or(i64::MAX)
        };
        Self {
            account_id: owner.account_id,
            user_id: owner.user_id,
            upload_id,
            kind,
            status: UploadStatus::InProgress,
            fatal_error: None,
            workspace_id: String::new(),
            collection_id: None,
            collection_name,
            total: count(&|_| true),
            clean: count(&|operation| operation.importable && operation.errors.is_empty()),
            parsed_with_errors: count(&|operation| operation.importable && !operation.errors.is_empty()),
            refused: count(&|operation| !operation.importable),
            errors: document.errors.clone(),
            ingested: Ingested::None,
            created_at,
        }
    }
}

impl Operation {
    /// The operation in lists, such as `/pets (GET)`, or its name when it has no address.
    pub fn label(&self) -> String {
        if self.url.is_empty() { self.name.clone() } else { format!("{} ({})", self.url, self.method) }
    }

    /// Its errors as one text.
    pub fn error_text(&self) -> String {
        let errors: Vec<_> = self.errors.iter().map(|error| error.error.as_str()).collect();
        errors.join(", ")
    }
}

impl ImportType {
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "ONLY_SUCCESSFUL_APIS" => Some(Self::OnlySuccessful),
            "ALL_APIS" => Some(Self::All),
            _ => None,
        }
    }

    fn ingests(self) -> Ingested {
        match self {
            Self::OnlySuccessful => Ingested::Successful,
            Self::All => Ingested::All,
        }
    }
}

/// An upload that the caller may read; to others it is as good as missing.
async fn find(deps: &Deps, caller: &Caller, upload_id: &str) -> Result<Option<Upload>, Error> {
    let upload = rows::get(&deps.db, caller.account_id, upload_id).await?;
    Ok(upload.filter(|upload| upload.is_readable(caller)))
}

/// An upload and its operations that have errors, in document order.
///
/// # Errors
/// `UPLOAD_ID_INVALID` when the account has no such upload.
pub async fn get(deps: &Deps, caller: &Caller, upload_id: &str) -> Result<(Upload, Vec<Operation>), Error> {
    let upload = find(deps, caller, upload_id).await?;
    let upload = upload.filter(|upload| !upload.kind.is_postman()).ok_or(Reason::UploadIdInvalid)?;
    let operations = rows::list_with_errors(&deps.db, caller.account_id, upload_id).await?;
    Ok((upload, operations))
}

/// A Postman upload with its collections, the operations that have errors, and its first operations with their records.
pub struct PostmanLog {
    pub upload: Upload,
    pub groups: Vec<Group>,
    pub with_errors: Vec<Operation>,
    pub first: Vec<Operation>,
}

/// # Errors
/// `UPLOAD_ID_REQUIRED`, and `UPLOAD_NOT_FOUND` when the account has no such upload.
pub async fn postman_log(deps: &Deps, caller: &Caller, upload_id: Option<String>) -> Result<PostmanLog, Error> {
    let upload = find_postman(deps, caller, upload_id).await?;
    let (account_id, upload_id) = (caller.account_id, upload.upload_id.as_str());
    if upload.status != UploadStatus::Succeeded {
        return Ok(PostmanLog { upload, groups: Vec::new(), with_errors: Vec::new(), first: Vec::new() });
    }
    let groups = rows::groups(&deps.db, account_id, upload_id).await?;
    let with_errors = rows::list_with_errors(&deps.db, account_id, upload_id).await?;
    let first = rows::list_first(&deps.db, account_id, upload_id).await?;
    Ok(PostmanLog { groups, with_errors, first, upload })
}

async fn find_postman(deps: &Deps, caller: &Caller, upload_id: Option<String>) -> Result<Upload, Error> {
    let upload_id = upload_id.filter(|id| !id.trim().is_empty()).ok_or(Reason::UploadIdRequired)?;
    let upload = find(deps, caller, &upload_id).await?;
    Ok(upload.filter(|upload| upload.kind.is_postman()).ok_or(Reason::UploadNotFound)?)
}

/// Hides an upload at once; a job removes it.
///
/// # Errors
/// `UPLOAD_ID_REQUIRED`, `UPLOAD_NOT_FOUND`.
pub async fn delete(deps: &Deps, caller: &Caller, upload_id: Option<String>) -> Result<(), Error> {
    let upload_id = upload_id.filter(|id| !id.trim().is_empty()).ok_or(Reason::UploadIdRequired)?;
    let upload = find(deps, caller, &upload_id).await?.ok_or(Reason::UploadNotFound)?;
    let own = id::upload(caller.account_id, &format!("delete/{upload_id}"));
    let mut job = Job::new(caller, JobKind::DeleteUpload, own);
    job.input = upload.upload_id;
    let job = &job;
    retrying(|| async {
        let mut tx = deps.db.begin().await?;
        rows::mark_deleted(&mut tx, caller.account_id, &upload_id).await?;
        job_rows::insert_in(&mut tx, job, "").await?;
        let change = Change::of("upload", &upload_id);
        portolan_outbox::audit(&mut tx, caller, change).await?;
        tx.commit().await?;
        Ok::<_, Error>(())
    })
    .await?;
    deps.job_ready.notify_one();
    Ok(())
}

/// Ingests the operations of an upload, each group into the collection that its name names. Operations that were
/// ingested before are left out, so that a repetition changes nothing and `ALL_APIS` after `ONLY_SUCCESSFUL_APIS` adds
/// the rest. Answers the job that tells of it.
///
/// # Errors
/// `UPLOAD_NOT_FOUND`, and those of the collection.
pub async fn approve(
    deps: &Deps,
    caller: &Caller,
    upload_id: &str,
    import_type: ImportType,
    postman: bool,
) -> Result<String, Error> {
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
                Some(id) => Wanted::Id(id),
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
        ingest::wait(deps, &positions, ingest::WAIT).await;
    }
    let mut finished = Finished::of(&upload);
    finished.collection_id = collection_id;
    if import_type == ImportType::OnlySuccessful {
        finished.progress.total_items -= upload.parsed_with_errors;
        finished.progress.imported_items -= upload.parsed_with_errors;
    }
    let own = id::upload(account_id, &format!("approve/{upload_id}/{import_type:?}"));
    jobs::finished(deps, caller, "import.approve", &own, finished).await
}

async fn append_class(
    deps: &Deps,
    upload: &Upload,
    group_id: &str,
    collection_id: i32,
    with_errors: bool,
) -> Result<Positions, Error> {
    let Upload { account_id, upload_id, .. } = upload;
    let class = if with_errors { "with-errors" } else { "clean" };
    let producer = match group_id {
        "" => format!("upload/{account_id}/{upload_id}/{class}"),
        group_id => format!("upload/{account_id}/{upload_id}/{}/{class}", id::digest(group_id)),
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
            record.collection_id = i64::from(collection_id);
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
