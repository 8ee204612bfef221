//! The endpoints of one host, found by path and method in time that depends on the length of the path alone.

use std::{borrow::Cow, collections::HashMap};

use portolan_engine::template::{Variable, decoded};

/// A place in the trie that stays the same as long as the trie lives.
pub type Node = u32;

/// One endpoint at a place: who owns it, and whether it is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub endpoint_id: i64,
    pub account_id: i64,
    pub collection_id: i32,
    pub active: bool,
}

/// Endpoints by their templates. Nodes stay when their endpoints go: paths of a host come back more often than they end.
#[derive(Debug)]
pub struct Trie {
    /// Segments by number, so that an edge is two numbers.
    segments: HashMap<Box<str>, u32>,
    edges: HashMap<(Node, u32), Node>,
    nodes: Vec<NodeData>,
    /// Whether literals are compared without regard to ASCII case.
    ignores_case: bool,
}

#[derive(Debug, Default)]
struct NodeData {
    /// Bit n: there is an edge for the kind with number n.
    kinds: u8,
    methods: Vec<(Box<str>, Vec<Target>)>,
}

/// Kinds come before literals in the numbers of segments, the preferred one first.
const KINDS: [Variable; 5] =
    [Variable::Integer, Variable::Float, Variable::ObjectId, Variable::String, Variable::Versioned];

impl Trie {
    pub fn new(ignores_case: bool) -> Self {
        Self { segments: HashMap::new(), edges: HashMap::new(), nodes: vec![NodeData::default()], ignores_case }
    }

    /// Adds an endpoint under its template. The place is needed to remove it.
    pub fn insert(&mut self, template: &str, method: &str, target: Target) -> Node {
        let mut node = 0;
        for segment in template_segments(template) {
            let number = match kind(segment) {
                Some(kind) => {
                    self.nodes[node as usize].kinds |= 1 << kind;
                    kind
                }
                None => self.intern(segment),
            };
            node = match self.edges.get(&(node, number)) {
                Some(next) => *next,
                None => {
                    let next = self.nodes.len() as Node;
                    self.nodes.push(NodeData::default());
                    self.edges.insert((node, number), next);
                    next
                }
            };
        }
        let methods = &mut self.nodes[node as usize].methods;
        match methods.iter_mut().find(|(known, _)| **known == *method) {
            Some((_, targets)) => targets.push(target),
            None => methods.push((method.into(), vec![target])),
        }
        node
    }

    pub fn remove(&mut self, node: Node, endpoint_id: i64) {
        let methods = &mut self.nodes[node as usize].methods;
        for (_, targets) in methods.iter_mut() {
            targets.retain(|target| target.endpoint_id != endpoint_id);
        }
        methods.retain(|(_, targets)| !targets.is_empty());
    }

