//! The work of one job: the stored file is checked as a whole, then converted and appended chunk by chunk.
//!
//! A job that was interrupted converts its file again: the same bytes give the same chunks, and those that are in the
//! log already are passed over.

use std::io::Read as _;
use std::ops::ControlFlow;
use std::time::Duration;

use portolan_formats::{Format, FormatError, har};
use portolan_jobs::{Attempt, Job};
use portolan_log::Message;
use portolan_record::Source;
use tokio::sync::mpsc;

use crate::ingest::{self, CHUNK_BYTES_MAX, Chunks};
use crate::model::documents::Destination;
use crate::model::jobs::{Cursor, End, File, Progress, Task};
use crate::model::text::without_nul;
use crate::model::uploads::{Owner, UploadKind};
use crate::turns::{SMALL_BYTES, Turn};
use crate::{Deps, Error, documents};

/// Largest document that is parsed whole: what its parser takes. It is held in memory beside what it becomes.
const DOCUMENT_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Chunks that wait for the log: one being appended, one ready.
const CHUNKS_WAITING_MAX: usize = 1;

/// Works on a job until its records are in the inventory.
///
/// # Errors
/// When the process ends, when the job is another's, and what may go better later.
pub async fn run(deps: &Deps, job: &Attempt<Task>, file: &File) -> Result<End, Error> {
    let work = Work { deps, job };
    let outcome = match file.format {
        Format::Har if !file.is_archive => work.har().await,
        format => work.document(format, file.path_only).await,
    };
    job.goes_on()?;
    match outcome? {
        Err(error) => Ok(End::Failed(without_nul(error.to_string()))),
        Ok(progress) => {
            wait(deps, job, &progress).await?;
            Ok(End::Succeeded(progress))
        }
    }
}

/// Waits until the inventory has read what was appended.
///
/// # Errors
/// When the process ends.
pub async fn wait(deps: &Deps, job: &Attempt<Task>, progress: &Progress) -> Result<(), Error> {
    while !ingest::wait(deps, job.account_id, &progress.positions, Duration::from_secs(1)).await {
        job.goes_on()?;
    }
    Ok(())
}

