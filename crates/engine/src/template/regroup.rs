//! Which segments of raw URLs are variable, by what the calls of URLs that differ there show.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::catalog::{Catalog, Raw, Touched};
use super::group::{Group, GroupKey, Members};
use super::weak::{Below, COMPARED_MAX, Member, cores};

impl Catalog {
    /// Puts raw URLs into their groups or takes them out, and notes what follows where segments become variable or stop to
    /// be.
    pub(super) fn regroup(&mut self, touched: &mut Touched) {
        let mut stale = std::mem::take(&mut touched.members);
        let mut groups: HashMap<GroupKey, Vec<usize>> = HashMap::new();
        for &index in &stale {
            let is_member = self.raws[index].facts.is_member();
            for (_, key) in self.prefix_keys(index) {
                self.prefixes.entry(key).or_default().set(index, is_member);
            }
            for key in self.group_keys(index) {
                if self.set_member(key, index, is_member) {
                    groups.entry(key).or_default().push(index);
                }
            }
        }
        for (key, indexes) in groups {
            let Some(Members::Many(mut group)) = self.groups.remove(&key) else { continue };
            for changed in self.refold(&mut group, key, &indexes) {
                let is_folded = group.folded.contains(&changed);
                let prefix = self.prefixes.entry(self.prefix_key(changed, key.at)).or_default();
                let was_variable = prefix.folds > 0;
                prefix.folds = if is_folded { prefix.folds + 1 } else { prefix.folds.saturating_sub(1) };
                if was_variable != (prefix.folds > 0) {
                    stale.extend(&prefix.raws);
                }
            }
            self.groups.insert(key, Members::Many(group));
        }
        for index in stale {
            self.refresh_weak(index, touched);
        }
    }

    /// Says whether the members of the group are to be compared: a URL alone makes no variable.
    fn set_member(&mut self, key: GroupKey, index: usize, is_member: bool) -> bool {
        let own = self.token_and_url(index, key.at);
        match self.groups.get_mut(&key) {
            Some(Members::Many(group)) => group.set(own, index, is_member),
            Some(Members::One(known)) if *known != index => {
                if !is_member {
                    return false;
                }
                let known = *known;
                let mut group = Box::<Group>::default();
                group.set(self.token_and_url(known, key.at), known, true);
                group.set(own, index, true);
                self.groups.insert(key, Members::Many(group));
            }
            _ if is_member => {
                self.groups.insert(key, Members::One(index));
                return false;
            }
            _ => {
                self.groups.remove(&key);
                return false;
            }
        }
        true
    }

    fn token_and_url(&self, index: usize, at: usize) -> (Arc<str>, Arc<str>) {
        let raw = &self.raws[index];
        (self.symbols.text(raw.tokens[at]).clone(), raw.url.clone())
    }

    /// Finds the members of a group that are values of one variable, after the facts of some have changed; answers those
    /// for which that is new.
    fn refold(&self, group: &mut Group, GroupKey { at, is_pooled, .. }: GroupKey, indexes: &[usize]) -> Vec<usize> {
        let member = |index: usize| {
            let raw = &self.raws[index];
            let below = match at.checked_sub(1) {
                Some(before) => self.symbols.below(raw.tokens[before]),
                None => Below::Literal,
            };
            let look = self.symbols.look(raw.tokens[at]);
            look.map(|look| Member { look, bodies: &raw.facts.bodies, is_pooled, below })
        };
        let first: Vec<usize> =
            group.members.values().filter_map(|urls| urls.values().next().copied()).take(COMPARED_MAX).collect();
        let places = cores(first.iter().filter_map(|index| member(*index)));
        let cores: Vec<usize> = places.into_iter().map(|place| first[place]).collect();
        let is_value = |index: usize| {
            let found = member(index);
            found
                .is_some_and(|found| cores.iter().filter_map(|core| member(*core)).any(|core| core.agrees_with(&found)))
        };
        let mark = |core: &usize| member(*core).map(|core| self.digest.of_core(&core));
        let marks = match cores == group.cores && !indexes.iter().any(|index| cores.contains(index)) {
            true => None,
            false => Some(cores.iter().filter_map(mark).collect()).filter(|marks| *marks != group.marks),
        };
        let mut changed = Vec::new();
        match marks {
            Some(marks) => {
                let all = group.members.values().flat_map(BTreeMap::values).copied();
                let folded: BTreeSet<usize> = all.filter(|index| is_value(*index)).collect();
                changed.extend(folded.symmetric_difference(&group.folded));
                (group.marks, group.folded) = (marks, folded);
            }
            // Other members around which the same are alike change nothing.
            None => {
                for &index in indexes {
                    let raw = &self.raws[index];
                    let of_token = group.members.get(&**self.symbols.text(raw.tokens[at]));
                    let is_member = of_token.is_some_and(|urls| urls.contains_key(&*raw.facts.url));
                    let has_changed = match is_member && is_value(index) {
                        true => group.folded.insert(index),
                        false => group.folded.remove(&index),
                    };
                    changed.extend(has_changed.then_some(index));
                }
            }
        }
        group.cores = cores;
        changed
    }

