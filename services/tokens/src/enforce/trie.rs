//! The endpoints of one host, found by path and method in time that depends on the length of the path alone.

use std::borrow::Cow;

use portolan_ids::{AccountId, CollectionId, EndpointId};
use portolan_path::{Kind, Segment, Template, Variable};

/// A place in the trie that stays the same as long as the trie lives.
pub type Node = portolan_path::Node;

/// The method of an endpoint that stands for each method that is not declared beside it.
const ANY_METHOD: &str = "ANY";

/// One endpoint at a place: who owns it, and whether it is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The endpoint.
    pub endpoint_id: EndpointId,
    /// The account that it belongs to.
    pub account_id: AccountId,
    /// The collection that it is in.
    pub collection_id: CollectionId,
    /// Whether calls of the collection pass.
    pub active: bool,
}

/// Endpoints by their templates and methods.
#[derive(Debug)]
pub struct Trie(portolan_path::Trie<(Box<str>, Target)>);

impl Trie {
    pub fn new(ignores_case: bool) -> Self {
        Self(portolan_path::Trie::new(ignores_case))
    }

    /// Adds an endpoint under its template. The place is needed to remove it.
    pub fn insert(&mut self, template: &str, method: &str, target: Target) -> Node {
        self.0.insert(&read(template), (method.into(), target))
    }

    pub fn remove(&mut self, node: Node, endpoint_id: EndpointId) {
        self.0.retain(node, |(_, target)| target.endpoint_id != endpoint_id);
    }

