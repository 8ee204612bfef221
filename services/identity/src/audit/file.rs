//! Files in which events have left the database: a line of JSON for what the events follow, one for each event as its
//! row held it, and one for the end, under a seal.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use portolan_api::Error;
use portolan_ids::AccountId;
use portolan_store::Db;
use serde::{Deserialize, Serialize};

use super::{
    keys::AuditKeys,
    verify::{Fault, Walk},
};
use crate::{
    model::{
        audit::{Entry, Head},
        audit_head::SignedHead,
    },
    store::audit as store,
};

const PURPOSE: &str = "audit file";
const VERSION: u32 = 1;

/// What the events of a file follow.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Begin {
    portolan_audit: u32,
    account_id: AccountId,
    month: String,
    anchor_seq: i64,
    anchor_hash: String,
    unkeyed_seq: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    end_seq: i64,
    end_hash: String,
    key_id: String,
    seal: String,
}

impl Begin {
    fn of(head: &Head, month: &str) -> Self {
        Self {
            portolan_audit: VERSION,
            account_id: head.account_id,
            month: month.to_owned(),
            anchor_seq: head.anchor_seq,
            anchor_hash: head.anchor_hash.clone(),
            unkeyed_seq: head.unkeyed_seq,
        }
    }

    fn numbers(&self, end_seq: i64) -> [i64; 4] {
        [self.account_id.into(), self.anchor_seq, self.unkeyed_seq, end_seq]
    }

    fn texts<'a>(&'a self, end_hash: &'a str) -> [&'a str; 3] {
        [&self.month, &self.anchor_hash, end_hash]
    }
}

/// A file that is being written. It has another name until it is whole.
pub(super) struct Writer {
    file: BufWriter<File>,
    begin: Begin,
    unfinished: PathBuf,
    path: PathBuf,
}

impl Writer {
    /// Of the events that follow the anchor of a head.
    pub(super) fn create(directory: &Path, head: &Head, month: &str) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let name = format!("audit-{}-{month}-{}.jsonl", head.account_id, head.anchor_seq + 1);
        let path = directory.join(name);
        let unfinished = path.with_extension(format!("{:016x}.unfinished", rand::random::<u64>()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        let mut writer = Self { file: BufWriter::new(file), begin: Begin::of(head, month), unfinished, path };
        let begin = serde_json::to_string(&writer.begin)?;
        writeln!(writer.file, "{begin}")?;
        Ok(writer)
    }

    pub(super) fn write(&mut self, entry: &Entry) -> io::Result<()> {
        writeln!(self.file, "{}", serde_json::to_string(entry)?)
    }

    /// Ends the file. When this succeeds it is on the disk under its name.
    pub(super) fn finish(mut self, keys: &AuditKeys, end_seq: i64, end_hash: &str) -> io::Result<PathBuf> {
        let key = keys.current();
        let seal = key.mac(PURPOSE, &self.begin.numbers(end_seq), &self.begin.texts(end_hash));
        let end = End { end_seq, end_hash: end_hash.to_owned(), key_id: key.id, seal };
        writeln!(self.file, "{}", serde_json::to_string(&end)?)?;
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        std::fs::rename(&self.unfinished, &self.path)?;
        if let Some(directory) = self.path.parent() {
            File::open(directory)?.sync_all()?;
        }
        Ok(self.path.clone())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Gone where it was finished.
        let _ = std::fs::remove_file(&self.unfinished);
    }
}

/// Where a file holds, or the first event that does not.
pub type FileVerdict = Result<WholeFile, (i64, Fault)>;

/// Checks files by themselves, against the next one before each of the same account among them, and against the begin of
/// their chain in the database.
///
/// # Errors
/// When a file cannot be read; any of the store.
pub async fn verify_files(
    db: &Db,
    keys: &AuditKeys,
    paths: &[PathBuf],
    expected: &[SignedHead],
) -> portolan_api::Result<Vec<(PathBuf, FileVerdict)>> {
    let mut all = Vec::new();
    for path in paths {
        let failed = |error| Error::internal(format!("{}: {error}", path.display()));
        all.push((path.clone(), verify_file(keys, path, expected).map_err(failed)?));
    }
    all.sort_by_key(|(_, verdict)| {
        verdict.as_ref().map_or((AccountId(0), 0), |file| (file.account_id, file.anchor_seq))
    });
    let mut before: Option<WholeFile> = None;
    for (_, verdict) in &mut all {
        let Ok(file) = verdict else { continue };
        let whole = file.clone();
        let follows = before
            .take()
            .filter(|before| before.account_id == whole.account_id)
            .is_none_or(|before| before.end_seq == whole.anchor_seq && before.end_hash == whole.anchor_hash);
        let mut tx = db.begin_read().await?;
        let head = store::find_head(&mut tx, whole.account_id).await?.map(|sealed| sealed.head);
        tx.rollback().await?;
        let is_at_anchor =
            head.filter(|head| head.anchor_seq == whole.end_seq).is_none_or(|head| head.anchor_hash == whole.end_hash);
        if !follows {
            *verdict = Err((whole.anchor_seq, Fault::NoFileBefore));
        } else if !is_at_anchor {
            *verdict = Err((whole.end_seq, Fault::NotAtAnchor));
        }
        before = Some(whole);
    }
    Ok(all)
}

/// A file that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeFile {
    /// Whose chain it is of.
    pub account_id: AccountId,
    /// The calendar month of its first event in UTC, such as `2026-01`.
    pub month: String,
    /// The events are those after `anchor_seq`, up to `end_seq`.
    pub anchor_seq: i64,
    /// The hash that its first event follows, in hex.
    pub anchor_hash: String,
    /// The number of its last event.
    pub end_seq: i64,
    /// The hash of its last event, in hex.
    pub end_hash: String,
}

