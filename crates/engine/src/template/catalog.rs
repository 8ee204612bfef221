use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::assign::RawEndpoint;
use super::declared::{Address, Declared};
use super::group::{Group, Members, Prefix};
use super::segment::SplitUrl;
use super::space::{PlaceDigest, Space};
use super::symbols::Symbols;
use super::weak::{Below, COMPARED_MAX, Member, cores};
use crate::Method;
use portolan_path::Segment;

/// The raw URLs of one collection and their effective URLs, kept up to date one fact at a time. The state is a function
/// of the set of facts, so it is rebuilt by giving every stored [`RawEndpoint`] to [`Catalog::update`] in any order.
///
/// A look-up walks a trie of the templates, so its cost does not grow with their number.
#[derive(Debug, Default)]
pub struct Catalog {
    symbols: Symbols,
    space_ids: HashMap<(Method, String, &'static str, usize), usize>,
    spaces: Vec<Space>,
    raws: Vec<Raw>,
    groups: HashMap<GroupKey, Members>,
    prefixes: HashMap<u128, Prefix>,
    digest: PlaceDigest,
    declared: Declared,
    bytes: usize,
}

/// A raw URL whose effective URL is new or changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// The method of the endpoint.
    pub method: Method,
    /// Its URL as it was called.
    pub raw_url: String,
    /// The template that stands for it from now on.
    pub effective_url: String,
}

#[derive(Debug)]
struct Raw {
    facts: RawEndpoint,
    /// The URL, as the groups share it.
    url: Arc<str>,
    space: usize,
    tokens: Arc<[u32]>,
    /// The URL that the qualifying groups give it.
    weak: Option<Arc<[u32]>>,
    /// The raw URL with wider variables whose calls are its own too.
    joined: Option<Arc<[u32]>>,
    effective: Option<Arc<str>>,
}

/// Space, open segment, the digest of the other tokens with their places, and whether other values are left out of it.
type GroupKey = (usize, usize, u128, bool);

/// What an update has touched: raw URLs to look at again, and URLs whose covered raw URLs have to be.
#[derive(Default)]
struct Touched {
    raws: BTreeSet<usize>,
    patterns: BTreeSet<(usize, Arc<[u32]>)>,
}

impl Catalog {
    /// Adds facts of a raw URL and returns every raw URL whose effective URL is new or changed, in order.
    pub fn update(&mut self, facts: &RawEndpoint) -> Vec<Change> {
        let split = SplitUrl::new(&facts.url);
        let tokens: Arc<[u32]> = split.segments().map(|token| self.symbols.intern(token)).collect();
        let space = self.space(facts.method, &split, tokens.len());
        let known = self.spaces[space].raws.get(&tokens).map(|index| index as usize);
        let index = known.unwrap_or(self.raws.len());
        let (was_member, was_source, old_flags) = match known {
            Some(index) => {
                let known = &mut self.raws[index].facts;
                let before = (known.is_member(), known.is_source(), Some(known.flags()));
                let bytes = known.bytes(tokens.len());
                if !known.absorb(facts) {
                    return Vec::new();
                }
                self.bytes += known.bytes(tokens.len()) - bytes;
                before
            }
            None => {
                self.bytes += facts.bytes(tokens.len());
                self.spaces[space].raws.set(&tokens, Some(index as u32));
                self.raws.push(Raw {
                    facts: facts.clone(),
                    url: facts.url.as_str().into(),
                    space,
                    tokens: tokens.clone(),
                    weak: None,
                    joined: None,
                    effective: None,
                });
                (false, false, None)
            }
        };
        let raw = &self.raws[index].facts;
        let (is_member, is_source, flags) = (raw.is_member(), raw.is_source(), raw.flags());

        let mut touched = Touched::default();
        touched.raws.insert(index);
        if raw.pinned {
            let (method, addresses) = (raw.method, self.declared.add(raw.method, &raw.url, &raw.addresses));
            self.touch_covered(method, &addresses, &mut touched);
        }
        if old_flags != Some(flags) && tokens.iter().any(|token| self.symbols.variable(*token).is_some()) {
            touched.patterns.insert((space, tokens.clone()));
            if was_source != is_source {
                self.spaces[space].count_source(&tokens, is_source);
            }
        }
        if was_member || is_member {
            self.regroup(index, is_member, &mut touched);
        }
        if tokens.iter().any(|token| self.symbols.has_variable(*token)) {
            let narrower =
                self.spaces[space].raws.covering(&tokens, |token| self.symbols.with(*token, Symbols::narrower));
            for index in narrower {
                self.refresh_joined(index as usize, &mut touched);
            }
        }
        self.settle(touched)
    }

