//! The directory of raw files: written durably, read decompressed and bounded, removed when their job ends.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portolan_ids::AccountId;
use portolan_jobs::Pulse;
use sha2::{Digest as _, Sha256};
use tokio::fs;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::OnceCell;
use uuid::Uuid;

/// Largest file, as sent and decompressed: it must fit a disk beside the database.
pub const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024 * 1024;
/// Decompressed bytes for one byte sent. Captures compress 10 to 50 times; far above that a file is an attack.
const RATIO_MAX: u64 = 1_000;
/// Below this a high ratio does no harm.
const RATIO_FREE_BYTES: u64 = 64 * 1024 * 1024;
/// Names of files that are not complete.
const PARTIAL_SUFFIX: &str = ".part";
const ID_FILE: &str = "spool-id";
/// Files that one account sends at once; each holds a MiB in memory.
const FILES_MAX: usize = 32;
/// Pieces are collected before they are written.
const WRITE_BYTES: usize = 1024 * 1024;
/// Uploads leave this part of the disk free, up to a bound: the database may lie beside them.
const FREE_SHARE: u64 = 20;
const FREE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The directory. Processes that share a database but not a directory leave each other's jobs alone by its id.
pub struct Spool {
    directory: PathBuf,
    id: OnceCell<String>,
    shares: Arc<Shares>,
}

/// What accounts send at this moment.
struct Shares {
    bytes_max: u64,
    sending: Mutex<HashMap<AccountId, Sending>>,
}

#[derive(Clone, Copy, Default)]
struct Sending {
    files: usize,
    bytes: u64,
}

impl Shares {
    fn lock(&self) -> MutexGuard<'_, HashMap<AccountId, Sending>> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of one file in what its account may have in the spool; given back when it is dropped.
pub struct Share {
    shares: Arc<Shares>,
    account_id: AccountId,
    /// Of files that are complete and not read yet.
    waiting: u64,
    bytes: u64,
}

impl Share {
    /// # Errors
    /// `QuotaExceeded` with the bound.
    fn grow(&mut self, bytes: u64) -> io::Result<()> {
        let bytes_max = self.shares.bytes_max;
        let mut sending = self.shares.lock();
        let own = sending.entry(self.account_id).or_default();
        if self.waiting.saturating_add(own.bytes).saturating_add(bytes) > bytes_max {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, format!("{bytes_max} bytes together")));
        }
        own.bytes += bytes;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut sending = self.shares.lock();
        if let Some(own) = sending.get_mut(&self.account_id) {
            own.files -= 1;
            own.bytes -= self.bytes;
            if own.files == 0 {
                sending.remove(&self.account_id);
            }
        }
    }
}

impl Spool {
    /// An account may have so many bytes in it that are not read yet.
    pub fn new(data_dir: &Path, bytes_share: u64) -> Self {
        let shares = Arc::new(Shares { bytes_max: bytes_share, sending: Mutex::default() });
        Self { directory: data_dir.join("uploads"), id: OnceCell::new(), shares }
    }

