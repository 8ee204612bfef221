use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};

use crate::segment::{Part, STEPS_MAX, Segment, decoded_part, matches_parts};
use crate::template::{Rank, Template};
use crate::{Kind, decoded};

/// A place in the trie that stays the same as long as the trie lives.
pub type Node = u32;

/// Values by their templates, found by the segments of a path in time that depends on the path alone.
///
/// Of the templates that match a path and whose values are wanted the best counts: segment by segment from the left, a
/// literal is better than a mixed segment, that than a variable, that than a greedy end; of mixed segments the one with
/// the longest literals, of variables the one with the narrowest kind. A slash at the end counts where both are there.
///
/// Nodes stay when their values go: paths of a host come back more often than they end.
#[derive(Debug)]
pub struct Trie<T> {
    /// The first child for a node and the digest of a literal; children of one digest are linked.
    literals: HashMap<(Node, u64), Node>,
    variables: HashMap<(Node, Kind), Node>,
    mixed: HashMap<Node, Mixed>,
    nodes: Vec<NodeData<T>>,
    digest: RandomState,
    /// Whether literals are compared without regard to ASCII case.
    ignores_case: bool,
}

#[derive(Debug)]
struct NodeData<T> {
    literal: Box<str>,
    next_of_digest: Option<Node>,
    /// Bit n: there is an edge for the kind with number n; bit 8 + n: a greedy one.
    kinds: u16,
    has_mixed: bool,
    /// Without and with a slash at the end.
    values: [Vec<T>; 2],
}

/// The mixed segments below a node, by the lengths of the literals that they begin and end with, then by those.
type Mixed = BTreeMap<(usize, usize), HashMap<Box<str>, Vec<MixedEdge>>>;

#[derive(Debug)]
struct MixedEdge {
    rank: Rank,
    parts: Vec<Part>,
    next: Node,
}

impl<T> NodeData<T> {
    fn new(literal: &str) -> Self {
        Self {
            literal: literal.into(),
            next_of_digest: None,
            kinds: 0,
            has_mixed: false,
            values: [Vec::new(), Vec::new()],
        }
    }
}

impl<T> Trie<T> {
    /// Without templates; literals then match in any case where `ignores_case` is set.
    pub fn new(ignores_case: bool) -> Self {
        Self {
            literals: HashMap::new(),
            variables: HashMap::new(),
            mixed: HashMap::new(),
            nodes: vec![NodeData::new("")],
            digest: RandomState::new(),
            ignores_case,
        }
    }

    /// Adds a value under its template. The place is needed to remove it.
    pub fn insert(&mut self, template: &Template, value: T) -> Node {
        let mut node = 0;
        for segment in &template.segments {
            node = match segment {
                Segment::Literal(text) => {
                    let text = self.folded(&decoded(text)).into_owned();
                    self.literal_child(node, &text)
                }
                Segment::Variable(variable) => self.variable_child(node, variable.kind, false),
                Segment::Greedy(variable) => self.variable_child(node, variable.kind, true),
                Segment::Mixed(parts) => self.mixed_child(node, segment, parts),
            };
        }
        self.nodes[node as usize].values[usize::from(template.ends_with_slash)].push(value);
        node
    }

    /// Keeps the values of a place that are wanted.
    pub fn retain(&mut self, node: Node, mut wanted: impl FnMut(&T) -> bool) {
        if let Some(data) = self.nodes.get_mut(node as usize) {
            data.values.iter_mut().for_each(|values| values.retain(&mut wanted));
        }
    }

    /// The values of the best template that matches a path and has values that are wanted. The segments are decoded.
    pub fn find<S: AsRef<str>>(&self, path: &[S], ends_with_slash: bool, wanted: &dyn Fn(&[T]) -> bool) -> &[T] {
        self.descend(0, path, ends_with_slash, wanted).unwrap_or_default()
    }

    fn descend<S: AsRef<str>>(
        &self,
        node: Node,
        path: &[S],
        ends_with_slash: bool,
        wanted: &dyn Fn(&[T]) -> bool,
    ) -> Option<&[T]> {
        let data = &self.nodes[node as usize];
        let Some((segment, rest)) = path.split_first() else { return data.wanted(ends_with_slash, wanted) };
        let segment = self.folded(segment.as_ref());
        if let Some(next) = self.literal(node, &segment)
            && let Some(found) = self.descend(next, rest, ends_with_slash, wanted)
        {
            return Some(found);
        }
        if data.has_mixed {
            for next in self.mixed_of(node, &segment) {
                if let Some(found) = self.descend(next, rest, ends_with_slash, wanted) {
                    return Some(found);
                }
            }
        }
        if data.kinds == 0 {
            return None;
        }
        let kinds =
            |shift: u16| Kind::ALL.into_iter().filter(move |kind| data.kinds & (1 << (*kind as u16 + shift)) != 0);
        for kind in kinds(0).filter(|kind| kind.accepts(&segment)) {
            if let Some(found) = self.descend(self.variables[&(node, kind)], rest, ends_with_slash, wanted) {
                return Some(found);
            }
        }
        for kind in kinds(GREEDY_SHIFT).filter(|kind| kind.accepts(&segment)) {
            let end = &self.nodes[self.greedy(node, kind)? as usize];
            if let Some(found) = end.wanted(ends_with_slash, wanted) {
                return Some(found);
            }
        }
        None
    }