    /// The endpoints of the best template that fits and holds one that counts: those of the method, else those of any
    /// method.
    pub fn find(&self, path: &[Cow<'_, str>], method: &str, counts: impl Fn(&Target) -> bool) -> Vec<Target> {
        let of = |wanted: &str, all: &[(Box<str>, Target)]| -> Vec<Target> {
            all.iter().filter(|(known, _)| **known == *wanted).map(|(_, target)| *target).collect()
        };
        let is_of = |known: &str| known == method || known == ANY_METHOD;
        let has_one = |all: &[(Box<str>, Target)]| all.iter().any(|(known, target)| is_of(known) && counts(target));
        let found = self.0.find(path, false, &has_one);
        let own = of(method, found);
        if own.iter().any(&counts) { own } else { of(ANY_METHOD, found) }
    }

    /// The endpoints that count of the best template that fits, whatever their methods.
    pub fn find_any(&self, path: &[Cow<'_, str>], counts: impl Fn(&Target) -> bool) -> Vec<Target> {
        let found = self.0.find(path, false, &|all| all.iter().any(|(_, target)| counts(target)));
        found.iter().map(|(_, target)| *target).filter(|target| counts(target)).collect()
    }
}

/// A template with words of kinds. A name in braces stands for any text; slashes that are doubled or at the end make no
/// other resource.
fn read(template: &str) -> Template {
    let mut template = Template::of_words(template);
    template.segments.retain(|segment| !matches!(segment, Segment::Literal(text) if text.is_empty()));
    template.ends_with_slash = false;
    for segment in &mut template.segments {
        if let Segment::Literal(text) = segment
            && text.starts_with('{')
            && text.ends_with('}')
        {
            *segment = Segment::Variable(Variable { name: String::new(), kind: Kind::String });
        }
    }
    template
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn template_segments(template: &str) -> impl Iterator<Item = &str> {
        template.split('/').filter(|segment| !segment.is_empty())
    }

    fn kind(segment: &str) -> Option<Kind> {
        if segment.starts_with('{') { Some(Kind::String) } else { Kind::of_token(segment) }
    }

    fn target(endpoint_id: EndpointId) -> Target {
        Target { endpoint_id, account_id: AccountId(1), collection_id: CollectionId(1), active: true }
    }

    /// The same decision without any index: every template is tried, the best kept.
    fn naive(templates: &[(String, &'static str)], path: &[Cow<'_, str>], method: &str) -> Vec<EndpointId> {
        let rank = |template: &str| -> Option<Vec<usize>> {
            let segments: Vec<_> = template_segments(template).collect();
            if segments.len() != path.len() {
                return None;
            }
            let rank_of = |(segment, given): (&&str, &Cow<'_, str>)| match kind(segment) {
                None => (*segment == given).then_some(0),
                Some(kind) => kind.accepts(given).then_some(kind as usize + 1),
            };
            segments.iter().zip(path).map(rank_of).collect()
        };
        let ranked = templates.iter().enumerate().filter(|(_, (_, of))| *of == method);
        let ranked: Vec<_> =
            ranked.filter_map(|(id, (template, _))| Some((rank(template)?, EndpointId(id as i64)))).collect();
        let best = ranked.iter().map(|(rank, _)| rank).min();
        ranked.iter().filter(|(rank, _)| Some(rank) == best).map(|(_, id)| *id).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// The trie decides as the naive reading does, also after half of the endpoints are gone.
        #[test]
        fn decides_as_the_naive_reading(
            templates in prop::collection::vec(
                (prop::collection::vec("a|b|me|7|INTEGER|FLOAT|STRING|OBJECT_ID|VERSIONED|\\{id\\}", 0..4), "GET|POST"),
                1..24,
            ),
            paths in prop::collection::vec(
                prop::collection::vec("a|b|me|7|-3|1\\.5|c|v1|507f1f77bcf86cd799439011", 0..4), 1..24,
            ),
        ) {
            let templates: Vec<_> = templates
                .into_iter()
                .map(|(segments, method)| {
                    (format!("/{}", segments.join("/")), if method == "GET" { "GET" } else { "POST" })
                })
                .collect();
            let mut trie = Trie::new(false);
            let nodes: Vec<_> =
                templates.iter().enumerate().map(|(id, (t, method))| trie.insert(t, method, target(EndpointId(id as i64)))).collect();
            let agree = |trie: &Trie, left: &dyn Fn(i64) -> bool| {
                for path in &paths {
                    let path: Vec<_> = path.iter().map(|segment| Cow::Borrowed(segment.as_str())).collect();
                    for method in ["GET", "POST", "PUT"] {
                        let found = trie.find(&path, method, |_| true);
                        let mut found: Vec<_> = found.iter().map(|target| target.endpoint_id).collect();
                        found.sort_unstable();
                        let there: Vec<_> = templates
                            .iter()
                            .enumerate()
                            .map(|(id, (t, m))| (t.clone(), if left(id as i64) { *m } else { "gone" }))
                            .collect();
                        prop_assert_eq!(found, naive(&there, &path, method), "{} {:?}", method, path);
                    }
                }
                Ok(())
            };
            agree(&trie, &|_| true)?;
            for (id, node) in nodes.iter().enumerate().filter(|(id, _)| id % 2 == 0) {
                trie.remove(*node, EndpointId(id as i64));
            }
            agree(&trie, &|id| id % 2 == 1)?;
        }
    }

    #[test]
    fn literals_are_compared_decoded_and_on_request_without_case() {
        let find = |ignores_case, path: &str| {
            let mut trie = Trie::new(ignores_case);
            trie.insert("/Caf%C3%A9/STRING", "GET", target(EndpointId(1)));
            let path: Vec<_> = path.split('/').map(Cow::Borrowed).collect();
            trie.find(&path, "GET", |_| true).len()
        };
        assert_eq!((find(false, "Café/X"), find(false, "café/X"), find(true, "CAFé/X")), (1, 0, 1));
    }

    #[test]
    fn a_template_without_an_endpoint_that_counts_yields_to_the_next() {
        let mut trie = Trie::new(false);
        trie.insert("/users/me", "GET", Target { account_id: AccountId(2), ..target(EndpointId(1)) });
        trie.insert("/users/STRING", "GET", target(EndpointId(2)));
        let found = trie.find(&["users".into(), "me".into()], "GET", |target| target.account_id == AccountId(1));
        assert_eq!(found[0].endpoint_id, EndpointId(2));
    }

    #[test]
    fn parts_of_a_segment_greedy_ends_and_any_method_are_told_apart() {
        let mut trie = Trie::new(false);
        for (id, (template, method)) in [
            ("/jobs/STRING", "POST"),
            ("/jobs/STRING:cancel", "POST"),
            ("/files/STRING+", "ANY"),
            ("/files/a", "GET"),
            ("/Set('STRING')/value", "GET"),
        ]
        .into_iter()
        .enumerate()
        {
            trie.insert(template, method, target(EndpointId(id as i64)));
        }
        let find = |path: &str, method: &str| {
            let path: Vec<_> = path.split('/').skip(1).map(Cow::Borrowed).collect();
            trie.find(&path, method, |_| true).first().map(|target| target.endpoint_id)
        };
        assert_eq!(find("/jobs/7:cancel", "POST"), Some(EndpointId(1)));
        assert_eq!(find("/jobs/7", "POST"), Some(EndpointId(0)));
        assert_eq!(find("/files/x/y", "PUT"), Some(EndpointId(2)));
        assert_eq!((find("/files/a", "GET"), find("/files/a", "PUT")), (Some(EndpointId(3)), Some(EndpointId(2))));
        assert_eq!(find("/Set('k')/value", "GET"), Some(EndpointId(4)));
        assert_eq!(find("/files", "GET"), None);
    }
}
