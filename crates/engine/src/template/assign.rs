use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::declared::{Address, is_of_method};
use super::dictionary::stays_literal;
use super::look::{Look, is_constant, verb_of};
use super::segment::{SplitUrl, Variable, is_templatable};
use super::weak::{Below, BodyNames, Member, cores};
use super::wider::{folded, is_wider};
use crate::Method;

/// What has to be known of a raw URL to place it. Facts only grow: the union of two is what both say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawEndpoint {
    /// The method of its calls.
    pub method: Method,
    /// The raw URL, as [`shape`](super::shape) gives it.
    pub url: String,
    /// A specification declares the operation: its URL stays as it is, and takes in every call that it stands for.
    pub pinned: bool,
    /// Further URLs of a declared operation, at its other servers.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub addresses: BTreeSet<String>,
    /// A 2xx or 302 answer, or a declaration, was seen. An unproven URL joins templates but makes none.
    pub proven: bool,
    /// Taken out of a template by hand: keeps its own URL and takes in no other.
    pub never_merge: bool,
    /// Names of members that stand in its bodies.
    pub bodies: BodyNames,
}

impl RawEndpoint {
    /// Takes in the facts of `other`, which has the same method and URL; says whether that was anything new.
    pub fn absorb(&mut self, other: &Self) -> bool {
        let before = self.flags();
        self.pinned |= other.pinned;
        self.proven |= other.proven;
        self.never_merge |= other.never_merge;
        let known = self.addresses.len();
        self.addresses.extend(other.addresses.iter().cloned());
        self.bodies.absorb(&other.bodies) || self.flags() != before || self.addresses.len() != known
    }

    /// About how much memory what is known of it takes in a catalog, in bytes.
    pub(super) fn bytes(&self, segments: usize) -> usize {
        const ALONE: usize = 1_024;
        const OF_SEGMENT: usize = 256;
        const OF_NAME: usize = 16;
        let texts = 4 * self.url.len() + self.addresses.iter().map(String::len).sum::<usize>();
        ALONE + segments * OF_SEGMENT + texts + self.bodies.len() * OF_NAME
    }

    /// Keeps its own URL whatever else is seen.
    pub(super) fn is_fixed(&self) -> bool {
        self.pinned || self.never_merge || !is_templatable(&self.url)
    }

    /// Stands for itself, whatever is declared.
    pub(super) fn stands(&self) -> bool {
        self.pinned || self.never_merge
    }

    /// Takes in other URLs when it has a variable segment.
    pub(super) fn is_source(&self) -> bool {
        !self.pinned && self.proven && !self.never_merge
    }

    /// Counts towards a group of URLs that differ in one segment.
    pub(super) fn is_member(&self) -> bool {
        self.proven && !self.is_fixed()
    }

    /// Whether the calls are those of another URL that differs in wider kinds alone: both show enough, and the same.
    pub(super) fn may_join(&self, wide: &Self) -> bool {
        self.is_member() && wide.is_source() && self.bodies.is_surely(&wide.bodies)
    }

    pub(super) fn flags(&self) -> (bool, bool, bool) {
        (self.pinned, self.proven, self.never_merge)
    }
}

/// Whether a literal token may give way to a variable one.
pub(super) fn is_open(token: &str) -> bool {
    !token.is_empty() && Variable::of_token(token).is_none() && !stays_literal(token) && !is_constant(token)
}

/// Whether a template's token covers another token that is not the same.
pub(super) fn covers(template: Variable, token: &str) -> bool {
    match Variable::of_token(token) {
        Some(_) => template == Variable::String,
        None => is_open(token) && template.accepts(token),
    }
}

/// The effective URL of every raw URL of a collection, in the order of `raws`. The rule in its plain form, quadratic in
/// the number of URLs; [`Catalog`](super::Catalog) gives the same answer step by step.
pub fn assign_all(raws: &[RawEndpoint]) -> Vec<String> {
    let mut facts: BTreeMap<(Method, &str), RawEndpoint> = BTreeMap::new();
    for raw in raws {
        facts.entry((raw.method, &raw.url)).and_modify(|known| _ = known.absorb(raw)).or_insert_with(|| raw.clone());
    }
    let weak = weak_urls(&facts);
    let mut templates: BTreeSet<(Method, &str)> =
        weak.iter().map(|((method, _), url)| (*method, url.as_str())).collect();
    templates.extend(
        facts
            .iter()
            .filter(|((_, url), raw)| {
                raw.is_source() && SplitUrl::new(url).segments().any(|token| Variable::of_token(token).is_some())
            })
            .map(|(key, _)| *key),
    );
    let pinned = || facts.values().filter(|raw| raw.pinned);
    let assigned = |raw: &RawEndpoint| {
        if facts[&(raw.method, &*raw.url)].stands() {
            return raw.url.clone();
        }
        match find_plain(raw.method, &raw.url, pinned()) {
            Some(url) => url.to_owned(),
            None => resolve((raw.method, &raw.url), &facts, &weak, &templates).to_string(),
        }
    };
    raws.iter().map(assigned).collect()
}

