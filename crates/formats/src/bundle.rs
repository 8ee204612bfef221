//! References between the files of an archive. A description that points into other files gets them as a member of its
//! own, with every reference pointing there, so that it stands alone. Nothing outside of the archive is looked at.

use std::collections::{HashMap, HashSet};

use percent_encoding::percent_decode_str;

use crate::notes::{Notes, cut};
use crate::tree::{self, Node};
use crate::{FormatError, text};

/// The member of a description that holds the files.
pub(crate) const FILES_MEMBER: &str = "x-archive-files";

/// Most files that one description may point into.
const FILES_MAX: usize = 2_000;

/// The files of an archive by their paths.
pub(crate) struct Files {
    contents: HashMap<String, Vec<u8>>,
    /// The paths in the order of the archive.
    pub(crate) paths: Vec<String>,
    /// What the descriptions of the archive may take in together.
    bytes_left: u64,
    used: HashSet<String>,
}

/// A description that is being put together.
struct Bundle<'f> {
    files: &'f mut Files,
    /// Its own path.
    path: &'f str,
    /// The places of files in the member, by path.
    places: HashMap<String, usize>,
    /// Read and not yet walked.
    open: Vec<(String, Node)>,
}

impl Files {
    /// `bytes_max` bounds what descriptions take in together.
    pub(crate) fn new(files: Vec<(String, Vec<u8>)>, bytes_max: u64) -> Self {
        let paths = files.iter().map(|(path, _)| path.clone()).collect();
        Self { contents: files.into_iter().collect(), paths, bytes_left: bytes_max, used: HashSet::new() }
    }

    pub(crate) fn get(&self, path: &str) -> Option<&[u8]> {
        self.contents.get(path).map(Vec::as_slice)
    }

    pub(crate) fn take(&mut self, path: &str) -> Vec<u8> {
        self.contents.remove(path).unwrap_or_default()
    }

    /// Whether a description took the file in.
    pub(crate) fn is_used(&self, path: &str) -> bool {
        self.used.contains(path)
    }

    /// Whether the file is only a part of descriptions, and none itself.
    pub(crate) fn is_part(&self, path: &str) -> bool {
        let names_version = |root: &Node| root.get("openapi").or_else(|| root.get("swagger")).is_some();
        self.is_used(path) && !self.read(path).is_ok_and(|root| names_version(&root))
    }

    /// A description with the files in it that it points into, as JSON. `None` when it points into none, or cannot be
    /// read.
    ///
    /// # Errors
    /// [`FormatError::TooLarge`] above the bounds.
    pub(crate) fn bundled(&mut self, path: &str, notes: &mut Notes) -> Result<Option<Vec<u8>>, FormatError> {
        let may_refer = |content: &[u8]| content.windows(4).any(|bytes| bytes == b"$ref");
        if !self.get(path).is_some_and(may_refer) {
            return Ok(None);
        }
        let Ok(mut root) = self.read(path) else { return Ok(None) };
        let mut bundle = Bundle { files: self, path, places: HashMap::new(), open: Vec::new() };
        bundle.rewrite(&mut root, path, None, notes)?;
        let mut taken = Vec::new();
        while let Some((file, mut node)) = bundle.open.pop() {
            let place = bundle.places[&file];
            bundle.rewrite(&mut node, &file, Some(place), notes)?;
            taken.push((place, node));
        }
        if taken.is_empty() {
            return Ok(None);
        }
        taken.sort_by_key(|(place, _)| *place);
        let list = Node::List(taken.into_iter().map(|(_, node)| node).collect());
        let whole = if let Node::Map(map) = root { Node::Map(map.with(FILES_MEMBER, list)) } else { return Ok(None) };
        // Texts and numbers always serialize.
        Ok(serde_json::to_vec(&whole).ok())
    }

    fn read(&self, path: &str) -> Result<Node, FormatError> {
        Ok(tree::parse(&text::decode(self.get(path).unwrap_or_default())?)?.root)
    }
}

