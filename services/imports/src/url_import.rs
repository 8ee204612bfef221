//! Imports from an address: one guarded call, its answer as a record, and the answer itself when it is a document.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::time::Duration;

use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_fetch::{FetchError, Request};
use portolan_formats::{Format, detect, har};
use portolan_ids::JobId;
use portolan_jobs::{Attempt, Job};
use portolan_record::{Record, Source};

use crate::import_job::{ingest_document, wait};
use crate::ingest::{self, Appender, CHUNK_BYTES_MAX, Chunks};
use crate::model::ids;
use crate::model::jobs::{Cursor, End, Progress, REFUSALS_MAX, Task};
use crate::model::targets::{Target, Wanted};
use crate::model::text::without_nul;
use crate::model::url::{Answer, UrlImport};
use crate::{Deps, Error, documents, jobs, targets};

/// Longest call, from the first byte to the last.
const TIME_MAX: Duration = Duration::from_secs(30);
/// Largest answer: a document of the size that a documented request may have.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The tag by which the product shows such collections, and its value.
const TAG: (&str, &str) = ("gen-ai", "Gen AI Import");

/// Begins an import: the collection is made at once, the call is the job's. Returns the collection and the job.
///
/// # Errors
/// `URL_REQUIRED`, `URL_INVALID`, `URL_REFUSED`, and those of the collection.
pub async fn create(
    deps: &Deps,
    caller: &Caller,
    mut import: UrlImport,
    collection_name: Option<String>,
) -> Result<(Target, JobId), Error> {
    import.url = import.url.trim().to_owned();
    if import.url.is_empty() {
        return Err(Reason::UrlRequired.into());
    }
    let url = deps.fetch.check(&import.url).map_err(|error| match error {
        FetchError::RefusedAddress => Reason::UrlRefused,
        _ => Reason::UrlInvalid,
    })?;
    import.url = url.to_string();
    let called = Record { path: import.url.as_str().into(), ..Record::default() };
    called
        .check_bounds()
        .map_err(|bound| portolan_api::Error::new(Reason::RecordBoundExceeded).with("detail", bound.to_string()))?;
    let host = url.host_str().unwrap_or_default().to_lowercase();
    let host = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
    let name = collection_name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let wanted = match &name {
        Some(name) => Wanted::Named(name),
        None => Wanted::Titled(&host),
    };
    let tags = HashMap::from([(TAG.0.to_owned(), TAG.1.to_owned())]);
    let target = targets::resolve_tagged(deps, caller, wanted, tags).await?.ok_or(Reason::CollectionNotFound)?;
    let target = target.plain()?;
    let upload_id = ids::upload(caller.account_id, &caller.info.write_id);
    let collection = Some((target.collection_id, target.name.as_str()));
    let job = jobs::new(caller, Task::ImportUrl { call: import }, &upload_id, collection);
    let job = jobs::insert(deps, &job).await?;
    Ok((target, job.job_id))
}

/// Makes the call and ingests it. A repetition appends nothing twice.
///
/// # Errors
/// When the process ends, and what may go better later.
pub async fn run(deps: &Deps, job: &Attempt<Task>, import: &UrlImport) -> Result<End, Error> {
    let answer = match &import.answer {
        Some(answer) => answer.clone(),
        None => match call(deps, import).await {
            Ok(answer) => answer,
            Err(error) => return Ok(End::Failed(error.to_string())),
        },
    };
    job.goes_on()?;
    let collection_id = job.subject.collection_id().unwrap_or_default();
    let mut progress = Progress { total_items: 1, ..Progress::default() };
    match record(job, import, &answer).to_bounded_json() {
        Err(bound) => progress.refuse(import.url.clone(), bound.to_string()),
        Ok(record) => {
            let mut appender = Appender::new(deps, format!("upload/{}/{}/call", job.account_id, job.key));
            appender.append(vec![ingest::message(job.account_id, collection_id, record)]).await?;
            progress.imported_items = 1;
            progress.positions = appender.positions();
        }
    }
    deps.db.fault("imports.url_appended").await?;
    let text = answer.body.into_bytes();
    let found = match detect(&text[..text.len().min(256 * 1024)]) {
        // An answer only looks like a document when it cannot be read as one.
        Some(Format::Har) => har(deps, job, text).await?,
        Some(format) => {
            let turn = documents::turn(deps, job.account_id, &text).await;
            ingest_document(deps, job, turn, format, false, text).await?.ok()
        }
        None => None,
    };
    if let Some(found) = found {
        progress.total_items += found.total_items;
        progress.imported_items += found.imported_items;
        progress.refused_items += found.refused_items;
        progress.refusals.extend(found.refusals);
        progress.refusals.truncate(REFUSALS_MAX);
        progress.note(found.notes);
        ingest::merge(&mut progress.positions, found.positions);
    }
    job.show(&Cursor { progress: progress.clone(), ..Cursor::default() }).await?;
    wait(deps, job, &progress).await?;
    Ok(End::Succeeded(progress))
}

