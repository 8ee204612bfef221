//! The work of one job: the stored file is checked as a whole, then converted and appended chunk by chunk.
//!
//! A job that was interrupted converts its file again: the same bytes give the same chunks, and those that are in the
//! log already are passed over.

use std::io::Read as _;
use std::ops::ControlFlow;
use std::time::Duration;

use portolan_formats::{Format, FormatError, har};
use portolan_log::Message;
use portolan_record::Source;
use portolan_runtime::now_s;
use tokio::sync::mpsc;

use crate::documents;
use crate::ingest::{self, CHUNK_BYTES_MAX, Chunks};
use crate::model::documents::Place;
use crate::model::jobs::{End, Job, Progress};
use crate::model::text::without_nul;
use crate::model::uploads::{Owner, UploadKind};
use crate::spool::Meter;
use crate::store::jobs as rows;
use crate::{Deps, Error};

/// Largest document that is parsed whole: what its parser takes. It is held in memory beside what it becomes.
const DOCUMENT_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// Chunks that wait for the log: one being appended, one ready.
const CHUNKS_WAITING_MAX: usize = 1;

/// Works on a job until its records are in the inventory.
///
/// # Errors
/// [`Error::Stopping`] when `meter` was stopped, [`Error::LeaseLost`], and what may go better later.
pub async fn run(deps: &Deps, job: &Job, owner: &str, meter: &Meter) -> Result<End, Error> {
    let work = Work { deps, job, owner, meter };
    let outcome = match job.format {
        Some(Format::Har) => work.har().await,
        Some(format) => work.document(format).await,
        None => return Err(portolan_api::Error::internal("a job without format").into()),
    };
    if meter.is_stopped() {
        return Err(Error::Stopping);
    }
    match outcome? {
        Err(error) => Ok(End::Failed(without_nul(error.to_string()))),
        Ok(progress) => {
            while !ingest::wait(deps, &progress.positions, Duration::from_secs(1)).await {
                if meter.is_stopped() {
                    return Err(Error::Stopping);
                }
            }
            Ok(End::Succeeded)
        }
    }
}

struct Work<'a> {
    deps: &'a Deps,
    job: &'a Job,
    owner: &'a str,
    meter: &'a Meter,
}

/// What the converter hands to the appender.
enum Step {
    /// `imported` counts the records up to the end of the chunk.
    Chunk {
        messages: Vec<Message>,
        imported: i64,
    },
    Refused {
        index: u64,
        reason: String,
    },
}

