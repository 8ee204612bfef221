//! Zip archives of documents: each member that is of an accepted format is one, the `.proto` files together are one, and
//! so are the `.bru` files of a folder. Descriptions may point into other files of their archive.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};

use serde_json::Value;
use zip::ZipArchive;

use crate::bundle::Files;
use crate::foreign::{self, BruFiles, ProtoSources};
pub use crate::members::is_archive;
use crate::notes::{Notes, cut};
use crate::tree::{DOCUMENT_BYTES_MAX, Node};
use crate::{Format, FormatError, ImportError, detect, text, unknown};

/// Most members of an archive.
pub const MEMBERS_MAX: usize = 10_000;

/// Most bytes of all members together, decompressed.
pub const ARCHIVE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Most decompressed bytes for each byte of the archive. Text comes to a tenth or a fiftieth of its size.
pub const RATIO_MAX: u64 = 200;

/// What an archive may always come to, however small it is.
const RATIO_FREE_BYTES: u64 = 4 * 1024 * 1024;

/// The documents of an archive.
#[derive(Debug)]
pub struct Archive {
    /// Those that are of a known format, in the order of the archive.
    pub documents: Vec<Member>,
    /// What is left out and why.
    pub notes: Vec<ImportError>,
}

/// One document of an archive.
#[derive(Debug)]
pub struct Member {
    /// Its path in the archive; of several files that are one document, that of their folder.
    pub name: String,
    /// What it was recognized as.
    pub format: Format,
    /// Its content, unpacked.
    pub bytes: Vec<u8>,
}

impl Archive {
    /// Reads an archive whole. Nothing is written anywhere.
    ///
    /// # Errors
    /// [`FormatError::NotArchive`] where it cannot be read, is encrypted, or holds no document; what is wrong with
    /// `.proto` files that do not compile; [`FormatError::TooLarge`] above [`MEMBERS_MAX`], [`ARCHIVE_BYTES_MAX`] and
    /// [`RATIO_MAX`].
    pub fn read(bytes: &[u8]) -> Result<Self, FormatError> {
        let files = files(bytes)?;
        let mut notes = Notes::default();
        let mut documents = Vec::new();
        let (mut protos, mut brus) = (ProtoSources::new(), BTreeMap::<String, BruFiles>::new());
        let collections: Vec<String> = files.iter().filter_map(|(path, _)| folder_of(path, "bruno.json")).collect();
        let mut others = Vec::new();
        for (path, content) in files {
            let extension = path.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
            match extension.as_deref() {
                Some("proto") => _ = protos.insert(path, text::decode(&content)?.into_owned()),
                Some("bru") => {
                    let folder = collections.iter().filter(|folder| is_below(&path, folder));
                    let folder = folder.max_by_key(|folder| folder.len()).cloned().unwrap_or_default();
                    let own = path[folder.len()..].trim_start_matches('/').to_owned();
                    let text = text::decode(&content)?.into_owned();
                    brus.entry(folder).or_default().insert(own, text);
                }
                _ if folder_of(&path, "bruno.json").is_some() => {}
                _ => others.push((path, content)),
            }
        }
        documents.append(&mut documents_of(others, &mut notes)?);
        if !protos.is_empty() {
            let name = shared_folder(protos.keys());
            let root = foreign::description_of_sources(&protos)?.unpack(&mut notes);
            documents.push(written(name, Format::OpenApi, &root));
        }
        for (folder, files) in brus {
            let name = folder.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("Bruno").to_owned();
            let root = foreign::collection_of_files(&name, &files)?.unpack(&mut notes);
            documents.push(written(folder, Format::Postman, &root));
        }
        let notes = notes.into_errors();
        if documents.is_empty() {
            let mut reason = "it holds no document of an accepted format".to_owned();
            for note in notes.iter().take(3) {
                reason.push_str(&format!("; {}", note.error));
            }
            return Err(FormatError::NotArchive(reason));
        }
        Ok(Self { documents, notes })
    }
}