struct Work<'a> {
    deps: &'a Deps,
    job: &'a Attempt<Task>,
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
        let (deps, name, pulse) = (self.deps.clone(), self.job.job_id.clone(), self.job.pulse().clone());
        let checked = portolan_runtime::in_background(move || {
            Ok::<_, Error>(har::validate_reader(deps.spool.open(name.as_str(), pulse)?))
        });
        let entries = match checked.await?? {
            Ok(entries) => entries,
            Err(error) => return Ok(Err(error)),
        };
        let known = &self.job.cursor.progress;
        let mut progress = Progress {
            total_items: i64::try_from(entries).unwrap_or(i64::MAX),
            positions: known.positions.clone(),
            ..Progress::default()
        };
        if known.chunks_appended == 0 {
            self.show(&progress).await?;
        }
        let (sender, mut steps) = mpsc::channel(CHUNKS_WAITING_MAX);
        let converted = self.convert_har(sender);
        let mut sequence = 0;
        while let Some(step) = steps.recv().await {
            match step {
                Step::Refused { index, reason } => progress.refuse(index.to_string(), reason),
                Step::Chunk { messages, imported } => {
                    progress.imported_items = imported;
                    // Chunks below the saved number are in the log: their positions are saved with it.
                    if sequence >= known.chunks_appended {
                        let producer_id = format!("upload/{}/{}", self.job.account_id, self.job.key);
                        let done = i64::try_from(messages.len()).unwrap_or(i64::MAX);
                        let positions = ingest::append(self.deps, &producer_id, sequence, messages, &|_| ()).await?;
                        ingest::merge(&mut progress.positions, positions);
                        self.deps.db.fault("imports.appended").await?;
                        progress.chunks_appended = sequence + 1;
                        self.job.advance(&cursor(&progress), done).await?;
                    }
                    sequence += 1;
                }
            }
        }
        match converted.await?? {
            Ok(()) => {}
            Err(error) => return Ok(Err(error)),
        }
        progress.chunks_appended = sequence;
        self.show(&progress).await?;
        Ok(Ok(progress))
    }

    /// Converts on a thread of its own. A receiver that is gone ends it.
    fn convert_har(
        &self,
        sender: mpsc::Sender<Step>,
    ) -> tokio::task::JoinHandle<Result<Result<(), FormatError>, Error>> {
        let (deps, job, pulse) = (self.deps.clone(), Job::clone(self.job), self.job.pulse().clone());
        let collection_id = job.subject.collection_id().unwrap_or_default();
        let target = portolan_formats::Target {
            account_id: job.account_id.into(),
            collection_id: collection_id.get().into(),
            // The time of the job and not of the attempt: a repetition must make the same records.
            time: job.created_at,
            source: Source::Har,
        };
        portolan_runtime::in_background(move || {
            let file = deps.spool.open(job.job_id.as_str(), pulse)?;
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

    async fn document(&self, format: Format, path_only: bool) -> Result<Result<Progress, FormatError>, Error> {
        let job = self.job;
        let (mut text, mut turn) = (self.read(SMALL_BYTES).await?, None);
        if matches!(&text, Ok(text) if text.len() > SMALL_BYTES) {
            // What waits for its turn is on the disk and not in memory.
            turn = Some(self.deps.documents.take(job.account_id, usize::MAX).await);
            text = self.read(DOCUMENT_BYTES_MAX).await?;
        }
        let text = match text {
            Ok(text) if text.len() <= DOCUMENT_BYTES_MAX => text,
            Ok(_) => return Ok(Err(FormatError::TooLarge(format!("it has more than {DOCUMENT_BYTES_MAX} bytes")))),
            Err(error) => return Ok(Err(error.into())),
        };
        let turn = match turn {
            Some(turn) => turn,
            None => documents::turn(self.deps, job.account_id, &text).await,
        };
        match ingest_document(self.deps, job, turn, format, path_only, text).await? {
            Ok(progress) => {
                self.show(&progress).await?;
                Ok(Ok(progress))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    /// The file, decompressed, up to the byte after so many.
    async fn read(&self, bytes_max: usize) -> Result<std::io::Result<Vec<u8>>, Error> {
        let (deps, name, pulse) = (self.deps.clone(), self.job.job_id.clone(), self.job.pulse().clone());
        let text = portolan_runtime::in_background(move || {
            let mut text = Vec::new();
            let read = deps.spool.open(name.as_str(), pulse)?.take(bytes_max as u64 + 1).read_to_end(&mut text);
            Ok::<_, Error>(read.map(|_| text))
        });
        text.await?
    }

    async fn show(&self, progress: &Progress) -> Result<(), Error> {
        Ok(self.job.show(&cursor(progress)).await?)
    }
}

fn cursor(progress: &Progress) -> Cursor {
    Cursor { progress: progress.clone(), ..Cursor::default() }
}

/// Ingests a document, in its turn, into the collection of a job, and keeps it as the job's upload. Safe to repeat with
/// the same text.
pub async fn ingest_document(
    deps: &Deps,
    job: &Job<Task>,
    turn: Turn,
    format: Format,
    path_only: bool,
    text: Vec<u8>,
) -> Result<Result<Progress, FormatError>, Error> {
    let collection_id = job.subject.collection_id().unwrap_or_default();
    let Job { account_id, created_at: time, .. } = *job;
    let destination = Destination { account_id, collection_id, path_only, time };
    let (document, _turn) = match documents::convert_in(turn, format, text, destination).await? {
        Ok(converted) => converted,
        Err(error) => return Ok(Err(error)),
    };
    let (name, kind) = (job.subject.name.clone(), UploadKind::of(format));
    let owner = Owner { account_id, user_id: job.subject.user_id.unwrap_or_default() };
    let upload = document.upload(owner, job.key.as_str().into(), kind, name, time);
    let mut progress = Progress {
        total_items: upload.total,
        imported_items: upload.clean + upload.parsed_with_errors,
        ..Progress::default()
    };
    for operation in document.operations.iter().filter(|operation| !operation.importable) {
        progress.refuse(operation.label(), operation.error_text());
    }
    progress.note(document.notes());
    progress.positions = documents::fill(deps, upload, collection_id, document.operations).await?;
    Ok(Ok(progress))
}