/// Checks a file, and holds it against the expected heads of its events. Returns the place that does not hold otherwise.
///
/// # Errors
/// When the file cannot be read.
pub fn verify_file(keys: &AuditKeys, path: &Path, expected: &[SignedHead]) -> io::Result<FileVerdict> {
    let unreadable = || Ok(Err((0, Fault::NoFile)));
    let (mut last, mut count) = (String::new(), 0_usize);
    for line in BufReader::new(File::open(path)?).lines() {
        match line {
            Ok(line) => (last, count) = (line, count + 1),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return unreadable(),
            Err(error) => return Err(error),
        }
    }
    let mut lines = BufReader::new(File::open(path)?).lines();
    let begin = lines.next().transpose()?.and_then(|line| serde_json::from_str::<Begin>(&line).ok());
    let (Some(begin), Ok(end)) = (begin, serde_json::from_str::<End>(&last)) else { return unreadable() };
    if count < 2 || begin.portolan_audit != VERSION {
        return unreadable();
    }
    let head = Head {
        account_id: begin.account_id,
        seq: end.end_seq,
        hash: end.end_hash.clone(),
        unkeyed_seq: begin.unkeyed_seq,
        anchor_seq: begin.anchor_seq,
        anchor_hash: begin.anchor_hash.clone(),
        signed_seq: 0,
    };
    let expected: Vec<_> = expected.iter().filter(|signed| signed.account_id == head.account_id).collect();
    let mut walk = Walk::new(keys, &head);
    for line in lines.take(count - 2) {
        let Ok(entry) = serde_json::from_str::<Entry>(&line?) else {
            return Ok(Err((walk.seq() + 1, Fault::Changed)));
        };
        if let Err(broken) = walk.step(&entry, &expected) {
            return Ok(Err(broken));
        }
    }
    if let Err(broken) = walk.reaches_end() {
        return Ok(Err(broken));
    }
    let Some(key) = keys.find(&end.key_id) else {
        return Ok(Err((end.end_seq, Fault::UnknownKey(end.key_id))));
    };
    if !key.made(&end.seal, PURPOSE, &begin.numbers(end.end_seq), &begin.texts(&end.end_hash)) {
        return Ok(Err((end.end_seq, Fault::HeadChanged)));
    }
    let Begin { account_id, month, anchor_seq, anchor_hash, .. } = begin;
    let End { end_seq, end_hash, .. } = end;
    Ok(Ok(WholeFile { account_id, month, anchor_seq, anchor_hash, end_seq, end_hash }))
}