async fn call(deps: &Deps, import: &UrlImport) -> Result<Answer, FetchError> {
    let mut request = match import.body.is_empty() {
        true => Request::get(&import.url),
        false => Request::post(&import.url).body(import.body.clone()),
    };
    request = request.header("content-type", "application/json").time_max(TIME_MAX).bytes_max(ANSWER_BYTES_MAX);
    for (name, value) in &import.headers {
        request = request.secret_header(name, value);
    }
    let response = deps.fetch.send(request).await?;
    let header = |(name, value): (&_, &_)| header_texts(name, value);
    Ok(Answer {
        status_code: i32::from(response.status.as_u16()),
        headers: response.headers.iter().filter_map(header).collect(),
        body: without_nul(response.text()),
    })
}

fn header_texts(name: &http::HeaderName, value: &http::HeaderValue) -> Option<(String, String)> {
    Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
}

fn record(job: &Job<Task>, import: &UrlImport, answer: &Answer) -> Record<'static> {
    let lower = |headers: &BTreeMap<String, String>| -> BTreeMap<String, String> {
        headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect()
    };
    let json = |headers: &BTreeMap<String, String>| serde_json::to_string(headers).expect("texts always serialize");
    let mut sent = lower(&import.headers);
    sent.entry("content-type".to_owned()).or_insert_with(|| "application/json".to_owned());
    if let Ok(url) = url::Url::parse(&import.url)
        && let Some(host) = url.host_str()
    {
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        sent.entry("host".to_owned()).or_insert(host);
    }
    Record {
        account_id: job.account_id.into(),
        collection_id: job.subject.collection_id().unwrap_or_default().get().into(),
        source: Source::Har,
        method: if import.body.is_empty() { "GET" } else { "POST" }.into(),
        path: import.url.clone().into(),
        protocol: "HTTP/1.1".into(),
        request_headers: json(&sent).into(),
        request_payload: import.body.clone().into(),
        response_headers: json(&lower(&answer.headers)).into(),
        response_payload: answer.body.clone().into(),
        status_code: answer.status_code,
        time: job.created_at,
        ip: "null".into(),
        direction: 1,
        ..Record::default()
    }
}

/// Ingests a capture; `None` when it is none.
async fn har(deps: &Deps, job: &Job<Task>, text: Vec<u8>) -> Result<Option<Progress>, Error> {
    let (account_id, collection_id, time) =
        (job.account_id, job.subject.collection_id().unwrap_or_default(), job.created_at);
    let turn = deps.documents.take(account_id, text.len()).await;
    let converted = portolan_runtime::in_background_from(text.len(), move || {
        let _turn = turn;
        har::validate_slice(&text).ok()?;
        let target = portolan_formats::Target {
            account_id: account_id.into(),
            collection_id: collection_id.get().into(),
            time,
            source: Source::Har,
        };
        let (mut full, mut chunks, mut progress) = (Vec::new(), Chunks::new(CHUNK_BYTES_MAX), Progress::default());
        har::convert_slice(&text, &target, &mut |item| {
            progress.total_items += 1;
            match item {
                har::Item::Record(record) => {
                    let json = record.to_json();
                    let bytes = json.len();
                    progress.imported_items += 1;
                    full.extend(chunks.push(ingest::message(account_id, collection_id, json), bytes));
                }
                har::Item::Refused { index, reason } => progress.refuse(index.to_string(), reason),
            }
            ControlFlow::Continue(())
        })
        .ok()?;
        full.extend(chunks.take());
        Some((full, progress))
    });
    let Some((chunks, mut progress)) = converted.await? else { return Ok(None) };
    let mut appender = Appender::new(deps, format!("upload/{account_id}/{}", job.key));
    for chunk in chunks {
        appender.append(chunk).await?;
    }
    progress.positions = appender.positions();
    Ok(Some(progress))
}