/// The declared URL of a call, found without an index.
fn find_plain<'a>(method: Method, url: &str, pinned: impl Iterator<Item = &'a RawEndpoint>) -> Option<&'a str> {
    let address = Address::new(url);
    pinned
        .filter(|raw| is_of_method(raw.method, method))
        .flat_map(|raw| std::iter::once(&raw.url).chain(&raw.addresses).map(move |url| (raw, Address::new(url))))
        .filter(|(_, own)| own.covers(&address))
        .min_by_key(|(raw, own)| {
            let order = own.template.precedence(address.template.ends_with_slash);
            (order, raw.method == Method::Any, own.host.is_empty(), own.host.clone(), &*raw.url)
        })
        .map(|(raw, _)| &*raw.url)
}

/// URLs by what they have in common with their segment left out: method, the other segments, which one it is, whether
/// other values are left out too; then by the segment.
type Groups<'a> = BTreeMap<(Method, String, usize, bool), BTreeMap<&'a str, BTreeSet<&'a str>>>;

/// The URLs that step 3 changes, with what they become.
fn weak_urls<'a>(facts: &BTreeMap<(Method, &'a str), RawEndpoint>) -> BTreeMap<(Method, &'a str), String> {
    let mut groups: Groups<'_> = BTreeMap::new();
    for ((method, url), _) in facts.iter().filter(|(_, raw)| raw.is_member()) {
        let split = SplitUrl::new(url);
        for (index, token) in open_segments(&split) {
            let others = |is_pooled: bool| {
                let segments = split.segments().enumerate().map(|(at, token)| match token {
                    _ if at == index => verb_of(token),
                    token if is_pooled => masked(at, token),
                    token => token,
                });
                // An empty segment is not the slash at an end.
                let (front, back) = split.frame();
                format!("{front}\n{}\n{back}", segments.collect::<Vec<_>>().join("\n"))
            };
            let (exact, pooled) = (others(false), others(true));
            let families = if exact == pooled { vec![(exact, false)] } else { vec![(exact, false), (pooled, true)] };
            for (others, is_pooled) in families {
                groups.entry((*method, others, index, is_pooled)).or_default().entry(token).or_default().insert(url);
            }
        }
    }
    let mut folds: BTreeSet<(String, Vec<&str>)> = BTreeSet::new();
    for ((method, _, index, is_pooled), members) in &groups {
        // Of the URLs of one token, the first stands for all.
        let all: Vec<_> = members
            .iter()
            .filter_map(|(token, urls)| {
                Some(Member { is_pooled: *is_pooled, ..member(facts, *method, (*index, token), urls.first()?) })
            })
            .collect();
        let cores = cores(all.iter().copied());
        for (token, url) in members.iter().flat_map(|(token, urls)| urls.iter().map(move |url| (token, url))) {
            if cores.iter().any(|core| all[*core].agrees_with(&member(facts, *method, (*index, token), url))) {
                folds.insert(prefix(url, *index));
            }
        }
    }
    let mut weak = BTreeMap::new();
    for (method, url) in facts.iter().filter(|(_, raw)| raw.is_member()).map(|(key, _)| *key) {
        let split = SplitUrl::new(url);
        let open: BTreeSet<usize> = open_segments(&split)
            .map(|(index, _)| index)
            .filter(|index| folds.contains(&prefix(url, *index)))
            .collect();
        if !open.is_empty() {
            let segments: Vec<_> = split
                .segments()
                .enumerate()
                .map(|(at, token)| if open.contains(&at) { folded(token) } else { token.into() })
                .collect();
            weak.insert((method, url), split.with_segments(segments.iter().map(|token| &**token)));
        }
    }
    weak
}

fn member<'f>(
    facts: &'f BTreeMap<(Method, &'f str), RawEndpoint>,
    method: Method,
    (index, token): (usize, &str),
    url: &'f str,
) -> Member<'f> {
    let look = Look::of(token).expect("only open segments make groups");
    let before = index.checked_sub(1).and_then(|before| SplitUrl::new(url).segments().nth(before));
    let below = before.map_or(Below::Literal, Below::of);
    Member { look, bodies: &facts[&(method, url)].bodies, is_pooled: false, below }
}

/// A token as the groups of other segments see it.
fn masked(at: usize, token: &str) -> &str {
    let is_value = Look::of(token).is_some_and(|look| look.is_open_at(at) && look.is_masked());
    if is_value && verb_of(token).is_empty() { "*" } else { token }
}