    /// The effective URL of a known raw URL.
    pub fn effective(&self, method: Method, raw_url: &str) -> Option<String> {
        let split = SplitUrl::new(raw_url);
        let tokens: Option<Vec<_>> = split.segments().map(|token| self.symbols.get(token)).collect();
        let tokens = tokens?;
        let (front, back) = split.frame();
        let space = &self.spaces[*self.space_ids.get(&(method, front, back, tokens.len()))?];
        let raw = &self.raws[space.raws.get(&tokens)? as usize];
        raw.effective.as_deref().map(str::to_owned)
    }

    /// The template that stands for a URL which the catalog does not hold, if one does.
    pub fn template_of(&self, method: Method, url: &str) -> Option<String> {
        if let Some(declared) = self.declared.find(method, url) {
            return Some(declared.to_owned());
        }
        let split = SplitUrl::new(url);
        let (front, back) = split.frame();
        let texts: Vec<&str> = split.segments().collect();
        let space = &self.spaces[*self.space_ids.get(&(method, front, back, texts.len()))?];
        let covering = space.templates.covering(&texts, |text| self.symbols.covering_text(text));
        let template = self.most_literal(space, covering, texts.len())?;
        Some(self.url(space, &self.resolve(space, &template)))
    }

    /// About how much memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Number of raw URLs.
    pub fn len(&self) -> usize {
        self.raws.len()
    }

    /// Whether it knows no endpoint.
    pub fn is_empty(&self) -> bool {
        self.raws.is_empty()
    }

    fn space(&mut self, method: Method, split: &SplitUrl<'_>, segments: usize) -> usize {
        let (front, back) = split.frame();
        let fresh = self.spaces.len();
        let id = *self.space_ids.entry((method, front.clone(), back, segments)).or_insert(fresh);
        if id == fresh {
            self.spaces.push(Space::new(front, back));
        }
        id
    }

    /// Notes the raw URLs that may be calls of what was declared at these addresses.
    fn touch_covered(&self, method: Method, addresses: &[Address], touched: &mut Touched) {
        for address in addresses {
            let length = address.template.segments.len();
            let is_greedy = matches!(address.template.segments.last(), Some(Segment::Greedy(_)));
            for ((other, front, _, segments), space) in &self.space_ids {
                let fits = method == Method::Any || *other == method;
                // Empty segments do not count when URLs are compared.
                if !fits || *segments < length {
                    continue;
                }
                let host = front.split_once("://").map(|(_, rest)| rest.trim_end_matches('/'));
                let is_other = |host: &str| {
                    !address.host.is_empty() && Address::new(&format!("http://{host}")).host != address.host
                };
                if host.is_some_and(is_other) {
                    continue;
                }
                let raws = &self.spaces[*space].raws;
                let accepts = |at: usize, token: u32| {
                    let text = self.symbols.text(token);
                    match address.template.segments.get(at) {
                        Some(segment) => segment.matches(&Segment::of_words(text).sample()),
                        None => is_greedy || text.is_empty(),
                    }
                };
                let found = match *segments == length || is_greedy {
                    true => raws.matching(*segments, accepts),
                    false => raws.with_empty_segments(|token| self.symbols.text(token).is_empty()),
                };
                touched.raws.extend(found.into_iter().map(|index| index as usize));
            }
        }
    }

