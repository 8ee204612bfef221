//! The data directory: its modes, and the lock of the one process that an embedded database belongs to.

use std::{
    fs::{self, File, Permissions, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use portolan_store::Store;

use crate::{Config, error::BoxError};

/// Everybody may write here and only owners delete: a place such as `/tmp`.
const STICKY: u32 = 0o1000;
const LOCK_FILE: &str = "portolan.lock";
/// What a data directory holds, beside uploads.
const FILES: [&str; 6] =
    ["portolan.db", "portolan.db-wal", "portolan.db-shm", "secret-key", "admin-api-key", LOCK_FILE];

/// Makes the directories of the process and shuts them, and the files in them, for everybody but their owner.
///
/// # Errors
/// What cannot be made or shut, with the command that does it.
pub(crate) fn prepare(config: &Config) -> Result<(), BoxError> {
    let database = Store::sqlite_file(&config.store_url());
    let mut directories = vec![config.data_dir.clone()];
    directories.extend(database.as_deref().and_then(Path::parent).map(Path::to_owned));
    for directory in directories {
        let named = |error: std::io::Error| format!("data directory {}: {error}", directory.display());
        if directory.exists() && !directory.is_dir() {
            return Err(format!("data directory {} is a file: name a directory", directory.display()).into());
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(named)?;
        let is_shared = fs::metadata(&directory).map_err(named)?.mode() & STICKY != 0;
        if is_shared && holds_other_files(&directory).map_err(named)? {
            let shown = directory.display();
            return Err(format!("data directory {shown} is open to everybody: name one of Portolan's own").into());
        }
        shut(&directory, 0o700)?;
        shut_entries(&directory)?;
    }
    Ok(())
}

/// A file system of its own, just mounted, is as open, and empty.
fn holds_other_files(directory: &Path) -> std::io::Result<bool> {
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        if !FILES.iter().any(|file| name == *file) && name != "uploads" {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What Portolan keeps in a data directory, by name: nothing else there is ours to change.
fn shut_entries(directory: &Path) -> Result<(), BoxError> {
    for name in FILES {
        let file = directory.join(name);
        // A link leads to what somebody else keeps, such as a mounted secret.
        if fs::symlink_metadata(&file).is_ok_and(|data| data.is_file()) {
            shut(&file, 0o600)?;
        }
    }
    let uploads = directory.join("uploads");
    if !uploads.is_dir() {
        return Ok(());
    }
    shut(&uploads, 0o700)?;
    for entry in fs::read_dir(&uploads)? {
        let file = entry?.path();
        if fs::symlink_metadata(&file).is_ok_and(|data| data.is_file()) {
            shut(&file, 0o600)?;
        }
    }
    Ok(())
}

/// Takes away what others may do. A directory of another owner, such as a mounted volume, stays as it is: what is made in
/// it is shut.
fn shut(path: &Path, mode: u32) -> Result<(), BoxError> {
    let data = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let owner = rustix::process::geteuid().as_raw();
    if data.mode() & 0o077 == 0 || (data.is_dir() && data.uid() != owner) {
        return Ok(());
    }
    let shown = path.display();
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(|error| {
        format!("{shown} can be read by others, and its mode cannot be changed ({error}): chmod {mode:o} {shown}")
            .into()
    })
}

/// What others may read of the data directory, where it is this user's to shut.
pub fn open_to_others(config: &Config) -> Vec<PathBuf> {
    let owner = rustix::process::geteuid().as_raw();
    let is_open = |path: &Path| {
        let data = fs::symlink_metadata(path);
        data.is_ok_and(|data| !data.is_symlink() && data.uid() == owner && data.mode() & 0o077 != 0)
    };
    let mut paths = vec![config.data_dir.clone()];
    paths.extend(FILES.map(|name| config.data_dir.join(name)));
    let uploads = config.data_dir.join("uploads");
    let files = fs::read_dir(&uploads).into_iter().flatten().flatten().map(|entry| entry.path());
    paths.extend(files.collect::<Vec<_>>());
    paths.push(uploads);
    paths.retain(|path| is_open(path));
    paths
}

/// Holds an embedded database for this process; let go when dropped, and when the process ends in any way.
#[must_use = "the database is free again when this is dropped"]
pub struct DirectoryLock(#[expect(dead_code, reason = "the lock lasts as long as the open file")] File);

impl DirectoryLock {
    /// Takes the lock of an embedded database; there is none on Postgres, which several processes may share.
    ///
    /// # Errors
    /// Names the process that holds it.
    pub fn take(config: &Config) -> Result<Option<Self>, BoxError> {
        let Some(database) = Store::sqlite_file(&config.store_url()) else { return Ok(None) };
        prepare(config)?;
        let directory = database.parent().unwrap_or(Path::new("."));
        let path = directory.join(LOCK_FILE);
        let named = |error: std::io::Error| format!("{}: {error}", path.display());
        let mut options = File::options();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(named)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                file.read_to_string(&mut pid).map_err(named)?;
                let (shown, pid) = (directory.display(), pid.trim());
                return Err(
                    format!("{shown} belongs to the running process {pid}: an embedded database has one").into()
                );
            }
            Err(TryLockError::Error(error)) => return Err(named(error).into()),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(named)?;
        writeln!(file, "{}", std::process::id()).map_err(named)?;
        Ok(Some(Self(file)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(directory: &Path) -> Config {
        Config::load(directory.to_owned(), None, []).unwrap()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn wide_modes_are_narrowed_and_other_files_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("data");
        fs::create_dir(&directory).unwrap();
        for name in ["portolan.db", "secret-key", "notes"] {
            fs::write(directory.join(name), "").unwrap();
            fs::set_permissions(directory.join(name), Permissions::from_mode(0o644)).unwrap();
        }
        fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
        prepare(&config(&directory)).unwrap();
        assert_eq!(mode(&directory), 0o700);
        assert_eq!(
            ["portolan.db", "secret-key", "notes"].map(|name| mode(&directory.join(name))),
            [0o600, 0o600, 0o644]
        );
        fs::set_permissions(&directory, Permissions::from_mode(0o1777)).unwrap();
        assert!(prepare(&config(&directory)).unwrap_err().to_string().contains("open to everybody"));
    }

    #[test]
    fn a_lock_is_held_once_and_names_its_holder() {
        let place = tempfile::tempdir().unwrap();
        let config = config(place.path());
        let lock = DirectoryLock::take(&config).unwrap();
        let refused = DirectoryLock::take(&config).err().unwrap().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(lock);
        assert!(DirectoryLock::take(&config).unwrap().is_some());
    }
}
