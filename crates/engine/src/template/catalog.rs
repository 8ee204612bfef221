use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::assign::RawEndpoint;
use super::declared::{Address, Declared};
use super::group::{GroupKey, Members, Prefix};
use super::segment::SplitUrl;
use super::space::{PlaceDigest, Space};
use super::symbols::Symbols;
use crate::Method;
use portolan_path::Segment;

/// The raw URLs of one collection and their effective URLs, kept up to date one fact at a time. The state is a function
/// of the set of facts, so it is rebuilt by giving every stored [`RawEndpoint`] to [`Catalog::update`] in any order.
///
/// A look-up walks a trie of the templates, so its cost does not grow with their number.
#[derive(Debug, Default)]
pub struct Catalog {
    pub(super) symbols: Symbols,
    space_ids: HashMap<(Method, String, &'static str, usize), usize>,
    pub(super) spaces: Vec<Space>,
    pub(super) raws: Vec<Raw>,
    pub(super) groups: HashMap<GroupKey, Members>,
    pub(super) prefixes: HashMap<u128, Prefix>,
    pub(super) digest: PlaceDigest,
    declared: Declared,
    bytes: usize,
}

/// A raw URL whose effective URL is new or changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Retemplated {
    /// The method of the endpoint.
    pub method: Method,
    /// Its URL as it was called.
    pub raw_url: String,
    /// The template that stands for it from now on.
    pub effective_url: String,
}

#[derive(Debug)]
pub(super) struct Raw {
    pub(super) facts: RawEndpoint,
    /// The URL, as the groups share it.
    pub(super) url: Arc<str>,
    pub(super) space: usize,
    pub(super) tokens: Arc<[u32]>,
    /// The URL that the qualifying groups give it.
    pub(super) weak: Option<Arc<[u32]>>,
    /// The raw URL with wider variables whose calls are its own too.
    joined: Option<Arc<[u32]>>,
    effective: Option<Arc<str>>,
}

/// What an update has touched: raw URLs to look at again, and URLs whose covered raw URLs have to be.
#[derive(Default)]
pub(super) struct Touched {
    pub(super) raws: BTreeSet<usize>,
    pub(super) patterns: BTreeSet<(usize, Arc<[u32]>)>,
    /// Raw URLs whose groups are to be compared anew.
    pub(super) members: BTreeSet<usize>,
    /// Raw URLs with a variable, which others may join.
    variable: BTreeSet<usize>,
}

impl Catalog {
    /// As [`update_all`](Self::update_all), of one raw URL.
    pub fn update(&mut self, facts: &RawEndpoint) -> Vec<Retemplated> {
        self.update_all([facts])
    }

    /// Adds facts of raw URLs and returns every raw URL whose effective URL is new or changed, in order. URLs that differ in
    /// one segment are compared once for all that is added, so facts that come together cost less than one by one.
    pub fn update_all<'f>(&mut self, facts: impl IntoIterator<Item = &'f RawEndpoint>) -> Vec<Retemplated> {
        let mut touched = Touched::default();
        facts.into_iter().for_each(|facts| self.add(facts, &mut touched));
        self.regroup(&mut touched);
        let mut narrower = BTreeSet::new();
        for index in std::mem::take(&mut touched.variable) {
            let Raw { space, tokens, .. } = &self.raws[index];
            let raws = &self.spaces[*space].raws;
            narrower.extend(raws.covering(tokens, |token| self.symbols.with(*token, Symbols::narrower)));
        }
        for index in narrower {
            self.refresh_joined(index as usize, &mut touched);
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

    /// Adds facts of one raw URL, and notes what follows.
    fn add(&mut self, facts: &RawEndpoint, touched: &mut Touched) {
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
                    return;
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

        touched.raws.insert(index);
        if raw.pinned {
            let (method, addresses) = (raw.method, self.declared.add(raw.method, &raw.url, &raw.addresses));
            self.touch_covered(method, &addresses, touched);
        }
        if old_flags != Some(flags) && tokens.iter().any(|token| self.symbols.variable(*token).is_some()) {
            touched.patterns.insert((space, tokens.clone()));
            if was_source != is_source {
                self.spaces[space].count_source(&tokens, is_source);
            }
        }
        if was_member || is_member {
            touched.members.insert(index);
        }
        if tokens.iter().any(|token| self.symbols.has_variable(*token)) {
            touched.variable.insert(index);
        }
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

    fn settle(&mut self, touched: Touched) -> Vec<Retemplated> {
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
                changes.push(Retemplated { method, raw_url, effective_url: effective });
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
    use std::collections::BTreeMap;

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

    /// The effective URLs after so many raw URLs at a time.
    fn assigned(raws: &[RawEndpoint], at_once: usize) -> Vec<String> {
        let mut catalog = Catalog::default();
        let mut told = BTreeMap::new();
        for raws in raws.chunks(at_once) {
            for change in catalog.update_all(raws) {
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
        }), at_once in 2..50_usize) {
            let expected: BTreeMap<_, _> =
                raws.iter().zip(assign_all(&raws)).map(|(raw, url)| ((raw.method, raw.url.clone()), url)).collect();
            for (order, at_once) in [(&raws, 1), (&shuffled, 1), (&shuffled, at_once)] {
                for (raw, url) in order.iter().zip(assigned(order, at_once)) {
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