    fn refresh_weak(&mut self, index: usize, touched: &mut Touched) {
        let mut tokens = self.raws[index].tokens.to_vec();
        let mut is_weak = false;
        if self.raws[index].facts.is_member() {
            for (at, key) in self.prefix_keys(index) {
                if self.prefixes.get(&key).is_some_and(|prefix| prefix.folds > 0) {
                    tokens[at] = self.symbols.folded(tokens[at]);
                    is_weak = true;
                }
            }
        }
        let weak: Option<Arc<[u32]>> = is_weak.then(|| tokens.into());
        let raw = &mut self.raws[index];
        if raw.weak == weak {
            return;
        }
        let space = raw.space;
        let before = std::mem::replace(&mut raw.weak, weak.clone());
        touched.raws.insert(index);
        // Another raw URL may have joined this one, if it is a template.
        touched.patterns.insert((space, raw.tokens.clone()));
        for (tokens, is_added) in [(before, false), (weak, true)] {
            if let Some(tokens) = tokens.filter(|tokens| self.spaces[space].count_source(tokens, is_added)) {
                touched.patterns.insert((space, tokens));
            }
        }
    }

    fn group_keys(&self, index: usize) -> Vec<GroupKey> {
        let Raw { space, tokens, .. } = &self.raws[index];
        if tokens.len() < 2 {
            return Vec::new();
        }
        let pooled = |at: usize, token: u32| match self.symbols.is_masked_at(token, at) {
            true => self.digest.of(at, u32::MAX),
            false => self.digest.of(at, token),
        };
        let (mut exact, mut all) = (0_u128, 0_u128);
        for (at, token) in tokens.iter().enumerate() {
            exact = exact.wrapping_add(self.digest.of(at, *token));
            all = all.wrapping_add(pooled(at, *token));
        }
        let mut keys = Vec::new();
        for (at, token) in tokens.iter().enumerate().filter(|(at, token)| self.symbols.is_open_at(**token, *at)) {
            // Tokens with a verb are compared with those of the same verb.
            let verb = self.symbols.folded_before_verb(*token).map_or(0, |folded| self.digest.of(at, folded));
            let others = exact.wrapping_sub(self.digest.of(at, *token)).wrapping_add(verb);
            let values = all.wrapping_sub(pooled(at, *token)).wrapping_add(verb);
            keys.push(GroupKey { space: *space, at, others, is_pooled: false });
            if values != others {
                keys.push(GroupKey { space: *space, at, others: values, is_pooled: true });
            }
        }
        keys
    }

    /// What stands for a URL up to each of its open segments.
    fn prefix_keys(&self, index: usize) -> Vec<(usize, u128)> {
        let Raw { space, tokens, .. } = &self.raws[index];
        if tokens.len() < 2 {
            return Vec::new();
        }
        let mut sum = self.digest.of_front(&self.spaces[*space].front);
        let mut keys = Vec::new();
        for (at, token) in tokens.iter().enumerate() {
            sum = sum.wrapping_add(self.digest.of(at, *token));
            if self.symbols.is_open_at(*token, at) {
                keys.push((at, sum));
            }
        }
        keys
    }

    fn prefix_key(&self, index: usize, at: usize) -> u128 {
        let Raw { space, tokens, .. } = &self.raws[index];
        let front = self.digest.of_front(&self.spaces[*space].front);
        tokens[..=at].iter().enumerate().fold(front, |sum, (at, token)| sum.wrapping_add(self.digest.of(at, *token)))
    }
}