    /// Puts a raw URL into its groups or takes it out, and notes what follows where segments become variable or stop to
    /// be.
    fn regroup(&mut self, index: usize, is_member: bool, touched: &mut Touched) {
        let mut stale = BTreeSet::from([index]);
        for (_, key) in self.prefix_keys(index) {
            self.prefixes.entry(key).or_default().set(index, is_member);
        }
        for (at, key) in self.group_keys(index) {
            let mut group = match self.groups.remove(&key) {
                Some(Members::Many(group)) => group,
                Some(Members::One(known)) if known != index && is_member => {
                    let mut group = Box::<Group>::default();
                    group.set(self.token_and_url(known, at), known, true);
                    group
                }
                // A URL alone makes no variable.
                known => {
                    let other = known.filter(|known| !matches!(known, Members::One(known) if *known == index));
                    if let Some(one) = other.or(is_member.then_some(Members::One(index))) {
                        self.groups.insert(key, one);
                    }
                    continue;
                }
            };
            group.set(self.token_and_url(index, at), index, is_member);
            for changed in self.refold(&mut group, at, key.3, index) {
                let is_folded = group.folded.contains(&changed);
                let key = self.prefix_key(changed, at);
                let prefix = self.prefixes.entry(key).or_default();
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

    fn token_and_url(&self, index: usize, at: usize) -> (Arc<str>, Arc<str>) {
        let raw = &self.raws[index];
        (self.symbols.text(raw.tokens[at]).clone(), raw.url.clone())
    }

    /// Finds the members of a group that are values of one variable, after the facts of one have changed; answers those
    /// for which that is new.
    fn refold(&self, group: &mut Group, at: usize, is_pooled: bool, index: usize) -> Vec<usize> {
        let member = |index: usize| {
            let raw = &self.raws[index];
            let below = match at.checked_sub(1) {
                Some(before) => self.symbols.below(raw.tokens[before]),
                None => Below::Literal,
            };
            let look = self.symbols.look(raw.tokens[at]);
            look.map(|look| Member { look, bodies: &raw.facts.bodies, is_pooled, below })
        };
        let indexes: Vec<usize> =
            group.members.values().filter_map(|urls| urls.values().next().copied()).take(COMPARED_MAX).collect();
        let places = cores(indexes.iter().filter_map(|index| member(*index)));
        let cores: Vec<usize> = places.into_iter().map(|place| indexes[place]).collect();
        let is_value = |index: usize| {
            let found = member(index);
            found
                .is_some_and(|found| cores.iter().filter_map(|core| member(*core)).any(|core| core.agrees_with(&found)))
        };
        let mark = |core: &usize| member(*core).map(|core| self.digest.of_core(&core));
        let marks = match cores == group.cores && !cores.contains(&index) {
            true => None,
            false => Some(cores.iter().filter_map(mark).collect()).filter(|marks| *marks != group.marks),
        };
        // Other members around which the same are alike change nothing.
        let is_same = marks.is_none();
        let mut folded = match is_same {
            true => std::mem::take(&mut group.folded),
            false => {
                group.members.values().flat_map(BTreeMap::values).copied().filter(|index| is_value(*index)).collect()
            }
        };
        let mut changed = Vec::new();
        if is_same {
            let raw = &self.raws[index];
            let of_token = group.members.get(&**self.symbols.text(raw.tokens[at]));
            let is_member = of_token.is_some_and(|urls| urls.contains_key(&*raw.facts.url));
            let has_changed = if is_member && is_value(index) { folded.insert(index) } else { folded.remove(&index) };
            changed.extend(has_changed.then_some(index));
        } else {
            changed.extend(folded.symmetric_difference(&group.folded));
        }
        group.cores = cores;
        group.marks = marks.unwrap_or_else(|| std::mem::take(&mut group.marks));
        group.folded = folded;
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

    /// Finds the raw URL that a raw URL joins, and notes what follows when that is another than before.
    fn refresh_joined(&mut self, index: usize, touched: &mut Touched) {
        let Raw { facts, space, tokens, .. } = &self.raws[index];
        let wider = match tokens.len() {
            0 | 1 => Vec::new(),
            _ => self.spaces[*space].raws.covering(tokens, |token| self.symbols.with(*token, Symbols::wider)),
        };
        let changes = |other: &Raw| tokens.iter().zip(&*other.tokens).filter(|(left, right)| left != right).count();
        let others = wider.into_iter().map(|index| &self.raws[index as usize]);
        let joined = others
            .filter(|other| other.tokens != *tokens && facts.may_join(&other.facts))
            .min_by_key(|other| (changes(other), &*other.facts.url))
            .map(|other| other.tokens.clone());
        if joined == self.raws[index].joined {
            return;
        }
        touched.raws.insert(index);
        touched.patterns.insert((*space, tokens.clone()));
        self.raws[index].joined = joined;
    }

    fn group_keys(&self, index: usize) -> Vec<(usize, GroupKey)> {
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
            keys.push((at, (*space, at, others, false)));
            if values != others {
                keys.push((at, (*space, at, values, true)));
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

    fn settle(&mut self, touched: Touched) -> Vec<Change> {
        let mut stale = touched.raws;
        for (space, tokens) in &touched.patterns {
            let is_variable = |token| self.symbols.variable(token).is_some();
            // A token that is no value of the pattern may have given way to one that is.
            let covers = |template, token| self.symbols.covers(template, token) || self.symbols.look(token).is_some();
            let covered = self.spaces[*space].raws.covered(tokens, is_variable, covers);
            stale.extend(covered.into_iter().map(|index| index as usize));
        }
        let mut changes = Vec::new();
        for index in stale {
            let raw = &self.raws[index];
            let space = &self.spaces[raw.space];
            let declared = match raw.facts.stands() {
                true => Some(&*raw.facts.url),
                false => self.declared.find(raw.facts.method, &raw.facts.url),
            };
            let effective = match declared {
                Some(url) => url.to_owned(),
                None => self.url(space, &self.resolve(space, &raw.tokens)),
            };
            if raw.effective.as_deref() != Some(&effective) {
                let (method, raw_url) = (raw.facts.method, raw.facts.url.clone());
                self.raws[index].effective = Some(effective.as_str().into());
                changes.push(Change { method, raw_url, effective_url: effective });
            }
        }
        changes.sort_unstable();
        changes
    }

    fn resolve(&self, space: &Space, start: &Arc<[u32]>) -> Arc<[u32]> {
        let mut tokens = start.clone();
        // Each turn leaves fewer literal tokens or ends at a declared URL.
        loop {
            if let Some(raw) = space.raws.get(&tokens).map(|index| &self.raws[index as usize]) {
                if raw.facts.is_fixed() {
                    return tokens;
                }
                if let Some(other) = raw.weak.as_ref().or(raw.joined.as_ref()) {
                    tokens = other.clone();
                    continue;
                }
            }
            match self.best_template(space, &tokens) {
                Some(template) => tokens = template,
                None => return tokens,
            }
        }
    }

    /// The covering template with the most literal tokens, which are fewer than the URL's. Of several the smallest.
    fn best_template(&self, space: &Space, tokens: &[u32]) -> Option<Arc<[u32]>> {
        let covering = space.templates.covering(tokens, |token| self.symbols.with(*token, Symbols::covering));
        self.most_literal(space, covering, self.literals(tokens))
    }

    /// Of templates with fewer literal tokens than `own` the one with the most. Of several the smallest.
    fn most_literal(&self, space: &Space, templates: Vec<u32>, own: usize) -> Option<Arc<[u32]>> {
        let candidates: Vec<_> = templates
            .into_iter()
            .map(|id| &space.template_tokens[id as usize])
            .filter(|template| template.len() > 1 && self.literals(template) < own)
            .collect();
        let most = candidates.iter().map(|template| self.literals(template)).max()?;
        let most_literal = candidates.into_iter().filter(|template| self.literals(template) == most);
        most_literal.min_by_key(|template| self.url(space, template)).cloned()
    }

    fn literals(&self, tokens: &[u32]) -> usize {
        tokens.iter().filter(|token| self.symbols.variable(**token).is_none()).count()
    }

    fn url(&self, space: &Space, tokens: &[u32]) -> String {
        let mut url = space.front.clone();
        for (index, token) in tokens.iter().enumerate() {
            if index > 0 {
                url.push('/');
            }
            url.push_str(self.symbols.text(*token));
        }
        url.push_str(space.back);
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::{BodyNames, assign_all};
    use proptest::prelude::*;

    fn raw() -> impl Strategy<Value = RawEndpoint> {
        let token = prop_oneof![
            2 => prop::sample::select(vec!["users", "cat", "v1", "", "12", "search", "getOcrText"]),
            3 => prop::sample::select(vec![
                "falcon", "heron", "robin", "eagle", "lemon-garlic-pasta", "mint-tea", "DE", "A0:run", "A1:run", "A2:run",
                "A3:run", "A4:stop",
            ]),
            3 => prop::sample::select(vec!["STRING", "INTEGER", "OBJECT_ID", "STRING:run", "INTEGER:run"]),
            12 => prop::sample::select(vec!["A0", "A1", "A2", "A3", "A4", "A5", "A6", "A7", "A8", "A9", "B0", "B1"]),
        ];
        let flags = (prop::bool::weighted(0.03), prop::bool::weighted(0.9), prop::bool::weighted(0.03));
        let front = prop_oneof![20 => Just("/"), 1 => Just(""), 1 => Just("https://h.net/")];
        let first = prop_oneof![6 => Just("users"), 2 => Just("A0"), 1 => Just("INTEGER"), 1 => token.clone()];
        let rest = prop::collection::vec(token, 0..3);
        (front, (first, rest), flags, prop::bool::weighted(0.2), (prop::bool::weighted(0.1), 0..4_u8)).prop_map(
            |(front, (first, rest), (pinned, proven, never_merge), is_other, (is_post, shape))| {
                let tokens = [vec![first], rest].concat();
                let mut bodies = BodyNames::default();
                bodies.add_code(200);
                (0..shape / 2 * 5).for_each(|name| bodies.add_response(200, &name.to_string()));
                (0..u8::from(is_other) * 3).for_each(|name| bodies.add_request(&name.to_string()));
                RawEndpoint {
                    method: if is_post { Method::Post } else { Method::Get },
                    url: format!("{front}{}", tokens.join("/")),
                    pinned,
                    addresses: if pinned && is_other {
                        BTreeSet::from(["https://h.net/users/STRING".to_owned()])
                    } else {
                        BTreeSet::new()
                    },
                    proven: proven || pinned,
                    never_merge,
                    bodies,
                }
            },
        )
    }

    /// Many URLs over few places, so that groups of ten come about.
    fn raws() -> impl Strategy<Value = Vec<RawEndpoint>> {
        prop::collection::vec(raw(), 0..120)
    }

    fn assigned(raws: &[RawEndpoint]) -> Vec<String> {
        let mut catalog = Catalog::default();
        let mut told = BTreeMap::new();
        for raw in raws {
            for change in catalog.update(raw) {
                told.insert((change.method, change.raw_url), change.effective_url);
            }
        }
        let effective = |raw: &RawEndpoint| catalog.effective(raw.method, &raw.url).unwrap();
        let assigned: Vec<_> = raws.iter().map(effective).collect();
        let heard: Vec<_> = raws.iter().map(|raw| told[&(raw.method, raw.url.clone())].clone()).collect();
        assert_eq!(assigned, heard);
        assigned
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn steps_in_any_order_give_what_the_whole_set_gives((raws, shuffled) in raws().prop_flat_map(|raws| {
            (Just(raws.clone()), Just(raws).prop_shuffle())
        })) {
            let expected: BTreeMap<_, _> =
                raws.iter().zip(assign_all(&raws)).map(|(raw, url)| ((raw.method, raw.url.clone()), url)).collect();
            for order in [&raws, &shuffled] {
                for (raw, url) in order.iter().zip(assigned(order)) {
                    prop_assert_eq!(&url, &expected[&(raw.method, raw.url.clone())]);
                }
            }
        }
    }

    #[test]
    fn the_tenth_url_moves_the_others() {
        let mut catalog = Catalog::default();
        let raw = |index: usize| RawEndpoint {
            method: Method::Get,
            url: format!("/people/A{index}/posts"),
            pinned: false,
            addresses: BTreeSet::new(),
            proven: true,
            never_merge: false,
            bodies: BodyNames::default(),
        };
        for index in 0..9 {
            assert_eq!(catalog.update(&raw(index)).len(), 1);
        }
        assert_eq!(catalog.update(&raw(9)).len(), 10);
        let changes = catalog.update(&raw(10));
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].effective_url, "/people/STRING/posts");
        assert!(catalog.update(&raw(10)).is_empty());
    }
}
