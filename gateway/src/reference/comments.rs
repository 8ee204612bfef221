//! The comments of the contract, by the place they stand at.

use std::collections::HashMap;

use portolan_api::descriptors;

/// Comments by file and path in the file's descriptor.
pub(super) struct Comments(HashMap<(String, Vec<i32>), String>);

impl Comments {
    pub fn read() -> Self {
        let mut comments = HashMap::new();
        for file in descriptors().files() {
            let proto = file.file_descriptor_proto();
            for location in proto.source_code_info.iter().flat_map(|info| &info.location) {
                let lines: Vec<_> = location.leading_comments().lines().map(str::trim).collect();
                let text = lines.join(" ").trim().to_owned();
                if !text.is_empty() {
                    comments.insert((proto.name().to_owned(), location.path.clone()), text);
                }
            }
        }
        Self(comments)
    }

    /// The comment of what stands at a path, in one line; empty when there is none.
    pub fn at(&self, file: &str, path: &[i32]) -> &str {
        self.0.get(&(file.to_owned(), path.to_vec())).map_or("", String::as_str)
    }
}