    /// The endpoints of the best template that fits and holds one that counts: segment by segment from the left a
    /// literal is better than a kind, and a narrow kind better than a wide one.
    pub fn find(&self, path: &[Cow<'_, str>], method: &str, counts: impl Fn(&Target) -> bool) -> &[Target] {
        let pick = |data: &NodeData| {
            data.methods.iter().position(|(known, targets)| **known == *method && targets.iter().any(&counts))
        };
        let found = self.descend(0, path, &pick);
        found.map_or(&[], |(node, at)| &self.nodes[node as usize].methods[at].1)
    }

    /// The endpoints that count of the best template that fits, whatever their methods.
    pub fn find_any(&self, path: &[Cow<'_, str>], counts: impl Fn(&Target) -> bool) -> Vec<Target> {
        let of = |data: &NodeData| -> Vec<Target> {
            data.methods.iter().flat_map(|(_, targets)| targets).filter(|target| counts(target)).copied().collect()
        };
        let pick = |data: &NodeData| Some(of(data)).filter(|targets| !targets.is_empty());
        self.descend(0, path, &pick).map(|(_, targets)| targets).unwrap_or_default()
    }

    fn descend<R>(
        &self,
        node: Node,
        path: &[Cow<'_, str>],
        pick: &impl Fn(&NodeData) -> Option<R>,
    ) -> Option<(Node, R)> {
        let data = &self.nodes[node as usize];
        let Some((segment, rest)) = path.split_first() else { return Some((node, pick(data)?)) };
        let literal = self.segments.get(&*self.folded(segment)).and_then(|number| self.edges.get(&(node, *number)));
        if let Some(found) = literal.and_then(|next| self.descend(*next, rest, pick)) {
            return Some(found);
        }
        (0..KINDS.len() as u32)
            .filter(|kind| data.kinds & (1 << kind) != 0 && KINDS[*kind as usize].accepts(segment))
            .find_map(|kind| self.descend(self.edges[&(node, kind)], rest, pick))
    }

    fn intern(&mut self, segment: &str) -> u32 {
        let next = (KINDS.len() + self.segments.len()) as u32;
        let text = decoded(segment);
        let text = self.folded(&text).into_owned();
        *self.segments.entry(text.into()).or_insert(next)
    }

    fn folded<'s>(&self, segment: &'s str) -> Cow<'s, str> {
        if self.ignores_case && segment.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(segment.to_ascii_lowercase())
        } else {
            Cow::Borrowed(segment)
        }
    }
}

fn template_segments(template: &str) -> impl Iterator<Item = &str> {
    template.split('/').filter(|segment| !segment.is_empty())
}

/// The number of the kind that a segment of a template stands for. A name in braces stands for any text.
fn kind(segment: &str) -> Option<u32> {
    let kind = if segment.starts_with('{') && segment.ends_with('}') {
        Variable::String
    } else {
        Variable::of_token(segment)?
    };
    KINDS.iter().position(|known| *known == kind).map(|number| number as u32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn target(endpoint_id: i64) -> Target {
        Target { endpoint_id, account_id: 1, collection_id: 1, active: true }
    }

    /// The same decision without any index: every template is tried, the best kept.
    fn naive(templates: &[(String, &'static str)], path: &[Cow<'_, str>], method: &str) -> Vec<i64> {
        let rank = |template: &str| -> Option<Vec<usize>> {
            let segments: Vec<_> = template_segments(template).collect();
            if segments.len() != path.len() {
                return None;
            }
            let rank_of = |(segment, given): (&&str, &Cow<'_, str>)| match kind(segment) {
                None => (*segment == given).then_some(0),
                Some(number) => KINDS[number as usize].accepts(given).then_some(number as usize + 1),
            };
            segments.iter().zip(path).map(rank_of).collect()
        };
        let ranked = templates.iter().enumerate().filter(|(_, (_, of))| *of == method);
        let ranked: Vec<_> = ranked.filter_map(|(id, (template, _))| Some((rank(template)?, id as i64))).collect();
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
                templates.iter().enumerate().map(|(id, (t, method))| trie.insert(t, method, target(id as i64))).collect();
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
                trie.remove(*node, id as i64);
            }
            agree(&trie, &|id| id % 2 == 1)?;
        }
    }

    #[test]
    fn literals_are_compared_decoded_and_on_request_without_case() {
        let find = |ignores_case, path: &str| {
            let mut trie = Trie::new(ignores_case);
            trie.insert("/Caf%C3%A9/STRING", "GET", target(1));
            let path: Vec<_> = path.split('/').map(Cow::Borrowed).collect();
            trie.find(&path, "GET", |_| true).len()
        };
        assert_eq!((find(false, "Café/X"), find(false, "café/X"), find(true, "CAFé/X")), (1, 0, 1));
    }

    #[test]
    fn a_template_without_an_endpoint_that_counts_yields_to_the_next() {
        let mut trie = Trie::new(false);
        trie.insert("/users/me", "GET", Target { account_id: 2, ..target(1) });
        trie.insert("/users/STRING", "GET", target(2));
        let found = trie.find(&["users".into(), "me".into()], "GET", |target| target.account_id == 1);
        assert_eq!(found[0].endpoint_id, 2);
    }
}
