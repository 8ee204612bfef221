//! The database file of a directory, and the connections to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::{Connection, OpenFlags};

use crate::Error;
use crate::db::Pools;
use crate::file::File;
use crate::pool::Pool;
use crate::wal::log_of;

/// The database file inside the directory that the URL names.
pub(crate) const FILE_NAME: &str = "portolan.db";
/// Read connections per file.
const READERS: u32 = 4;

/// WAL lets reads run beside the writer. With NORMAL, SQLite brings the log to the disk before it copies it into the file;
/// a commit waits for the disk by itself. Deleted values are overwritten.
const WRITER_PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; \
     PRAGMA journal_size_limit = 67108864; PRAGMA secure_delete = ON";
const READER_PRAGMAS: &str = "PRAGMA query_only = ON";

/// The one writer and the readers of a file.
#[derive(Clone)]
pub(crate) struct Sqlite {
    pub pools: Pools,
    pub directory: Arc<Path>,
}

/// Opens the file in a directory; both are made when missing.
pub(crate) fn open(directory: &str) -> Result<Sqlite, Error> {
    let path = file_in(directory)?;
    create_private(&path)?;
    let directory = path.parent().unwrap_or(Path::new("/")).into();
    // The writer opens first, because it makes the log that the readers expect.
    let writer = Pool::to_file(File::new(path.clone(), WRITER_PRAGMAS, true, 1)?);
    let readers = Pool::to_file(File::new(path, READER_PRAGMAS, false, READERS)?);
    Ok(Sqlite { pools: Pools { writer, readers }, directory })
}

/// Opens a file to be read and nothing else; `None` where there is none, or an empty one.
pub(crate) fn look(file: &Path) -> Result<Option<Connection>, Error> {
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |data| data.len());
    if length(file) == 0 {
        return Ok(None);
    }
    let unreadable = |error: std::io::Error| Error::Unavailable(format!("{}: {error}", file.display()));
    let file = file.canonicalize().map_err(unreadable)?;
    // Without a log the file is all there is, and reading it as one that nobody writes makes no file beside it.
    let immutable = if length(&log_of(&file)) == 0 { "?immutable=true" } else { "" };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Ok(Some(Connection::open_with_flags(format!("file:{}{immutable}", encoded(&file)), flags)?))
}

fn file_in(directory: &str) -> Result<PathBuf, Error> {
    if directory.is_empty() || directory.starts_with(':') {
        return Err(Error::Configuration("sqlite: needs a directory, as in sqlite:/var/lib/portolan".into()));
    }
    let refused = |error: std::io::Error| Error::Configuration(format!("directory {directory}: {error}"));
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(refused)?;
    Ok(Path::new(directory).canonicalize().map_err(refused)?.join(FILE_NAME))
}

/// Makes the file for its owner alone; SQLite gives its journals the same mode.
fn create_private(file: &Path) -> Result<(), Error> {
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file).map(drop).map_err(|error| Error::Unavailable(format!("{}: {error}", file.display())))
}

fn encoded(path: &Path) -> String {
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');
    percent_encode(path.as_os_str().as_encoded_bytes(), PLAIN).to_string()
}
