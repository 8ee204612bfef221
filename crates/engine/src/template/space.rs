//! Where URLs are compared, and the digests by which they are.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use super::trie::Trie;
use super::weak::Member;

/// URLs that can be compared at all: same method, origin, slashes at the ends and number of segments.
#[derive(Debug)]
pub(super) struct Space {
    pub(super) front: String,
    pub(super) back: &'static str,
    pub(super) templates: Trie,
    /// How many raw URLs and weak groups make each template, by its number in the trie.
    sources: Vec<usize>,
    pub(super) template_tokens: Vec<Arc<[u32]>>,
    template_ids: HashMap<Arc<[u32]>, u32>,
    pub(super) raws: Trie,
}

impl Space {
    pub(super) fn new(front: String, back: &'static str) -> Self {
        Self {
            front,
            back,
            templates: Trie::default(),
            sources: Vec::new(),
            template_tokens: Vec::new(),
            template_ids: HashMap::new(),
            raws: Trie::default(),
        }
    }

    /// Counts a source of a template up or down; a template without any is none. Tells whether the template came or went:
    /// otherwise no URL has to be looked at again.
    pub(super) fn count_source(&mut self, tokens: &Arc<[u32]>, is_added: bool) -> bool {
        let fresh = self.sources.len() as u32;
        let id = *self.template_ids.entry(tokens.clone()).or_insert(fresh);
        if id == fresh {
            self.sources.push(0);
            self.template_tokens.push(tokens.clone());
        }
        let count = &mut self.sources[id as usize];
        let was_there = *count > 0;
        *count = if is_added { *count + 1 } else { count.saturating_sub(1) };
        let is_there = *count > 0;
        if was_there != is_there {
            self.templates.set(tokens, is_there.then_some(id));
        }
        was_there != is_there
    }
}

/// Digests of a token at its place, which are added up to the digest of a URL: leaving one segment out is a
/// subtraction, so the keys of all groups of a URL cost what its length does. The keys are random and of this catalog, so
/// no sender of URLs can aim at equal sums.
#[derive(Debug, Default)]
pub(super) struct PlaceDigest(RandomState, RandomState);

impl PlaceDigest {
    pub(super) fn of(&self, at: usize, token: u32) -> u128 {
        u128::from(self.0.hash_one((at, token))) << 64 | u128::from(self.1.hash_one((at, token)))
    }

    /// Of what decides which others are alike to a member.
    pub(super) fn of_core(&self, core: &Member<'_>) -> u64 {
        self.0.hash_one((core.look.is_strict(), core.bodies))
    }

    pub(super) fn of_front(&self, front: &str) -> u128 {
        u128::from(self.0.hash_one(front)) << 64 | u128::from(self.1.hash_one(front))
    }
}
