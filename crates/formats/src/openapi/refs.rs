use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::tree::Node;

/// Longest chain of references that is followed. Hand-written documents need two or three steps.
const STEPS_MAX: usize = 64;

/// Resolves references inside one document.
#[derive(Clone, Copy)]
pub(super) struct Refs<'d> {
    root: &'d Node,
}

impl<'d> Refs<'d> {
    pub(super) fn new(root: &'d Node) -> Self {
        Self { root }
    }

    /// The node itself, or what its `$ref` leads to.
    ///
    /// # Errors
    /// A phrase that names the reference and says why it does not resolve.
    pub(super) fn resolve(self, node: &'d Node) -> Result<&'d Node, String> {
        let mut found = node;
        for _ in 0..STEPS_MAX {
            match reference(found) {
                Some(reference) => found = self.target(reference)?,
                None => return Ok(found),
            }
        }
        let first = reference(node).unwrap_or_default();
        Err(format!("reference {} leads through more than {STEPS_MAX} references or to itself", cut(first)))
    }

    /// What one reference points at, which may be a reference again.
    ///
    /// # Errors
    /// As [`Refs::resolve`].
    pub(super) fn target(self, reference: &str) -> Result<&'d Node, String> {
        let Some(fragment) = reference.strip_prefix('#') else {
            return Err(format!("reference {} points to another document, which is not fetched", cut(reference)));
        };
        let missing = || format!("reference {} points to nothing", cut(reference));
        if fragment.is_empty() {
            return Ok(self.root);
        }
        let pointer = percent_decode_str(fragment).decode_utf8_lossy();
        let mut found = self.root;
        for token in pointer.strip_prefix('/').ok_or_else(missing)?.split('/') {
            let token = match token.contains('~') {
                true => Cow::Owned(token.replace("~1", "/").replace("~0", "~")),
                false => Cow::Borrowed(token),
            };
            found = match found {
                Node::Map(map) => map.get(&token),
                Node::List(list) => token.parse().ok().and_then(|at: usize| list.get(at)),
                _ => None,
            }
            .ok_or_else(missing)?;
        }
        Ok(found)
    }
}

/// The reference that a node holds instead of content.
pub(super) fn reference(node: &Node) -> Option<&str> {
    node.get("$ref")?.as_text()
}

fn cut(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    #[test]
    fn references_resolve_or_say_why_not() {
        let root = tree::parse(
            r##"{"a/b": {"~": [{"x": 1}]}, "é": {"y": 2},
                "one": {"$ref": "#/two"}, "two": {"$ref": "#/a~1b/~0/0"},
                "self": {"$ref": "#/self"}, "far": {"$ref": "http://169.254.169.254/x"},
                "file": {"$ref": "file:///etc/passwd"}, "gone": {"$ref": "#/nowhere/at/all"},
                "percent": {"$ref": "#/%C3%A9"}, "anchor": {"$ref": "#name"}, "list": {"$ref": "#/a~1b/~0/7"}}"##,
        )
        .unwrap()
        .root;
        let resolve = |name: &str| Refs::new(&root).resolve(root.get(name).unwrap());
        assert_eq!(resolve("one").unwrap().get("x"), Some(&Node::Int(1)));
        assert_eq!(resolve("percent").unwrap().get("y"), Some(&Node::Int(2)));
        let check = |name: &str, reason: &str| {
            let error = resolve(name).unwrap_err();
            assert!(error.contains(reason), "{error}");
        };
        check("self", "to itself");
        check("far", "not fetched");
        check("file", "not fetched");
        check("gone", "points to nothing");
        check("anchor", "points to nothing");
        check("list", "points to nothing");
    }
}