impl Work<'_> {
    async fn har(&self) -> Result<Result<Progress, FormatError>, Error> {
        let (deps, name, meter) = (self.deps.clone(), self.job.job_id.clone(), self.meter.clone());
        let checked =
            tokio::task::spawn_blocking(move || Ok::<_, Error>(har::validate_reader(deps.spool.open(&name, meter)?)));
        let entries = match checked.await?? {
            Ok(entries) => entries,
            Err(error) => return Ok(Err(error)),
        };
        let mut progress = Progress {
            total_items: i64::try_from(entries).unwrap_or(i64::MAX),
            positions: self.job.progress.positions.clone(),
            ..Progress::default()
        };
        self.save(&mut progress).await?;
        let (sender, mut steps) = mpsc::channel(CHUNKS_WAITING_MAX);
        let converted = self.convert_har(sender);
        let mut sequence = 0;
        while let Some(step) = steps.recv().await {
            match step {
                Step::Refused { index, reason } => progress.refuse(index.to_string(), reason),
                Step::Chunk { messages, imported } => {
                    progress.imported_items = imported;
                    // Chunks below the saved number are in the log: their positions are saved with it.
                    if sequence >= self.job.progress.chunks_appended {
                        let producer_id = format!("upload/{}/{}", self.job.account_id, self.job.upload_id);
                        let positions = ingest::append(self.deps, &producer_id, sequence, messages).await?;
                        ingest::merge(&mut progress.positions, positions);
                        self.deps.db.fault("imports.appended").await?;
                    }
                    sequence += 1;
                    progress.chunks_appended = sequence;
                    self.save(&mut progress).await?;
                }
            }
        }
        match converted.await?? {
            Ok(()) => {}
            Err(error) => return Ok(Err(error)),
        }
        self.save(&mut progress).await?;
        Ok(Ok(progress))
    }

    /// Converts on a thread of its own. A receiver that is gone ends it.
    fn convert_har(
        &self,
        sender: mpsc::Sender<Step>,
    ) -> tokio::task::JoinHandle<Result<Result<(), FormatError>, Error>> {
        let (deps, job, meter) = (self.deps.clone(), self.job.clone(), self.meter.clone());
        let collection_id = job.collection_id.unwrap_or_default();
        let target = portolan_formats::Target {
            account_id: job.account_id,
            collection_id: i64::from(collection_id),
            // The time of the job and not of the attempt: a repetition must make the same records.
            time: job.created_at,
            source: Source::Har,
        };
        tokio::task::spawn_blocking(move || {
            let file = deps.spool.open(&job.job_id, meter)?;
            let mut chunks = Chunks::new(CHUNK_BYTES_MAX);
            let mut records = 0;
            let give = |step| match sender.blocking_send(step) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            };
            let summary = har::convert_reader(file, &target, &mut |item| match item {
                har::Item::Record(record) => {
                    let json = record.to_json();
                    let bytes = json.len();
                    let full = chunks.push(ingest::message(job.account_id, collection_id, json), bytes);
                    let imported = records;
                    records += 1;
                    full.map_or(ControlFlow::Continue(()), |messages| give(Step::Chunk { messages, imported }))
                }
                har::Item::Refused { index, reason } => give(Step::Refused { index, reason }),
            });
            if let Err(error) = summary {
                return Ok(Err(error));
            }
            if let Some(messages) = chunks.take() {
                // A receiver that is gone has its own reason.
                let _ = give(Step::Chunk { messages, imported: records });
            }
            Ok(Ok(()))
        })
    }

    async fn document(&self, format: Format) -> Result<Result<Progress, FormatError>, Error> {
        let job = self.job;
        let (deps, name, meter) = (self.deps.clone(), job.job_id.clone(), self.meter.clone());
        let text = tokio::task::spawn_blocking(move || {
            let mut text = Vec::new();
            let read = deps.spool.open(&name, meter)?.take(DOCUMENT_BYTES_MAX + 1).read_to_end(&mut text);
            Ok::<_, Error>(read.map(|_| text))
        });
        let text = match text.await?? {
            Ok(text) if text.len() as u64 <= DOCUMENT_BYTES_MAX => text,
            Ok(_) => return Ok(Err(FormatError::TooLarge(format!("it has more than {DOCUMENT_BYTES_MAX} bytes")))),
            Err(error) => return Ok(Err(error.into())),
        };
        match ingest_document(self.deps, job, format, text).await? {
            Ok(mut progress) => {
                self.save(&mut progress).await?;
                Ok(Ok(progress))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    async fn save(&self, progress: &mut Progress) -> Result<(), Error> {
        progress.bytes_done = bytes_done(self.job, self.meter);
        self.meter.beat();
        let held = rows::save_progress(&self.deps.db, self.job, self.owner, progress, now_s()).await?;
        if held { Ok(()) } else { Err(Error::LeaseLost) }
    }
}

/// Ingests a document into the collection of a job, and keeps it as the job's upload. Safe to repeat with the same text.
pub async fn ingest_document(
    deps: &Deps,
    job: &Job,
    format: Format,
    text: Vec<u8>,
) -> Result<Result<Progress, FormatError>, Error> {
    let collection_id = job.collection_id.unwrap_or_default();
    let Job { account_id, path_only, created_at: time, .. } = *job;
    let place = Place { account_id, collection_id, path_only, time };
    let document = match documents::convert(deps, format, text, place).await? {
        Ok(document) => document,
        Err(error) => return Ok(Err(error)),
    };
    let (name, kind) = (job.collection_name.clone(), UploadKind::of(format));
    let owner = Owner { account_id, user_id: job.user_id };
    let upload = document.upload(owner, job.upload_id.clone(), kind, name, time);
    let mut progress = Progress {
        total_items: upload.total,
        imported_items: upload.clean + upload.parsed_with_errors,
        ..Progress::default()
    };
    for operation in document.operations.iter().filter(|operation| !operation.importable) {
        progress.refuse(operation.label(), operation.error_text());
    }
    progress.positions = documents::fill(deps, upload, collection_id, document.operations).await?;
    Ok(Ok(progress))
}

/// A capture is read twice, once to check and once to convert, so that each pass counts half.
pub fn bytes_done(job: &Job, meter: &Meter) -> i64 {
    let read = i64::try_from(meter.bytes_read()).unwrap_or(i64::MAX);
    let done = if job.format == Some(Format::Har) { read / 2 } else { read };
    done.min(job.bytes_total)
}
