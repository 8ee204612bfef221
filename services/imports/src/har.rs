//! HAR captures sent as JSON: checked and converted in memory, appended as one piece.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use portolan_api::Reason;
use portolan_authz::{Caller, CredentialKind};
use portolan_formats::{FormatError, har};
use portolan_ids::{AccountId, CollectionId};
use portolan_log::{Message, Positions};
use portolan_outbox::Change;
use portolan_record::Source;
use portolan_runtime::now_s;
use portolan_store::retrying;
use serde_json::json;
use tokio::sync::watch;

use crate::ingest::{self, Appender, Chunks};
use crate::model::ids;
use crate::model::targets::{Target, Wanted};
use crate::{Deps, Error, targets};

/// Errors listed in one answer; the count of skipped records says how many there are.
const ERRORS_MAX: usize = 10_000;
/// Below the log's limit of one append (64 MiB), so that a capture is one append unless its records are far larger
/// than its text.
const APPEND_BYTES_MAX: usize = 56 * 1024 * 1024;
/// Below the deadline of calls between services, which would turn a slow ingest into an error.
const WAIT: Duration = Duration::from_secs(25);

/// A capture to import.
pub struct HarImport {
    /// JSON text.
    pub content: Option<String>,
    /// Used without a name.
    pub collection_id: CollectionId,
    /// Made when no collection has it.
    pub collection_name: Option<String>,
    /// Answer after the records are in the inventory.
    pub wait: bool,
}

/// What became of a capture.
#[derive(Debug, PartialEq, Eq)]
pub struct HarOutcome {
    pub collection_id: CollectionId,
    /// `Error in entry <n>: <reason>`, the first 10,000.
    pub errors: Vec<String>,
    /// Imported and skipped records are the entries of the capture.
    pub imported: i64,
    pub skipped: i64,
}

/// Imports a capture. A capture that is refused changes nothing; a repetition under the same write id appends nothing.
///
/// # Errors
/// Those of the collection, then `HAR_EMPTY` and `HAR_INVALID`; with a name the capture is checked first, so that no
/// collection is made for nothing.
pub async fn import(deps: &Deps, caller: &Caller, request: HarImport) -> Result<HarOutcome, Error> {
    let content = request.content.filter(|text| !text.trim().is_empty()).map(Arc::new);
    let target = match &request.collection_name {
        Some(name) => {
            validate(deps, caller.account_id, content.clone().ok_or(Reason::HarEmpty)?).await?;
            targets::resolve(deps, caller, Wanted::Named(name)).await?
        }
        None => targets::resolve(deps, caller, Wanted::Id(request.collection_id.into())).await?,
    };
    let target = target.ok_or(Reason::CollectionNotFound)?.plain()?;
    let mut converted = convert(deps, caller, content.ok_or(Reason::HarEmpty)?, &target).await?;
    let mut appender = Appender::new(deps, ids::producer("har", caller.account_id, &caller.info.write_id));
    let last = converted.chunks.pop();
    for chunk in converted.chunks {
        appender.append(chunk).await?;
    }
    if let Some(last) = last {
        let (show, mut shown) = watch::channel(Positions::new());
        // Beside each other: the wait for the disk, the event, the wait for the inventory.
        let followed = async {
            if shown.changed().await.is_err() {
                return Ok(());
            }
            let positions = shown.borrow().clone();
            let read = async {
                if request.wait {
                    ingest::wait(deps, caller.account_id, &positions, WAIT).await;
                }
                Ok(())
            };
            tokio::try_join!(audit(deps, caller, target.collection_id, converted.imported), read).map(drop)
        };
        // An event that cannot be written does not break the append off.
        let followed = async { Ok(followed.await) };
        tokio::try_join!(appender.append_last(last, show), followed)?.1?;
    }
    Ok(HarOutcome {
        collection_id: target.collection_id,
        errors: converted.errors,
        imported: converted.imported,
        skipped: converted.skipped,
    })
}

async fn audit(deps: &Deps, caller: &Caller, collection_id: CollectionId, records: i64) -> Result<(), Error> {
    retrying(|| async {
        let mut tx = deps.db.begin().await?;
        let change = Change::of("collection", collection_id).after(&json!({ "imported_records": records }));
        portolan_outbox::audit(&mut tx, caller, change).await?;
        Ok(tx.commit().await?)
    })
    .await
}

#[derive(Default)]
struct Converted {
    chunks: Vec<Vec<Message>>,
    errors: Vec<String>,
    imported: i64,
    skipped: i64,
}

async fn validate(deps: &Deps, account_id: AccountId, content: Arc<String>) -> Result<(), Error> {
    let turn = deps.captures.take(account_id, content.len()).await;
    portolan_runtime::read_from(content.len(), move || {
        let _turn = turn;
        har::validate_slice(content.as_bytes()).map(drop).map_err(invalid)
    })
    .await?
}

async fn convert(deps: &Deps, caller: &Caller, content: Arc<String>, target: &Target) -> Result<Converted, Error> {
    let source = if caller.credential == CredentialKind::BurpKey { Source::Burp } else { Source::Har };
    let (account_id, collection_id) = (caller.account_id, target.collection_id);
    let target = portolan_formats::Target {
        account_id: account_id.into(),
        collection_id: collection_id.get().into(),
        time: now_s(),
        source,
    };
    let turn = deps.captures.take(account_id, content.len()).await;
    portolan_runtime::read_from(content.len(), move || {
        let _turn = turn;
        let mut converted = Converted::default();
        let mut chunks = Chunks::new(APPEND_BYTES_MAX);
        let summary = har::convert_slice(content.as_bytes(), &target, &mut |item| {
            match item {
                har::Item::Record(record) => {
                    let message = ingest::message(account_id, collection_id, record.to_json());
                    let bytes = message.key.len() + message.value.len();
                    converted.chunks.extend(chunks.push(message, bytes));
                }
                har::Item::Refused { index, reason } => {
                    if converted.errors.len() < ERRORS_MAX {
                        converted.errors.push(format!("Error in entry {index}: {reason}"));
                    }
                }
            }
            ControlFlow::Continue(())
        });
        let summary = summary.map_err(invalid)?;
        converted.chunks.extend(chunks.take());
        converted.imported = summary.records.try_into().unwrap_or(i64::MAX);
        converted.skipped = summary.refused.try_into().unwrap_or(i64::MAX);
        Ok(converted)
    })
    .await?
}

fn invalid(error: FormatError) -> Error {
    let detail = match error {
        FormatError::NotHar(detail) => detail,
        other => other.to_string(),
    };
    portolan_api::Error::new(Reason::HarInvalid).with("detail", detail).into()
}
