//! Backup and restore of the form that is one process on SQLite.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use portolan_runtime::{
    ProcessArgs,
    process::{BoxError, existing_store},
};
use portolan_store::Store;

use crate::{commands::say, roles::TABLES};

/// The database in a backup.
const DATABASE: &str = "portolan.db";
/// Raw files of imports under way, below the data directory.
const UPLOADS: &str = "uploads";

/// Where a backup is written or read.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    process: ProcessArgs,
    /// A directory: new for a backup, made by one for a restore.
    #[arg(value_name = "BACKUP")]
    directory: PathBuf,
}

/// Writes a consistent copy of everything into a new directory, while the installation runs.
pub(crate) async fn backup(arguments: &BackupArgs) -> Result<(), BoxError> {
    let config = arguments.process.load()?;
    if Store::sqlite_file(&config.store_url()).is_none() {
        return Err("a Postgres database is backed up by its own tools".into());
    }
    let store = existing_store(&config, &TABLES).await?;
    let target = &arguments.directory;
    fs::create_dir(target).map_err(|error| named(target, error))?;
    restrict(target)?;
    let uploads = config.data_dir.join(UPLOADS);
    // Raw files come before and after the database: one that a job of the snapshot needs was there at one of both times.
    copy_files(&uploads, &target.join(UPLOADS))?;
    // A key that is rotated meanwhile may be another one than that of the snapshot.
    let key_file = config.secret_key_file();
    loop {
        let key = fs::read(&key_file).ok();
        store.snapshot(&target.join(DATABASE)).await?;
        if fs::read(&key_file).ok() == key {
            break;
        }
        fs::remove_file(target.join(DATABASE)).map_err(|error| named(target, error))?;
    }
    store.close().await;
    copy_files(&uploads, &target.join(UPLOADS))?;
    for file in [config.secret_key_file(), config.data_dir.join("admin-api-key")] {
        copy_file(&file, target)?;
    }
    say(format_args!("backed up to {}", target.display()));
    Ok(())
}

/// Puts a backup in place of a data directory that has no database yet. Nothing must run on it.
pub(crate) async fn restore(arguments: &BackupArgs) -> Result<(), BoxError> {
    let config = arguments.process.load()?;
    let source = &arguments.directory;
    let database = Store::sqlite_file(&config.store_url()).ok_or("a Postgres database is restored by its own tools")?;
    if !source.join(DATABASE).is_file() {
        return Err(format!("{} holds no backup", source.display()).into());
    }
    if database.exists() {
        return Err(format!("{} exists: move it away first", database.display()).into());
    }
    Store::expect_known(&format!("sqlite:{}", source.display()), &TABLES).await?;
    for folder in [Some(config.data_dir.as_path()), database.parent()].into_iter().flatten() {
        fs::create_dir_all(folder).map_err(|error| named(folder, error))?;
        restrict(folder)?;
    }
    copy_files(&source.join(UPLOADS), &config.data_dir.join(UPLOADS))?;
    for (file, target) in
        [("secret-key", config.secret_key_file()), ("admin-api-key", config.data_dir.join("admin-api-key"))]
    {
        let file = source.join(file);
        if file.is_file() {
            fs::copy(&file, &target).map_err(|error| named(&target, error))?;
        }
    }
    // The database comes last, under its own name only when it is whole: a restore that broke off can be repeated.
    let unfinished = database.with_extension("unfinished");
    fs::copy(source.join(DATABASE), &unfinished).map_err(|error| named(&unfinished, error))?;
    fs::File::open(&unfinished)?.sync_all()?;
    fs::rename(&unfinished, &database).map_err(|error| named(&database, error))?;
    say(format_args!("restored {}", source.display()));
    Ok(())
}

/// Copies the files of a folder that are not there yet; a folder that is missing has none. Files that vanish meanwhile
/// belong to jobs that have ended.
fn copy_files(from: &Path, to: &Path) -> Result<(), BoxError> {
    let entries = match fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(named(from, error)),
    };
    fs::create_dir_all(to).map_err(|error| named(to, error))?;
    restrict(to)?;
    for entry in entries {
        let path = entry.map_err(|error| named(from, error))?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_file() && !target.exists() {
            match fs::copy(&path, &target) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                copied => _ = copied.map_err(|error| named(&path, error))?,
            }
        }
    }
    Ok(())
}

/// Copies a file that exists into a folder. The key that a backup is useless without lies beside it.
fn copy_file(file: &Path, folder: &Path) -> Result<(), BoxError> {
    let name = if file.ends_with("admin-api-key") { "admin-api-key" } else { "secret-key" };
    if file.is_file() {
        fs::copy(file, folder.join(name)).map_err(|error| named(file, error))?;
    }
    Ok(())
}

/// For its owner only: a backup holds the secret key.
fn restrict(folder: &Path) -> Result<(), BoxError> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(|error| named(folder, error))
}

fn named(path: &Path, error: io::Error) -> BoxError {
    format!("{}: {error}", path.display()).into()
}