/// A URL up to one of its segments.
fn prefix(url: &str, index: usize) -> (String, Vec<&str>) {
    let split = SplitUrl::new(url);
    (split.frame().0, split.segments().take(index + 1).collect())
}

/// The segments by which a URL belongs to a group; none for a URL of a single segment.
fn open_segments<'a>(split: &SplitUrl<'a>) -> impl Iterator<Item = (usize, &'a str)> {
    let is_single = !split.path.contains('/');
    let is_open = |at: usize, token: &str| Look::of(token).is_some_and(|look| look.is_open_at(at));
    split.segments().enumerate().filter(move |(at, token)| !is_single && is_open(*at, token))
}

fn resolve<'a>(
    start: (Method, &'a str),
    facts: &BTreeMap<(Method, &'a str), RawEndpoint>,
    weak: &'a BTreeMap<(Method, &'a str), String>,
    templates: &BTreeSet<(Method, &'a str)>,
) -> &'a str {
    let (method, mut url) = start;
    loop {
        if facts.get(&(method, url)).is_some_and(RawEndpoint::is_fixed) {
            return url;
        }
        if let Some(merged) = weak.get(&(method, url)) {
            url = merged;
            continue;
        }
        if let Some(wider) = facts.get(&(method, url)).and_then(|raw| joined(raw, facts)) {
            url = wider;
            continue;
        }
        let own = literals(url);
        // Beside the root, anything may stand.
        let is_single = SplitUrl::new(url).segments().count() < 2;
        let best = templates
            .iter()
            .filter(|(other, template)| *other == method && is_covered(url, template))
            .filter(|template| !is_single && literals(template.1) < own)
            .map(|(_, template)| *template)
            .min_by_key(|template| (usize::MAX - literals(template), *template));
        match best {
            Some(template) => url = template,
            None => return url,
        }
    }
}

/// The URL with wider variables whose calls are those of a raw URL too, found without an index.
fn joined<'a>(raw: &RawEndpoint, facts: &BTreeMap<(Method, &'a str), RawEndpoint>) -> Option<&'a str> {
    let split = SplitUrl::new(&raw.url);
    let is_wider = |url: &str| {
        let other = SplitUrl::new(url);
        let mut pairs = split.segments().zip(other.segments());
        *url != *raw.url
            && split.has_frame_of(&other)
            && split.segments().count() == other.segments().count()
            && split.segments().count() > 1
            && pairs.all(|(token, other)| token == other || is_wider(other, token))
    };
    let fits = |((method, url), other): &(&(Method, &'a str), &RawEndpoint)| {
        *method == raw.method && is_wider(url) && raw.may_join(other)
    };
    let changes = |url: &str| split.segments().zip(SplitUrl::new(url).segments()).filter(|(l, r)| l != r).count();
    facts.iter().filter(fits).map(|((_, url), _)| *url).min_by_key(|url| (changes(url), *url))
}

fn literals(url: &str) -> usize {
    SplitUrl::new(url).segments().filter(|token| Variable::of_token(token).is_none()).count()
}