    /// The share of a new file of an account, of whose files `waiting` bytes are not read yet.
    ///
    /// # Errors
    /// `QuotaExceeded` with the bound, when the account sends too many files at once.
    pub fn share(&self, account_id: AccountId, waiting: i64) -> io::Result<Share> {
        let mut sending = self.shares.lock();
        let own = sending.entry(account_id).or_default();
        if own.files >= FILES_MAX {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, format!("{FILES_MAX} at once")));
        }
        own.files += 1;
        let waiting = u64::try_from(waiting).unwrap_or(u64::MAX);
        Ok(Share { shares: self.shares.clone(), account_id, waiting, bytes: 0 })
    }

    /// The id of the directory, which is made when it is missing. What uploads left that broke off long ago is removed
    /// first.
    pub async fn id(&self) -> io::Result<&str> {
        let id = self.id.get_or_try_init(|| async {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true).mode(0o700).create(&self.directory).await?;
            self.remove_partial().await?;
            let path = self.directory.join(ID_FILE);
            match fs::read_to_string(&path).await {
                Ok(id) if !id.trim().is_empty() => Ok(id.trim().to_owned()),
                Ok(_) => {
                    self.remove(ID_FILE).await?;
                    self.make_id(&path).await
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.make_id(&path).await,
                Err(error) => Err(error),
            }
        });
        id.await.map(String::as_str)
    }

    async fn make_id(&self, path: &Path) -> io::Result<String> {
        let id = Uuid::new_v4().to_string();
        let (path, content) = (path.to_owned(), id.clone());
        let made = tokio::task::spawn_blocking(move || portolan_runtime::create_private(&path, content.as_bytes()));
        // Another process on this directory may have been faster.
        if made.await?? {
            Ok(id)
        } else {
            Ok(fs::read_to_string(self.directory.join(ID_FILE)).await?.trim().to_owned())
        }
    }

    /// Removes what uploads left that broke off long ago.
    pub async fn remove_partial(&self) -> io::Result<()> {
        for name in self.names().await? {
            // A recent one may be an upload that this or another process on this directory is receiving.
            if name.ends_with(PARTIAL_SUFFIX) && !self.is_recent(&name).await.unwrap_or(true) {
                self.remove(&name).await?;
            }
        }
        Ok(())
    }

    /// The names of complete files.
    pub async fn files(&self) -> io::Result<Vec<String>> {
        let mut names = self.names().await?;
        names.retain(|name| name != ID_FILE && !name.ends_with(PARTIAL_SUFFIX));
        Ok(names)
    }

    /// Whether a file was written within the last hour.
    pub async fn is_recent(&self, name: &str) -> io::Result<bool> {
        const RECENT: Duration = Duration::from_secs(3_600);
        let modified = fs::metadata(self.path(name)).await?.modified()?;
        Ok(modified.elapsed().is_ok_and(|age| age < RECENT))
    }

    async fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        let mut entries = fs::read_dir(&self.directory).await?;
        while let Some(entry) = entries.next_entry().await? {
            names.extend(entry.file_name().into_string().ok());
        }
        Ok(names)
    }

    /// Begins a file; it gets its name when it is complete.
    pub async fn create(&self, name: &str, share: Share) -> io::Result<Partial> {
        self.id().await?;
        check_room(&self.directory)?;
        let path = self.directory.join(format!("{name}.{}{PARTIAL_SUFFIX}", Uuid::new_v4()));
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).await?;
        let (digest, complete) = (Sha256::new(), self.path(name));
        Ok(Partial { file, pending: Vec::new(), bytes: 0, digest, path: Some(path), complete, share })
    }

    /// Opens a complete file for reading, decompressed.
    pub fn open(&self, name: &str, pulse: Pulse) -> io::Result<Box<dyn Read + Send>> {
        let file = File::open(self.path(name))?;
        decompressed(Box::new(Metered { inner: file, pulse: pulse.clone() }), pulse)
    }

    /// Removes a file; one that is missing is no error.
    pub async fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path(name)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// # Errors
/// `StorageFull` when the disk has no more room than is to be left.
fn check_room(path: &Path) -> io::Result<()> {
    let directory = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let disk = rustix::fs::statvfs(directory)?;
    let [total, free] = [disk.f_blocks, disk.f_bavail].map(|blocks| blocks.saturating_mul(disk.f_frsize));
    let left = (total / FREE_SHARE).min(FREE_BYTES_MAX) + WRITE_BYTES as u64;
    if free < left { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
}

/// A file that is being written. It is removed when it is dropped before it is complete.
pub struct Partial {
    file: fs::File,
    pending: Vec<u8>,
    bytes: u64,
    digest: Sha256,
    path: Option<PathBuf>,
    complete: PathBuf,
    share: Share,
}

impl Partial {
    /// Bytes taken so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The SHA-256 of what was taken so far, in hexadecimal.
    pub fn digest(&self) -> String {
        hex::encode(self.digest.clone().finalize())
    }

    pub async fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.share.grow(piece.len() as u64)?;
        self.bytes += piece.len() as u64;
        self.digest.update(piece);
        self.pending.extend_from_slice(piece);
        if self.pending.len() >= WRITE_BYTES {
            check_room(&self.complete)?;
            self.file.write_all(&self.pending).await?;
            self.pending.clear();
        }
        Ok(())
    }

    /// Makes the file durable under its name and returns its size.
    pub async fn finish(mut self) -> io::Result<u64> {
        self.file.write_all(&self.pending).await?;
        self.file.flush().await?;
        self.file.sync_all().await?;
        if let Some(path) = &self.path {
            fs::rename(path, &self.complete).await?;
        }
        self.path = None;
        if let Some(directory) = self.complete.parent() {
            fs::File::open(directory).await?.sync_all().await?;
        }
        Ok(self.bytes)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // A file that cannot be removed now is removed at the next start.
            let _ = std::fs::remove_file(path);
        }
    }
}

