//! The road of a file of any size: checked by its first bytes, spooled durably, then answered with its job.

use std::io::{Cursor, Read as _};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use portolan_api::Reason;
use portolan_authz::Caller;
use portolan_formats::{Format, archive::is_archive, detect};
use portolan_ids::{CollectionId, JobId, UploadId};
use portolan_jobs::{NewJob, Pulse, Record, new_id};
use sha2::{Digest as _, Sha256};

use crate::model::ids;
use crate::model::jobs::{File, Task, format_name};
use crate::model::targets::{Target, Wanted};
use crate::spool::{self, FILE_BYTES_MAX};
use crate::{Deps, Error, jobs, peek, targets};

/// First bytes, as sent, by which format and name are found. The target must be made while the caller's token is
/// young, so a long upload cannot be waited for.
const PREFIX_BYTES: usize = 256 * 1024;
/// What of them is looked at, decompressed.
const PEEK_BYTES: u64 = 4 * 1024 * 1024;

/// What stands beside the file.
#[derive(Debug, Default)]
pub struct NewImport {
    /// Wins over the name.
    pub collection_id: Option<CollectionId>,
    pub collection_name: Option<String>,
    /// `gzip`, `zstd`, `identity` or empty. The file's first bytes decide; another encoding is refused.
    pub content_encoding: String,
    /// Names the collection when neither the caller nor the file does.
    pub file_name: String,
}

/// Stores a file and returns the ids of its job and upload. A repetition under the same write id answers the same.
/// Nothing stays of an upload that breaks off.
///
/// # Errors
/// Those of the collection, `FORMAT_UNKNOWN`, `UPLOAD_UNREADABLE`, `SPOOL_FULL`, `SPOOL_SHARE_EXCEEDED`, the errors of the
/// stream, and `IDEMPOTENCY_KEY_REUSED` when another file was sent under the same write id.
pub async fn create(
    deps: &Deps,
    caller: &Caller,
    import: NewImport,
    pieces: impl Stream<Item = Result<Bytes, Error>>,
) -> Result<(JobId, UploadId), Error> {
    let upload_id = ids::upload(caller.account_id, &caller.info.write_id);
    if let Some(job) = deps.jobs.find(caller.account_id, upload_id.as_str()).await? {
        return repeated(job, pieces).await;
    }
    if !matches!(import.content_encoding.trim().to_ascii_lowercase().as_str(), "" | "identity" | "gzip" | "zstd") {
        return Err(unreadable("its encoding is neither gzip nor zstd"));
    }
    let given = match import.collection_id {
        Some(id) => {
            Some(targets::resolve(deps, caller, Wanted::Id(id.into())).await?.ok_or(Reason::CollectionNotFound)?)
        }
        None => None,
    };
    let job_id = new_id();
    let waiting = deps.jobs.active_bytes(caller.account_id).await?;
    let share = deps.spool.share(caller.account_id, waiting)?;
    let mut file = deps.spool.create(job_id.as_str(), share).await?;
    let mut prefix = Vec::new();
    let mut decided = None;
    let mut pieces = std::pin::pin!(pieces);
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        if file.bytes() + piece.len() as u64 > FILE_BYTES_MAX {
            return Err(unreadable(&format!("it has more than {FILE_BYTES_MAX} bytes")));
        }
        file.write(&piece).await?;
        if decided.is_none() {
            let room = PREFIX_BYTES - prefix.len();
            prefix.extend_from_slice(&piece[..piece.len().min(room)]);
            if prefix.len() == PREFIX_BYTES {
                decided = Some(decide(deps, caller, &import, given.clone(), std::mem::take(&mut prefix)).await?);
            }
        }
    }
    let Decided { format, is_archive, target } = match decided {
        Some(decided) => decided,
        None => decide(deps, caller, &import, given, prefix).await?,
    };
    let content_digest = file.digest();
    let bytes_total = i64::try_from(file.finish().await?).unwrap_or(i64::MAX);
    let path_only = target.is_host;
    let task = Task::Import(File { format, is_archive, path_only, content_digest: content_digest.clone() });
    let collection = Some((target.collection_id, target.name.as_str()));
    let job = NewJob { job_id, bytes_total, ..jobs::new(caller, task, &upload_id, collection) };
    // Of two uploads of one write at once the first to come has the job.
    let job = jobs::insert_with_file(deps, job).await?;
    same(job, &content_digest)
}

