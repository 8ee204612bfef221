//! Uploads of OpenAPI documents: what became of each operation, and the approval that ingests a reviewed one.

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_formats::openapi::ImportError;
use portolan_log::Positions;
use portolan_record::Record;

use crate::ingest::{self, Appender, CHUNK_BYTES_MAX, Chunks};
use crate::openapi::Converted;
use crate::store::uploads as rows;
use crate::targets::{self, Wanted};
use crate::{Deps, Error};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadStatus {
    InProgress,
    Succeeded,
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
    /// 24 hex digits.
    pub upload_id: String,
    pub status: UploadStatus,
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

/// One operation of an uploaded document.
#[derive(Clone, Debug)]
pub struct Operation {
    pub url: String,
    pub method: String,
    pub importable: bool,
    /// The record in its wire form, kept while a review may still ask for it.
    pub record: Option<String>,
    pub errors: Vec<ImportError>,
}

/// What a caller asks an approval to ingest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportType {
    OnlySuccessful,
    All,
}

impl Upload {
    /// An upload in progress with the counts of a document.
    pub fn new(
        account_id: i64,
        upload_id: String,
        collection_name: String,
        document: &Converted,
        created_at: i64,
    ) -> Self {
        let count = |which: &dyn Fn(&Operation) -> bool| {
            i64::try_from(document.operations.iter().filter(|operation| which(operation)).count()).unwrap_or(i64::MAX)
        };
        Self {
            account_id,
            upload_id,
            status: UploadStatus::InProgress,
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
    /// The operation in lists, such as `/pets (GET)`.
    pub fn label(&self) -> String {
        format!("{} ({})", self.url, self.method)
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

/// An upload and its operations that have errors, in document order.
///
/// # Errors
/// `UPLOAD_ID_INVALID` when the account has no such upload.
pub async fn get(deps: &Deps, caller: &Caller, upload_id: &str) -> Result<(Upload, Vec<Operation>), Error> {
    let upload = rows::get(&deps.db, caller.account_id, upload_id).await?.ok_or(Reason::UploadIdInvalid)?;
    let operations = rows::list_with_errors(&deps.db, caller.account_id, upload_id).await?;
    Ok((upload, operations))
}

/// Ingests the operations of an upload into the collection that its title names. Operations that were ingested before
/// are left out, so that a repetition changes nothing and `ALL_APIS` after `ONLY_SUCCESSFUL_APIS` adds the rest.
///
/// # Errors
/// `UPLOAD_NOT_FOUND`, and those of the collection.
pub async fn approve(deps: &Deps, caller: &Caller, upload_id: &str, import_type: ImportType) -> Result<(), Error> {
    let account_id = caller.account_id;
    let upload = rows::get(&deps.db, account_id, upload_id).await?;
    let upload = upload.filter(|upload| upload.status == UploadStatus::Succeeded).ok_or(Reason::UploadNotFound)?;
    if upload.ingested >= import_type.ingests() {
        return Ok(());
    }
    let wanted = match upload.collection_id {
        Some(id) => Wanted::Id(id),
        None => Wanted::Titled(&upload.collection_name),
    };
    let target = targets::resolve(deps, caller, wanted).await?.ok_or(Reason::CollectionNotFound)?.plain()?;
    let mut positions = Positions::new();
    // Each class has a producer of its own, so that its chunks are the same whichever call ingests it.
    for with_errors in [false, true] {
        if with_errors && import_type == ImportType::OnlySuccessful {
            break;
        }
        ingest::merge(&mut positions, append_class(deps, &upload, target.collection_id, with_errors).await?);
    }
    rows::finish(&deps.db, account_id, upload_id, target.collection_id, import_type.ingests()).await?;
    ingest::wait(deps, &positions, ingest::WAIT).await;
    Ok(())
}

async fn append_class(deps: &Deps, upload: &Upload, collection_id: i32, with_errors: bool) -> Result<Positions, Error> {
    let Upload { account_id, upload_id, .. } = upload;
    let class = if with_errors { "with-errors" } else { "clean" };
    let mut appender = Appender::new(deps, format!("upload/{account_id}/{upload_id}/{class}"));
    let mut chunks = Chunks::new(CHUNK_BYTES_MAX);
    let mut after = -1;
    loop {
        let page = rows::list_records(&deps.db, *account_id, upload_id, with_errors, after).await?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        for (_, stored) in &page {
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
