//! A folder as one archive, so that its descriptions may point into each other.

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// What an archive may hold; the server takes no more.
const BYTES_MAX: u64 = 256 * 1024 * 1024;
const FILES_MAX: usize = 10_000;

/// The files of a folder and of those in it. Hidden files and what links elsewhere are left out.
///
/// # Errors
/// Says what cannot be read, and which bound is passed.
pub(crate) fn archive(folder: &Path) -> Result<Vec<u8>, String> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let mut bytes = 0;
    let files = files(folder)?;
    for file in &files {
        let unreadable = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        bytes += file.metadata().map_err(|error| unreadable(&error))?.len();
        if bytes > BYTES_MAX {
            return Err(format!("its files have more than {BYTES_MAX} bytes"));
        }
        let content = fs::read(file).map_err(|error| unreadable(&error))?;
        let name = file.strip_prefix(folder).unwrap_or(file).to_string_lossy();
        writer.start_file(name, SimpleFileOptions::default()).map_err(|error| unreadable(&error))?;
        writer.write_all(&content).map_err(|error| unreadable(&error))?;
    }
    if files.is_empty() {
        return Err("the folder holds no file".to_owned());
    }
    writer.finish().map(Cursor::into_inner).map_err(|error| error.to_string())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let unreadable = |error: std::io::Error| format!("{}: {error}", folder.display());
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let kind = entry.file_type().map_err(unreadable)?;
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
            if found.len() > FILES_MAX {
                return Err(format!("it holds more than {FILES_MAX} files"));
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_packed_with_the_paths_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(archive(folder.path()).unwrap_err(), "the folder holds no file");
        fs::create_dir_all(folder.path().join("api/paths")).unwrap();
        fs::create_dir(folder.path().join(".git")).unwrap();
        for name in ["api/openapi.yaml", "api/paths/pets.yaml", ".git/config"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let packed = zip::ZipArchive::new(Cursor::new(archive(folder.path()).unwrap())).unwrap();
        let mut names: Vec<_> = packed.file_names().map(|name| name.unwrap().into_owned()).collect();
        names.sort();
        assert_eq!(names, ["api/openapi.yaml", "api/paths/pets.yaml"]);
    }
}
