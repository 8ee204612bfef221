//! The write-ahead log of an SQLite file: when it is on the disk.
//!
//! A commit writes to the log while it has the write lock, and waits for the disk after it has let the lock go. All that
//! commit during one wait share the next, so that the disk bounds how soon each is answered and not how many there are.
//! One thread does it, which goes on to the next wait without any task of the runtime between the two.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::Error;

/// Pages of a log that is copied into the file.
const CHECKPOINT_PAGES: i32 = 1_000;
/// Pages beyond those, at which whoever has written waits until the log is copied.
const WAIT_PAGES: i32 = 2 * CHECKPOINT_PAGES;

/// How long readers are waited for where the disk has refused.
const READER_WAIT: Duration = Duration::from_millis(500);

/// The log of a file, as the writer of this process knows it.
pub(crate) struct Wal {
    disk: Arc<Disk>,
    /// Those who wait for the disk. The thread ends with this.
    waiting: mpsc::Sender<Waiting>,
    /// What the log holds.
    pages: AtomicI32,
    /// At so many pages it is copied into the file.
    checkpoint_pages: AtomicI32,
}

/// What the disk is known to hold.
struct Disk {
    file: PathBuf,
    log: PathBuf,
    /// Since the file was opened.
    commits: AtomicU64,
    /// Those of them that the disk holds.
    written: AtomicU64,
    /// The disk refused to write: what it was told then may never come to it, though it takes what it is told later.
    is_suspect: AtomicBool,
}

/// Who waits until the disk holds so many commits.
struct Waiting {
    commits: u64,
    tell: oneshot::Sender<Result<(), Error>>,
}

impl Wal {
    /// # Errors
    /// When the thread cannot be started.
    pub fn of_file(file: &Path) -> Result<Self, Error> {
        let disk = Arc::new(Disk {
            file: file.to_owned(),
            log: log_of(file),
            commits: AtomicU64::new(0),
            written: AtomicU64::new(0),
            is_suspect: AtomicBool::new(false),
        });
        let (waiting, asked) = mpsc::channel();
        let served = disk.clone();
        let thread = std::thread::Builder::new().name("portolan-wal".to_owned());
        let started = thread.spawn(move || served.serve(&asked));
        started.map_err(|error| Error::Unavailable(format!("the thread of the write-ahead log: {error}")))?;
        Ok(Self { disk, waiting, pages: AtomicI32::new(0), checkpoint_pages: AtomicI32::new(CHECKPOINT_PAGES) })
    }

    /// Counts the commits of a connection; it no longer copies the log into the file by itself.
    pub fn watch(self: &Arc<Self>, connection: &mut Connection) -> Result<(), rusqlite::Error> {
        let wal = self.clone();
        connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            wal.disk.commits.fetch_add(1, Ordering::Release);
            wal.pages.store(pages, Ordering::Relaxed);
            Ok(())
        }))
    }

    /// Commits until now.
    pub fn commits(&self) -> u64 {
        self.disk.commits.load(Ordering::Acquire)
    }

    /// Returns once the disk holds the first `commits`.
    ///
    /// # Errors
    /// When the disk refuses: they may then be lost with the machine.
    pub async fn on_disk(&self, commits: u64) -> Result<(), Error> {
        if self.disk.written.load(Ordering::Acquire) >= commits {
            return Ok(());
        }
        let ended = || Error::Unavailable("nobody brings the write-ahead log to the disk".into());
        let (tell, told) = oneshot::channel();
        self.waiting.send(Waiting { commits, tell }).map_err(|_| ended())?;
        told.await.map_err(|_| ended())?
    }

    /// Whether it is time to copy the log into the file.
    pub fn is_long(&self) -> bool {
        self.pages.load(Ordering::Relaxed) >= self.checkpoint_pages.load(Ordering::Relaxed)
    }

    /// Whether the log grows faster than it is copied.
    pub fn is_too_long(&self) -> bool {
        self.pages.load(Ordering::Relaxed) >= self.checkpoint_pages.load(Ordering::Relaxed).saturating_add(WAIT_PAGES)
    }

    /// Notes that the log was copied, or all of it that nobody reads.
    pub fn copied(&self, is_whole: bool) {
        // The next write begins the log anew where all of it was copied.
        let beyond = if is_whole { 0 } else { self.pages.load(Ordering::Relaxed) };
        self.checkpoint_pages.store(beyond.saturating_add(CHECKPOINT_PAGES), Ordering::Relaxed);
        if is_whole {
            self.pages.store(0, Ordering::Relaxed);
        }
    }
}