/// The job of a write that was made before, if it is the same file that comes again. The whole file is read: only its end
/// tells.
async fn repeated(job: Record, pieces: impl Stream<Item = Result<Bytes, Error>>) -> Result<(JobId, UploadId), Error> {
    let mut digest = Sha256::new();
    let mut bytes = 0;
    let mut pieces = std::pin::pin!(pieces);
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        bytes += piece.len() as u64;
        if bytes > FILE_BYTES_MAX {
            break;
        }
        digest.update(&piece);
    }
    same(job, &hex::encode(digest.finalize()))
}

fn same(job: Record, content_digest: &str) -> Result<(JobId, UploadId), Error> {
    if job.arguments["content_digest"] == content_digest {
        Ok((job.job_id, job.key.into()))
    } else {
        Err(Reason::IdempotencyKeyReused.into())
    }
}

/// What the first bytes tell.
struct Decided {
    format: Format,
    is_archive: bool,
    target: Target,
}

/// Finds format and target by the first bytes.
async fn decide(
    deps: &Deps,
    caller: &Caller,
    import: &NewImport,
    given: Option<Target>,
    prefix: Vec<u8>,
) -> Result<Decided, Error> {
    let prefix = tokio::task::spawn_blocking(move || first_bytes(prefix)).await?;
    let format = detect(&prefix).ok_or_else(|| {
        portolan_api::Error::new(Reason::FormatUnknown).with("detail", portolan_formats::unknown(&prefix))
    })?;
    let is_archive = is_archive(&prefix);
    let decided = |target| Decided { format, is_archive, target };
    let fits = |target: Target| match format {
        Format::OpenApi => target.for_openapi(),
        Format::Har | Format::Postman | Format::Imperva => target.plain(),
    };
    let missing = || Error::from(Reason::CollectionNotFound);
    if let Some(target) = given {
        return Ok(decided(fits(target)?));
    }
    if let Some(name) = &import.collection_name {
        let target = targets::resolve(deps, caller, Wanted::Named(name)).await?.ok_or_else(missing)?;
        return Ok(decided(fits(target)?));
    }
    let found = match format {
        Format::Har => peek::har_host(&prefix),
        Format::OpenApi | Format::Postman => portolan_formats::name(format, &prefix),
        Format::Imperva => peek::imperva_host(&prefix),
    };
    let name = found.or_else(|| peek::stem(&import.file_name)).unwrap_or_else(|| format_name(format).to_owned());
    let target = targets::resolve(deps, caller, Wanted::Titled(&name)).await?.ok_or_else(missing)?;
    if target.is_host || target.is_group || target.deactivated {
        // Nobody asked for the collection that happens to have this name.
        let name = format!("{} {name}", format_name(format));
        let target = targets::resolve(deps, caller, Wanted::Titled(&name)).await?.ok_or_else(missing)?;
        return Ok(decided(fits(target)?));
    }
    Ok(decided(target))
}

/// The first bytes, decompressed as far as they go.
fn first_bytes(prefix: Vec<u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A prefix ends within a compressed block: what was read before that is enough.
    let _ = spool::decompressed(Box::new(Cursor::new(prefix)), Pulse::default())
        .and_then(|reader| reader.take(PEEK_BYTES).read_to_end(&mut bytes));
    bytes
}

fn unreadable(detail: &str) -> Error {
    portolan_api::Error::new(Reason::UploadUnreadable).with("detail", detail).into()
}