/// Each file that is a document by itself, with the files that it points into.
fn documents_of(files: Vec<(String, Vec<u8>)>, notes: &mut Notes) -> Result<Vec<Member>, FormatError> {
    let mut files = Files::new(files, ARCHIVE_BYTES_MAX);
    let (mut formats, mut bundles) = (Vec::new(), BTreeMap::new());
    for path in files.paths.clone() {
        let content = files.get(&path).unwrap_or_default();
        let format = detect(content).filter(|_| !is_archive(content));
        if format == Some(Format::OpenApi)
            && let Some(bundle) = files.bundled(&path, notes)?
        {
            bundles.insert(path.clone(), bundle);
        }
        formats.push((path, format));
    }
    let mut documents = Vec::new();
    for (path, format) in formats {
        match format {
            Some(Format::OpenApi) if files.is_part(&path) => {}
            Some(format) => {
                let bytes = bundles.remove(&path).unwrap_or_else(|| files.take(&path));
                documents.push(Member { name: path, format, bytes });
            }
            None if files.is_used(&path) => {}
            None => {
                let kind = unknown(files.get(&path).unwrap_or_default());
                let kind = kind.split(';').next().unwrap_or_default();
                notes.warn(format!("{} is left out: {kind}", cut(&path)));
            }
        }
    }
    Ok(documents)
}

/// The files of an archive, decompressed within the bounds, by their paths.
fn files(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, FormatError> {
    let refused = |error: &dyn std::fmt::Display| FormatError::NotArchive(cut(&error.to_string()));
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| refused(&error))?;
    if archive.len() > MEMBERS_MAX {
        return Err(FormatError::TooLarge(format!("the archive has more than {MEMBERS_MAX} members")));
    }
    let allowed = (bytes.len() as u64).saturating_mul(RATIO_MAX).clamp(RATIO_FREE_BYTES, ARCHIVE_BYTES_MAX);
    let mut left = allowed;
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let member = archive.by_index(index).map_err(|error| refused(&error))?;
        let name = member.name().map_err(|error| refused(&error))?.replace('\\', "/");
        if member.is_dir() || is_of_a_system(&name) {
            continue;
        }
        let mut content = Vec::new();
        let read = member.take(left + 1).read_to_end(&mut content);
        let read =
            read.map_err(|error| FormatError::NotArchive(format!("{}: {}", cut(&name), cut(&error.to_string()))))?;
        let Some(rest) = left.checked_sub(read as u64) else {
            let reason = match allowed == ARCHIVE_BYTES_MAX {
                true => format!("the members of the archive have more than {ARCHIVE_BYTES_MAX} bytes"),
                false => format!("the members of the archive have more than {RATIO_MAX} times its bytes"),
            };
            return Err(FormatError::TooLarge(reason));
        };
        if content.len() > DOCUMENT_BYTES_MAX {
            return Err(FormatError::TooLarge(format!("{} has more than {DOCUMENT_BYTES_MAX} bytes", cut(&name))));
        }
        left = rest;
        files.push((name, content));
    }
    Ok(files)
}

/// What systems for desktops add to archives.
fn is_of_a_system(path: &str) -> bool {
    path.starts_with("__MACOSX/")
        || path.rsplit('/').next().is_some_and(|name| matches!(name, ".DS_Store" | "Thumbs.db"))
}

/// The folder of a file of that name.
fn folder_of(path: &str, name: &str) -> Option<String> {
    let folder = path.strip_suffix(name)?;
    (folder.is_empty() || folder.ends_with('/')).then(|| folder.trim_end_matches('/').to_owned())
}

fn is_below(path: &str, folder: &str) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// The folder that all paths have in common.
fn shared_folder<'p>(mut paths: impl Iterator<Item = &'p String>) -> String {
    let first = paths.next().map_or("", String::as_str);
    let mut shared = first.rsplit_once('/').map_or("", |(folder, _)| folder);
    for path in paths {
        while !is_below(path, shared) {
            shared = shared.rsplit_once('/').map_or("", |(folder, _)| folder);
        }
    }
    shared.to_owned()
}

fn written(name: String, format: Format, root: &Node) -> Member {
    let value: Value = serde_json::to_value(root).unwrap_or_default();
    Member { name, format, bytes: value.to_string().into_bytes() }
}