impl Bundle<'_> {
    /// Points the references of a file, which stands at `place` of the member, to where their targets are.
    fn rewrite(
        &mut self,
        node: &mut Node,
        file: &str,
        place: Option<usize>,
        notes: &mut Notes,
    ) -> Result<(), FormatError> {
        match node {
            Node::List(list) => {
                for node in list {
                    self.rewrite(node, file, place, notes)?;
                }
            }
            Node::Map(map) => {
                for (name, node) in map.iter_mut() {
                    match node {
                        Node::Text(reference) if name == "$ref" => {
                            if let Some(found) = self.target(reference, file, place, notes)? {
                                *reference = found.into();
                            }
                        }
                        node => self.rewrite(node, file, place, notes)?,
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Where the target of a reference is; `None` for one that stays as it is.
    fn target(
        &mut self,
        reference: &str,
        file: &str,
        place: Option<usize>,
        notes: &mut Notes,
    ) -> Result<Option<String>, FormatError> {
        let (path, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        if !fragment.is_empty() && !fragment.starts_with('/') {
            return Ok(None);
        }
        let place = match path {
            "" => place,
            path => match joined(file, path) {
                Some(path) if path == self.path => None,
                Some(path) if self.files.contents.contains_key(&path) => match self.place(path, notes)? {
                    Some(place) => Some(place),
                    None => return Ok(None),
                },
                _ => return Ok(None),
            },
        };
        Ok(Some(match place {
            Some(place) => format!("#/{FILES_MEMBER}/{place}{fragment}"),
            None => format!("#{fragment}"),
        }))
    }

    /// The place of a file in the member, which takes it in when it is not there.
    fn place(&mut self, path: String, notes: &mut Notes) -> Result<Option<usize>, FormatError> {
        if let Some(place) = self.places.get(&path) {
            return Ok(Some(*place));
        }
        if self.places.len() >= FILES_MAX {
            let reason = format!("{} points into more than {FILES_MAX} files", cut(self.path));
            return Err(FormatError::TooLarge(reason));
        }
        let bytes = self.files.get(&path).map_or(0, <[u8]>::len) as u64;
        let left = self.files.bytes_left.checked_sub(bytes);
        let too_large = || FormatError::TooLarge("the files that descriptions point into are too large".to_owned());
        self.files.bytes_left = left.ok_or_else(too_large)?;
        let node = match self.files.read(&path) {
            Ok(node) => node,
            Err(error) => {
                notes.warn(format!("{} points into {}, which cannot be read: {error}", cut(self.path), cut(&path)));
                return Ok(None);
            }
        };
        self.files.used.insert(path.clone());
        let place = self.places.len();
        self.places.insert(path.clone(), place);
        self.open.push((path, node));
        Ok(Some(place))
    }
}

/// The path that a relative reference of a file names. `None` for one with a scheme or a host, and for one that leaves the
/// archive.
fn joined(file: &str, reference: &str) -> Option<String> {
    let reference = percent_decode_str(reference).decode_utf8().ok()?.replace('\\', "/");
    let before_slash = reference.split('/').next().unwrap_or_default();
    if reference.starts_with('/') || before_slash.contains(':') || reference.contains('?') {
        return None;
    }
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in reference.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> Files {
        let files = list.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
        Files::new(files, 10_000)
    }

    fn bundled(files: &mut Files, path: &str) -> Result<Option<serde_json::Value>, FormatError> {
        let bundled = files.bundled(path, &mut Notes::default())?;
        Ok(bundled.map(|json| serde_json::from_slice(&json).unwrap()))
    }

    #[test]
    fn paths_are_joined_inside_of_the_archive_only() {
        for (file, reference, expected) in [
            ("api/openapi.yaml", "./paths/pets.yaml", Some("api/paths/pets.yaml")),
            ("api/openapi.yaml", "../common.yaml", Some("common.yaml")),
            ("openapi.yaml", "a%20b.yaml", Some("a b.yaml")),
            ("openapi.yaml", "a\\b.yaml", Some("a/b.yaml")),
            ("openapi.yaml", "../../etc/passwd", None),
            ("openapi.yaml", "/etc/passwd", None),
            ("openapi.yaml", "https://h/x.yaml", None),
            ("openapi.yaml", "file:x.yaml", None),
        ] {
            assert_eq!(joined(file, reference).as_deref(), expected, "{reference}");
        }
    }

    #[test]
    fn files_that_point_at_each_other_become_one_description() {
        let mut files = files(&[
            (
                "api/openapi.yaml",
                "openapi: 3.0.0\npaths:\n  /a: {$ref: 'paths.yaml#/a~1b'}\n  /c: {$ref: 'https://h/x'}\n",
            ),
            (
                "api/paths.yaml",
                "a/b: {get: {x: {$ref: '#/own'}, y: {$ref: '../s.json'}, z: {$ref: 'openapi.yaml#/paths'}}}\nown: 1\n",
            ),
            (
                "s.json",
                r##"{"self": {"$ref": "#"}, "back": {"$ref": "api/paths.yaml#/own"}, "gone": {"$ref": "no.yaml"}}"##,
            ),
            ("other.yaml", "openapi: 3.0.0\n"),
        ]);
        let found = bundled(&mut files, "api/openapi.yaml").unwrap().unwrap();
        assert_eq!(found["paths"]["/a"]["$ref"], "#/x-archive-files/0/a~1b");
        assert_eq!(found["paths"]["/c"]["$ref"], "https://h/x");
        let get = &found[FILES_MEMBER][0]["a/b"]["get"];
        assert_eq!(
            (&get["x"]["$ref"], &get["y"]["$ref"]),
            (&"#/x-archive-files/0/own".into(), &"#/x-archive-files/1".into())
        );
        assert_eq!(get["z"]["$ref"], "#/paths");
        let schema = &found[FILES_MEMBER][1];
        assert_eq!(
            (&schema["self"]["$ref"], &schema["gone"]["$ref"]),
            (&"#/x-archive-files/1".into(), &"no.yaml".into())
        );
        assert_eq!(schema["back"]["$ref"], "#/x-archive-files/0/own");
        assert!(files.is_part("s.json") && files.is_part("api/paths.yaml") && !files.is_used("other.yaml"));
        assert_eq!(bundled(&mut files, "other.yaml").unwrap(), None);
    }

    #[test]
    fn what_is_taken_in_is_bounded() {
        let large = format!("a: {}\n", "x".repeat(6_000));
        let mut both = files(&[
            ("1.yaml", "openapi: 3.0.0\nx: {$ref: large.yaml}\n"),
            ("2.yaml", "openapi: 3.0.0\nx: {$ref: large.yaml}\n"),
            ("large.yaml", &large),
        ]);
        assert!(bundled(&mut both, "1.yaml").unwrap().is_some());
        assert!(matches!(bundled(&mut both, "2.yaml"), Err(FormatError::TooLarge(_))));
    }
}