struct Metered<R> {
    inner: R,
    pulse: Pulse,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.pulse.is_stopped() {
            return Err(io::Error::other("the process is ending"));
        }
        let count = self.inner.read(out)?;
        self.pulse.read(count as u64);
        Ok(count)
    }
}

/// Counts what comes out of a decompressor against what went in.
struct Bounded<R> {
    inner: R,
    pulse: Pulse,
    given: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.given += count as u64;
        if self.given > FILE_BYTES_MAX {
            return Err(io::Error::other(format!("it has more than {FILE_BYTES_MAX} bytes when decompressed")));
        }
        if self.given > RATIO_FREE_BYTES && self.given / RATIO_MAX > self.pulse.bytes_read() {
            return Err(io::Error::other(format!("it grows more than {RATIO_MAX} times when decompressed")));
        }
        Ok(count)
    }
}

/// Decompresses what begins as gzip or zstd does; anything else passes.
pub fn decompressed(input: Box<dyn Read + Send>, pulse: Pulse) -> io::Result<Box<dyn Read + Send>> {
    const BUFFER_BYTES: usize = 128 * 1024;
    let mut input = BufReader::with_capacity(BUFFER_BYTES, input);
    let mut magic = Vec::with_capacity(4);
    (&mut input).take(4).read_to_end(&mut magic)?;
    let whole = io::Cursor::new(magic.clone()).chain(input);
    Ok(match magic.as_slice() {
        [0x1F, 0x8B, ..] => {
            let inner = flate2::read::MultiGzDecoder::new(whole);
            Box::new(Bounded { inner, pulse, given: 0 })
        }
        [0x28, 0xB5, 0x2F, 0xFD] => {
            let inner = zstd::stream::read::Decoder::new(whole)?;
            Box::new(Bounded { inner, pulse, given: 0 })
        }
        _ => Box::new(whole),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let pulse = Pulse::default();
        let metered = Metered { inner: io::Cursor::new(bytes), pulse: pulse.clone() };
        let mut all = Vec::new();
        decompressed(Box::new(metered), pulse)?.read_to_end(&mut all)?;
        Ok(all)
    }

    #[test]
    fn every_encoding_reads_alike() {
        let text = b"{\"log\": {}}".to_vec();
        assert_eq!(read(text.clone()).unwrap(), text);
        assert_eq!(read(gzip(&text)).unwrap(), text);
        assert_eq!(read([gzip(b"{\"log\""), gzip(b": {}}")].concat()).unwrap(), text);
        assert_eq!(read(zstd::encode_all(&text[..], 3).unwrap()).unwrap(), text);
        assert_eq!(read(Vec::new()).unwrap(), b"");
    }

    #[tokio::test]
    async fn a_share_bounds_its_account_alone_and_comes_back() {
        let directory = std::env::temp_dir().join(Uuid::new_v4().to_string());
        let spool = Spool::new(&directory, 100);
        let share = |account_id, waiting| spool.share(AccountId(account_id), waiting);
        let file = async |account_id, waiting| spool.create("file", share(account_id, waiting).unwrap()).await;
        let (mut first, mut second) = (file(1, 30).await.unwrap(), file(1, 30).await.unwrap());
        first.write(&[7; 40]).await.unwrap();
        second.write(&[7; 30]).await.unwrap();
        let refused = second.write(&[7; 1]).await.unwrap_err();
        assert_eq!(
            (refused.kind(), refused.to_string().as_str()),
            (io::ErrorKind::QuotaExceeded, "100 bytes together")
        );
        file(2, 0).await.unwrap().write(&[7; 100]).await.unwrap();
        drop(first);
        second.write(&[7; 40]).await.unwrap();
        let all: Vec<Share> = (1..FILES_MAX).map(|_| share(1, 0).unwrap()).collect();
        assert_eq!(share(1, 0).map(drop).unwrap_err().to_string(), "32 at once");
        drop((second, all));
        share(1, 0).unwrap();
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_bomb_is_refused() {
        // Gzip reaches its own limit near 1,030, so only zstd packs zeros this tightly.
        let zeros = vec![0; 80 * 1024 * 1024];
        let error = read(zstd::encode_all(&zeros[..], 3).unwrap()).unwrap_err();
        assert!(error.to_string().contains("1000 times"), "{error}");
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        let mut bytes = gzip(&[7; 10_000]);
        bytes.truncate(bytes.len() - 12);
        assert!(read(bytes).is_err());
    }
}
