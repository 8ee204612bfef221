//! Imperva schemas: one collection a host, ingested at once.

use std::collections::{BTreeMap, HashMap};

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_formats::{Format, FormatError, imperva::Document};
use portolan_ids::{AccountId, CollectionId, JobId};
use portolan_record::Source;
use portolan_runtime::now_s;

use crate::ingest::{self, Appender, CHUNK_BYTES_MAX, Chunks};
use crate::model::documents::Destination;
use crate::model::ids;
use crate::model::jobs::{Finished, Progress, Task};
use crate::model::targets::{Target, Wanted};
use crate::turns::Turn;
use crate::{Deps, Error, jobs, targets};

/// As documented: 10 MB.
const BYTES_MAX: usize = 10 * 1024 * 1024;

/// What became of a schema.
pub struct Outcome {
    /// The first host that the file names.
    pub host: String,
    /// One for each host, in the order of the file.
    pub collections: Vec<Target>,
    pub job_id: JobId,
    /// Endpoints that were imported and refused: together those of the file.
    pub imported: i64,
    pub refused: i64,
}

/// Imports a schema. A schema that is refused changes nothing; a repetition under the same write id appends nothing.
///
/// # Errors
/// In this order `IMPERVA_EMPTY`, `IMPERVA_TOO_LARGE`, `IMPERVA_WITHOUT_DATA`, `IMPERVA_INVALID`, `IMPERVA_UNREADABLE`,
/// `IMPERVA_WITHOUT_HOST`, and those of the collections.
pub async fn import(deps: &Deps, caller: &Caller, text: Option<String>, multiple: bool) -> Result<Outcome, Error> {
    let text = text.filter(|text| !text.trim().is_empty()).ok_or(Reason::ImpervaEmpty)?;
    if text.len() > BYTES_MAX {
        return Err(Reason::ImpervaTooLarge.into());
    }
    let bytes = text.len();
    let turn = deps.documents.take(caller.account_id, bytes).await;
    let parsed = portolan_runtime::in_background_from(bytes, move || {
        let _turn = turn;
        Document::parse(text.as_bytes()).map(|document| (document.hosts(), document))
    });
    let (hosts, document) = parsed.await?.map_err(invalid)?;
    if document.is_empty() {
        return Err(Reason::ImpervaUnreadable.into());
    }
    let first_host = hosts.first().cloned().ok_or(Reason::ImpervaWithoutHost)?;
    let mut collections: Vec<Target> = Vec::new();
    let mut by_host = BTreeMap::new();
    for host in hosts {
        let target = targets::resolve(deps, caller, Wanted::Titled(&host)).await?.ok_or(Reason::CollectionNotFound)?;
        let target = target.plain()?;
        by_host.insert(host, target.collection_id);
        if !collections.iter().any(|known| known.collection_id == target.collection_id) {
            collections.push(target);
        }
    }
    let turn = deps.documents.take(caller.account_id, bytes).await;
    let (converted, progress) = convert(turn, caller.account_id, document, by_host, multiple).await?;
    let upload_id = ids::upload(caller.account_id, &caller.info.write_id);
    let mut appender = Appender::new(deps, format!("upload/{}/{upload_id}", caller.account_id));
    for chunk in converted {
        appender.append(chunk).await?;
    }
    ingest::wait(deps, caller.account_id, &appender.positions(), ingest::WAIT).await;
    let finished = Finished {
        format: Format::Imperva,
        collection_id: collections.first().map(|first| first.collection_id),
        collection_name: collections.first().map(|first| first.name.clone()).unwrap_or_default(),
        progress: progress.clone(),
    };
    let job_id = jobs::finished(deps, caller, Task::ImportImperva, &upload_id, finished).await?.job_id;
    let (imported, refused) = (progress.imported_items, progress.refused_items);
    Ok(Outcome { host: first_host, collections, job_id, imported, refused })
}

async fn convert(
    turn: Turn,
    account_id: AccountId,
    document: Document,
    by_host: BTreeMap<String, CollectionId>,
    multiple: bool,
) -> Result<(Vec<Vec<portolan_log::Message>>, Progress), Error> {
    let converted = portolan_runtime::in_background(move || {
        let _turn = turn;
        let destination = |collection_id| Destination { account_id, collection_id, path_only: false, time: now_s() };
        let targets =
            by_host.iter().map(|(host, id)| (host.clone(), destination(*id).target(Source::Imperva))).collect();
        let default = destination(by_host.values().copied().next().unwrap_or_default()).target(Source::Imperva);
        let ids: HashMap<&str, CollectionId> = by_host.iter().map(|(host, id)| (host.as_str(), *id)).collect();
        let (mut messages, mut chunks) = (Vec::new(), Chunks::new(CHUNK_BYTES_MAX));
        let mut progress = Progress::default();
        for outcome in document.convert(&targets, default, multiple) {
            progress.total_items += 1;
            if outcome.records.is_empty() {
                let errors: Vec<_> = outcome.errors.iter().map(|error| error.error.as_str()).collect();
                progress.refuse(format!("{} ({})", outcome.url, outcome.method), errors.join(", "));
                continue;
            }
            progress.imported_items += 1;
            let collection_id = ids.get(outcome.host.as_str()).copied().unwrap_or_default();
            for record in outcome.records {
                let json = record.to_json();
                let bytes = json.len();
                messages.extend(chunks.push(ingest::message(account_id, collection_id, json), bytes));
            }
        }
        messages.extend(chunks.take());
        (messages, progress)
    });
    Ok(converted.await?)
}

fn invalid(error: FormatError) -> Error {
    match error {
        FormatError::NotImperva(_) => Reason::ImpervaWithoutData.into(),
        other => portolan_api::Error::new(Reason::ImpervaInvalid).with("detail", other).into(),
    }
}