fn is_covered(url: &str, template: &str) -> bool {
    let (left, right) = (SplitUrl::new(url), SplitUrl::new(template));
    left.has_frame_of(&right)
        && left.segments().count() == right.segments().count()
        && left.segments().zip(right.segments()).all(|(token, template)| {
            token == template || Variable::of_token(template).is_some_and(|variable| covers(variable, token))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Detectors, template::shape};

    fn assigned(urls: &[&str]) -> Vec<String> {
        let detectors = Detectors::default();
        let raws: Vec<_> = urls.iter().map(|url| raw(&shape(url, &detectors).0)).collect();
        assign_all(&raws)
    }

    fn raw(url: &str) -> RawEndpoint {
        RawEndpoint {
            method: Method::Get,
            url: url.to_string(),
            pinned: false,
            addresses: BTreeSet::new(),
            proven: true,
            never_merge: false,
            bodies: BodyNames::default(),
        }
    }

    #[test]
    fn words_stay_beside_a_template() {
        let urls = [
            "/api/demo",
            "/api/cat",
            "/api/tree",
            "/api/OSHE2CNS",
            "/api/2HOIWNJK",
            "/api/3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        ];
        assert_eq!(
            assigned(&urls),
            ["/api/demo", "/api/cat", "/api/tree", "/api/STRING", "/api/STRING", "/api/STRING"]
        );
    }

    #[test]
    fn single_segments_keep_their_kinds_apart() {
        let urls =
            ["/alnum123", "/3f2504e0-4f89-11d3-9a0c-0305e82c3301", "/3", "/5f2504e04f8911d39a0c0305", "/jane@mail.org"];
        assert_eq!(assigned(&urls), ["/STRING", "/STRING", "/INTEGER", "/OBJECT_ID", "/jane@mail.org"]);
        let mut declared = raw("/STRING");
        declared.pinned = true;
        assert_eq!(assign_all(&[declared, raw("/jane@mail.org"), raw("/users")]), ["/STRING", "/STRING", "/STRING"]);
    }

    #[test]
    fn ten_like_urls_become_one() {
        let urls: Vec<_> = (0..9).map(|index| format!("/people/A{index}/posts")).collect();
        let mut urls: Vec<_> = urls.iter().map(String::as_str).collect();
        assert_eq!(assigned(&urls), urls);
        urls.push("/people/B0/posts");
        assert_eq!(assigned(&urls), vec!["/people/STRING/posts"; 10]);
        urls.push("/people/me/posts");
        urls.push("api/people/B0/posts");
        assert_eq!(assigned(&urls)[10..], ["/people/me/posts", "api/people/B0/posts"]);
    }

    #[test]
    fn hosts_and_methods_do_not_mix() {
        let urls: Vec<_> = (0..20).map(|index| format!("https://h{index}.net/people/A{index}")).collect();
        let urls: Vec<_> = urls.iter().map(String::as_str).collect();
        assert_eq!(assigned(&urls), urls);
    }

    #[test]
    fn declared_and_separated_urls_stay() {
        let mut raws: Vec<_> = (0..12).map(|index| raw(&format!("/people/A{index}/posts"))).collect();
        raws[0].pinned = true;
        raws[1].never_merge = true;
        let assigned = assign_all(&raws);
        assert_eq!(assigned[..2], ["/people/A0/posts", "/people/A1/posts"]);
        assert!(assigned[2..].iter().all(|url| url == "/people/STRING/posts"));
    }

    #[test]
    fn unproven_urls_join_and_make_nothing() {
        let mut raws: Vec<_> = (0..10).map(|index| raw(&format!("/people/A{index}"))).collect();
        raws[9].proven = false;
        assert!(assign_all(&raws).iter().all(|url| url != "/people/STRING"));
        raws.push(raw("/people/STRING"));
        assert!(assign_all(&raws).iter().all(|url| url == "/people/STRING"));
    }

    #[test]
    fn a_declared_template_takes_in_traffic() {
        let mut declared = raw("/people/STRING");
        declared.pinned = true;
        assert_eq!(
            assign_all(&[declared, raw("/people/OSHE2CNS"), raw("/people/INTEGER"), raw("/people/me")]),
            vec!["/people/STRING"; 4]
        );
        assert_eq!(assign_all(&[raw("/people/STRING"), raw("/people/INTEGER")]), ["/people/STRING", "/people/INTEGER"]);
    }

    #[test]
    fn a_declared_operation_takes_in_its_calls_at_every_server() {
        let declare = |url: &str, addresses: &[&str]| RawEndpoint {
            pinned: true,
            addresses: addresses.iter().map(ToString::to_string).collect(),
            ..raw(url)
        };
        let raws = [
            declare("https://a.example/v1/orders/INTEGER", &["https://b.example/orders/INTEGER"]),
            declare("https://a.example/v1/files/STRING+", &[]),
            declare("https://a.example/v1/jobs/STRING:cancel", &[]),
            declare("https://a.example/v1/jobs/STRING", &[]),
            declare("/any/STRING", &[]),
            raw("http://a.example/v1/orders/INTEGER"),
            raw("https://a.example/v1//orders/INTEGER/"),
            raw("https://b.example/orders/INTEGER"),
            raw("https://c.example/orders/INTEGER"),
            raw("https://a.example/v1/files/x/y/report.txt"),
            raw("https://a.example/v1/jobs/nightly:cancel"),
            raw("https://a.example/v1/jobs/STRING:cancel"),
            raw("https://a.example/v1/jobs/nightly"),
            raw("https://c.example/any/word"),
            raw("/v1/jobs/nightly:cancel"),
        ];
        let assigned = assign_all(&raws);
        let expected = [
            "https://a.example/v1/orders/INTEGER",
            "https://a.example/v1/orders/INTEGER",
            "https://a.example/v1/orders/INTEGER",
            "https://c.example/orders/INTEGER",
            "https://a.example/v1/files/STRING+",
            "https://a.example/v1/jobs/STRING:cancel",
            "https://a.example/v1/jobs/STRING:cancel",
            "https://a.example/v1/jobs/STRING",
            "/any/STRING",
            "https://a.example/v1/jobs/STRING:cancel",
        ];
        assert_eq!(assigned[5..], expected);
    }
}