    fn literal(&self, node: Node, text: &str) -> Option<Node> {
        let mut next = self.literals.get(&(node, self.digest.hash_one(text))).copied();
        while let Some(child) = next {
            let data = &self.nodes[child as usize];
            if *data.literal == *text {
                return Some(child);
            }
            next = data.next_of_digest;
        }
        None
    }

    fn literal_child(&mut self, node: Node, text: &str) -> Node {
        if let Some(next) = self.literal(node, text) {
            return next;
        }
        let next = self.push(text);
        let before = self.literals.insert((node, self.digest.hash_one(text)), next);
        self.nodes[next as usize].next_of_digest = before;
        next
    }

    fn variable_child(&mut self, node: Node, kind: Kind, is_greedy: bool) -> Node {
        if is_greedy {
            if let Some(next) = self.greedy(node, kind) {
                return next;
            }
            // A literal that no path has: nothing but a greedy end looks for it.
            self.nodes[node as usize].kinds |= 1 << (kind as u16 + GREEDY_SHIFT);
            return self.literal_child(node, greedy_text(kind));
        }
        if let Some(next) = self.variables.get(&(node, kind)) {
            return *next;
        }
        self.nodes[node as usize].kinds |= 1 << kind as u16;
        let next = self.push("");
        self.variables.insert((node, kind), next);
        next
    }

    fn greedy(&self, node: Node, kind: Kind) -> Option<Node> {
        self.literal(node, greedy_text(kind))
    }

    fn mixed_child(&mut self, node: Node, segment: &Segment, parts: &[Part]) -> Node {
        let parts: Vec<_> = parts
            .iter()
            .map(decoded_part)
            .map(|part| match part {
                Part::Literal(text) => Part::Literal(self.folded(&text).into_owned()),
                variable => variable,
            })
            .collect();
        let text = |part: Option<&Part>| match part {
            Some(Part::Literal(text)) => text.clone(),
            _ => String::new(),
        };
        let (front, back) = (text(parts.first()), text(parts.last()));
        let rank = segment.rank();
        let key: Box<str> = format!("{front}\0{back}").into();
        let of_lengths = self.mixed.entry(node).or_default().entry((front.len(), back.len())).or_default();
        let edges = of_lengths.entry(key.clone()).or_default();
        if let Some(edge) = edges.iter().find(|edge| edge.rank == rank) {
            return edge.next;
        }
        let next = self.nodes.len() as Node;
        edges.push(MixedEdge { rank, parts, next });
        self.nodes[node as usize].has_mixed = true;
        self.push("");
        next
    }

    /// Where a text leads by mixed segments, the best first.
    fn mixed_of(&self, node: Node, text: &str) -> Vec<Node> {
        let mut found = Vec::new();
        for ((front, back), of_lengths) in self.mixed.get(&node).into_iter().flatten() {
            if front + back >= text.len() {
                continue;
            }
            let (Some(start), Some(end)) = (text.get(..*front), text.get(text.len() - back..)) else { continue };
            for edge in of_lengths.get(&*format!("{start}\0{end}")).into_iter().flatten() {
                if matches_parts(&edge.parts, text, &mut STEPS_MAX.clone()) {
                    found.push((&edge.rank, edge.next));
                }
            }
        }
        found.sort_unstable();
        found.into_iter().map(|(_, next)| next).collect()
    }

    fn push(&mut self, literal: &str) -> Node {
        self.nodes.push(NodeData::new(literal));
        (self.nodes.len() - 1) as Node
    }

    fn folded<'s>(&self, segment: &'s str) -> Cow<'s, str> {
        if self.ignores_case && segment.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(segment.to_ascii_lowercase())
        } else {
            Cow::Borrowed(segment)
        }
    }
}

impl<T> NodeData<T> {
    fn wanted(&self, ends_with_slash: bool, wanted: &dyn Fn(&[T]) -> bool) -> Option<&[T]> {
        let own = usize::from(ends_with_slash);
        [own, 1 - own].into_iter().map(|at| &*self.values[at]).find(|values| !values.is_empty() && wanted(values))
    }
}

const GREEDY_SHIFT: u16 = 8;

fn greedy_text(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer => "/INTEGER+",
        Kind::Float => "/FLOAT+",
        Kind::ObjectId => "/OBJECT_ID+",
        Kind::String => "/STRING+",
        Kind::Versioned => "/VERSIONED+",
    }
}