impl Disk {
    /// Brings the log to the disk whenever somebody waits, for all who wait by then.
    fn serve(&self, asked: &mpsc::Receiver<Waiting>) {
        while let Ok(first) = asked.recv() {
            let waiting: Vec<Waiting> = std::iter::once(first).chain(asked.try_iter()).collect();
            let wanted = waiting.iter().map(|waiting| waiting.commits).max().unwrap_or_default();
            let written = match self.written.load(Ordering::Acquire) >= wanted {
                true => Ok(()),
                false => self.write_out(),
            };
            // Who has gone away needs no answer.
            waiting.into_iter().for_each(|waiting| _ = waiting.tell.send(written.clone()));
        }
    }

    fn write_out(&self) -> Result<(), Error> {
        let commits = self.commits.load(Ordering::Acquire);
        if self.is_suspect.swap(true, Ordering::Relaxed) {
            // Once all of the log is in the file, and the file on the disk, it matters no more.
            let connection = Connection::open(&self.file)?;
            connection.busy_timeout(READER_WAIT)?;
            if !checkpoint(&connection, "TRUNCATE")? {
                return Err(Error::Unavailable("the write-ahead log cannot be written to the disk".into()));
            }
        } else {
            let written = std::fs::File::open(&self.log).and_then(|log| log.sync_data());
            written.map_err(|error| Error::Unavailable(format!("{}: {error}", self.log.display())))?;
        }
        self.is_suspect.store(false, Ordering::Relaxed);
        self.written.store(commits, Ordering::Release);
        Ok(())
    }
}

/// Where the log of a file is.
pub(crate) fn log_of(file: &Path) -> PathBuf {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// Copies the log into the file in one of SQLite's modes; whether all of it was.
pub(crate) fn checkpoint(connection: &Connection, mode: &str) -> Result<bool, rusqlite::Error> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    connection
        .query_row(&sql, [], |row| Ok(row.get::<_, i64>(0)? == 0 && row.get::<_, i64>(1)? == row.get::<_, i64>(2)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After a refusal nothing counts as written until all of the log is in the file.
    #[tokio::test]
    async fn a_disk_that_refused_is_written_to_anew() {
        let directory = std::env::temp_dir().join(format!("portolan-wal-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("test.db");
        let wal = Arc::new(Wal::of_file(&file).unwrap());
        let mut connection = Connection::open(&file).unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL").unwrap();
        wal.watch(&mut connection).unwrap();
        wal.disk.is_suspect.store(true, Ordering::Relaxed);
        connection.execute_batch("CREATE TABLE test (id BIGINT)").unwrap();
        assert_eq!(wal.commits(), 1);

        let reader = Connection::open(&file).unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM test").unwrap();
        connection.execute_batch("INSERT INTO test VALUES (1)").unwrap();
        assert!(wal.on_disk(wal.commits()).await.is_err(), "a reader needs the log");
        reader.execute_batch("COMMIT").unwrap();
        wal.on_disk(wal.commits()).await.unwrap();
        assert_eq!(std::fs::metadata(&wal.disk.log).unwrap().len(), 0);

        connection.execute_batch("INSERT INTO test VALUES (2)").unwrap();
        wal.on_disk(wal.commits()).await.unwrap();
        assert!(std::fs::metadata(&wal.disk.log).unwrap().len() > 0, "it is trusted again");
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
