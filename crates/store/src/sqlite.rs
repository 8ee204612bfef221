//! The database file of a directory, and the connections to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Connection as _};

use crate::checkpoint::BUSY_TIMEOUT_MS;
use crate::db::Pools;
use crate::pool::Pool;
use crate::{Error, driver};

/// The database file inside the directory that the URL names.
pub(crate) const FILE_NAME: &str = "portolan.db";
/// Read connections per file: reads are short and served by one thread each, for which the C library sets 64 MiB of address
/// space aside.
const READERS: u32 = 4;

/// The one writer and the readers of a file.
#[derive(Clone)]
pub(crate) struct Sqlite {
    pub pools: Pools,
    pub directory: Arc<Path>,
}

/// Opens the file in a directory; both are made when missing.
pub(crate) async fn open(directory: &str) -> Result<Sqlite, Error> {
    let file = file_in(directory)?;
    let url = |mode: &str| format!("sqlite://{}?mode={mode}", encoded(&file));
    create_private(&file)?;
    // WAL lets reads run beside the writer; FULL makes a commit survive a power failure; deleted values are overwritten.
    let writer_pragmas = format!(
        "PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
         PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864; PRAGMA secure_delete = ON"
    );
    let reader_pragmas = format!("PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}; PRAGMA query_only = ON");
    // The writer opens first, because it creates the file that the readers expect.
    let writer = pool(&url("rwc"), 1, writer_pragmas).await?;
    let readers = pool(&url("rw"), READERS, reader_pragmas).await?;
    let directory = file.parent().unwrap_or(Path::new("/")).into();
    Ok(Sqlite { pools: Pools { writer: Pool::to_file(writer), readers: Pool::to_file(readers) }, directory })
}

/// Opens a file to be read and nothing else; `None` where there is none, or an empty one.
pub(crate) async fn look(file: &Path) -> Result<Option<AnyConnection>, Error> {
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |data| data.len());
    if length(file) == 0 {
        return Ok(None);
    }
    let unreadable = |error: std::io::Error| Error::Unavailable(format!("{}: {error}", file.display()));
    let file = file.canonicalize().map_err(unreadable)?;
    let mut log = file.clone().into_os_string();
    log.push("-wal");
    // Without a log the file is all there is, and reading it as one that nobody writes makes no file beside it.
    let immutable = if length(Path::new(&log)) == 0 { "&immutable=true" } else { "" };
    let url = format!("sqlite://{}?mode=ro{immutable}", encoded(&file));
    Ok(Some(AnyConnection::connect_with(&driver::options(&url)?).await?))
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

async fn pool(url: &str, connections: u32, pragmas: String) -> Result<AnyPool, Error> {
    let pragmas: Arc<str> = pragmas.into();
    let opened = AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(driver::ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        // A connection to a file does not age, and its prepared statements are worth keeping.
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(move |connection, _| {
            let pragmas = Arc::clone(&pragmas);
            Box::pin(async move { sqlx::raw_sql(AssertSqlSafe(pragmas)).execute(connection).await.map(drop) })
        })
        .connect_with(driver::options(url)?)
        .await?;
    Ok(opened)
}
