//! What a reading leaves out, said member by member, so that nothing is passed over in silence.

use crate::ImportError;
use crate::tree::{Duplicates, Map, Node};

/// Most notes of one document that name what they are about; the others are counted.
const NOTES_MAX: usize = 100;

/// Most names of one note; the others are counted.
const NAMES_MAX: usize = 100;

/// Longest text of a document that a note repeats, in characters.
const CUT_CHARS: usize = 200;

/// The notes on one document.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    kept: Vec<ImportError>,
    more: usize,
}

impl Notes {
    pub(crate) fn warn(&mut self, text: String) {
        if self.kept.len() < NOTES_MAX {
            self.kept.push(ImportError::warning(text));
        } else {
            self.more += 1;
        }
    }

    pub(crate) fn extend(&mut self, other: Self) {
        for note in other.kept {
            self.warn(note.error);
        }
        self.more += other.more;
    }

    pub(crate) fn into_errors(mut self) -> Vec<ImportError> {
        if self.more > 0 {
            self.kept.push(ImportError::warning(format!("{} more notes of this document are not listed", self.more)));
        }
        self.kept
    }

    pub(crate) fn duplicates(&mut self, duplicates: &Duplicates) {
        for name in &duplicates.names {
            self.warn(format!("duplicate member `{name}`: the last one counts"));
        }
        if duplicates.more > 0 {
            self.warn(format!("{} more duplicate members: of each name the last one counts", duplicates.more));
        }
    }

    /// Notes the members of an object that hold calls and are not read.
    pub(crate) fn unread(&mut self, map: &Map, known: &[&str], place: &str, calls: &Calls) {
        for (name, node) in map.iter().filter(|(name, _)| !known.contains(name)) {
            let count = calls.count(node);
            if count > 0 {
                let held = calls.counted(count);
                self.warn(format!("{place}: member `{}` is not understood and left out with {held}", cut(name)));
            }
        }
    }

    /// Notes the members of an object that are not of its kind and might hold anything: those without `x-` in front
    /// that are objects or lists, and those with `x-` in front that hold calls.
    pub(crate) fn unknown(&mut self, map: &Map, known: &[&str], place: &str, calls: &Calls) {
        for (name, node) in map.iter().filter(|(name, _)| !known.contains(name)) {
            let count = calls.count(node);
            let held = if count > 0 { format!(" with {}", calls.counted(count)) } else { String::new() };
            let is_plain = !name.starts_with("x-") && matches!(node, Node::Map(_) | Node::List(_));
            if count > 0 || is_plain {
                self.warn(format!("{place}: member `{}` is not understood and left out{held}", cut(name)));
            }
        }
    }
}

/// How a call looks in a format, and what it is called there.
pub(crate) struct Calls {
    pub(crate) noun: &'static str,
    pub(crate) is_call: fn(&Map) -> bool,
}

impl Calls {
    /// The calls in a node, those below others not counted.
    pub(crate) fn count(&self, node: &Node) -> usize {
        let mut count = 0;
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            match node {
                Node::Map(map) if (self.is_call)(map) => count += 1,
                Node::Map(map) => open.extend(map.iter().map(|(_, node)| node)),
                Node::List(list) => open.extend(list.iter()),
                _ => {}
            }
        }
        count
    }

    pub(crate) fn counted(&self, count: usize) -> String {
        format!("{count} {}{}", self.noun, if count == 1 { "" } else { "s" })
    }
}

/// Names in one line, cut at a bound that is told.
pub(crate) fn listed(names: &[String]) -> String {
    let mut text = names[..names.len().min(NAMES_MAX)].join(", ");
    if names.len() > NAMES_MAX {
        text.push_str(&format!(" and {} more", names.len() - NAMES_MAX));
    }
    text
}

/// The beginning of a text for a message.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(CUT_CHARS).collect()
}
