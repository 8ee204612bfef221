//! URLs that differ in one segment, and what of a URL's front is variable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Which URLs are compared with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct GroupKey {
    pub(super) space: usize,
    /// The segment in which they differ.
    pub(super) at: usize,
    /// The digest of the other tokens with their places.
    pub(super) others: u128,
    /// Whether other values are left out of it.
    pub(super) is_pooled: bool,
}

#[derive(Debug)]
pub(super) enum Members {
    /// As most URLs are in most of their groups.
    One(usize),
    Many(Box<Group>),
}

#[derive(Debug, Default)]
pub(super) struct Group {
    /// By the token, and then by the rest of the URL, of which the first stands for all.
    pub(super) members: BTreeMap<Arc<str>, BTreeMap<Arc<str>, usize>>,
    /// The members around which others are alike.
    pub(super) cores: Vec<usize>,
    /// What is looked at of them, as digests.
    pub(super) marks: BTreeSet<u64>,
    /// The members whose token is a value of the variable.
    pub(super) folded: BTreeSet<usize>,
}

impl Group {
    pub(super) fn set(&mut self, (token, url): (Arc<str>, Arc<str>), index: usize, is_member: bool) {
        let urls = self.members.entry(token.clone()).or_default();
        if is_member {
            urls.insert(url, index);
        } else {
            urls.remove(&url);
        }
        if urls.is_empty() {
            self.members.remove(&token);
        }
    }
}

/// A URL up to one of its open segments.
#[derive(Debug, Default)]
pub(super) struct Prefix {
    /// In how many groups a URL that begins so has this segment variable.
    pub(super) folds: usize,
    /// The members of groups that begin so, in order.
    pub(super) raws: Vec<usize>,
}

impl Prefix {
    pub(super) fn set(&mut self, index: usize, is_member: bool) {
        match self.raws.binary_search(&index) {
            Err(place) if is_member => self.raws.insert(place, index),
            Ok(place) if !is_member => _ = self.raws.remove(place),
            _ => {}
        }
    }
}
