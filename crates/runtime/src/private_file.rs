//! Files that only their owner reads.

use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

/// From now on whatever this process makes is its owner's alone: databases and their logs, copies, raw files.
pub fn keep_private() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// Writes a file that only its owner reads, whole or not at all.
pub fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let unfinished = write_unfinished(path, content)?;
    std::fs::rename(unfinished, path)
}

/// Writes a file that only its owner reads, unless there is one: then that one stays and the answer is false.
pub fn create_private(path: &Path, content: &[u8]) -> std::io::Result<bool> {
    let unfinished = write_unfinished(path, content)?;
    // A link, unlike a name that is moved, never takes the place of another file.
    let linked = std::fs::hard_link(&unfinished, path);
    std::fs::remove_file(unfinished)?;
    match linked {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        other => other.map(|()| true),
    }
}

/// Under a name that no other process has.
fn write_unfinished(path: &Path, content: &[u8]) -> std::io::Result<std::path::PathBuf> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let unfinished = path.with_extension(format!("{:016x}.unfinished", rand::random::<u64>()));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    Ok(unfinished)
}
