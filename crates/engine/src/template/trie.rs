use std::collections::HashMap;

/// A set of token sequences of one length, each with a number, that is searched with patterns on either side.
#[derive(Debug)]
pub(super) struct Trie {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    children: HashMap<u32, u32>,
    value: Option<u32>,
}

impl Default for Trie {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Trie {
    /// Sets or clears the number of a sequence. Nodes stay: a template that was there once is likely to come back.
    pub fn set(&mut self, tokens: &[u32], value: Option<u32>) {
        let mut at = 0;
        for token in tokens {
            let fresh = self.nodes.len() as u32;
            let next = *self.nodes[at as usize].children.entry(*token).or_insert(fresh);
            if next == fresh {
                self.nodes.push(Node::default());
            }
            at = next;
        }
        self.nodes[at as usize].value = value;
    }

    pub fn get(&self, tokens: &[u32]) -> Option<u32> {
        let mut at = 0;
        for token in tokens {
            at = *self.nodes[at as usize].children.get(token)?;
        }
        self.nodes[at as usize].value
    }

    /// The numbers of all sequences whose every token is one of `accepted` for what is searched at its place.
    pub fn covering<T>(&self, places: &[T], accepted: impl Fn(&T) -> Vec<u32>) -> Vec<u32> {
        let mut level = vec![0u32];
        for place in places {
            let accepted = accepted(place);
            let next = |at: &u32, token: &u32| self.nodes[*at as usize].children.get(token).copied();
            level = level.iter().flat_map(|at| accepted.iter().filter_map(|token| next(at, token))).collect();
        }
        level.iter().filter_map(|at| self.nodes[*at as usize].value).collect()
    }

    /// The numbers of all sequences whose every token is the searched one, or is covered by it.
    pub fn covered(
        &self,
        tokens: &[u32],
        is_variable: impl Fn(u32) -> bool,
        covers: impl Fn(u32, u32) -> bool,
    ) -> Vec<u32> {
        let mut level = vec![0u32];
        for token in tokens {
            let mut next = Vec::new();
            for at in level {
                let children = &self.nodes[at as usize].children;
                if is_variable(*token) {
                    let fits = |child: &u32| child == token || covers(*token, *child);
                    next.extend(children.iter().filter(|(child, _)| fits(child)).map(|(_, at)| *at));
                } else {
                    next.extend(children.get(token));
                }
            }
            level = next;
        }
        level.iter().filter_map(|at| self.nodes[*at as usize].value).collect()
    }

    /// The numbers of all sequences of `length` tokens that are accepted at every place.
    pub fn matching(&self, length: usize, accepts: impl Fn(usize, u32) -> bool) -> Vec<u32> {
        let mut level = vec![0u32];
        for at in 0..length {
            level = level
                .iter()
                .flat_map(|node| &self.nodes[*node as usize].children)
                .filter(|(token, _)| accepts(at, **token))
                .map(|(_, next)| *next)
                .collect();
        }
        level.iter().filter_map(|at| self.nodes[*at as usize].value).collect()
    }

    /// The numbers of all sequences with an empty token.
    pub fn with_empty_segments(&self, is_empty: impl Fn(u32) -> bool) -> Vec<u32> {
        let mut found = Vec::new();
        let mut open = vec![(0u32, false)];
        while let Some((at, has_empty)) = open.pop() {
            let node = &self.nodes[at as usize];
            found.extend(node.value.filter(|_| has_empty));
            open.extend(node.children.iter().map(|(token, next)| (*next, has_empty || is_empty(*token))));
        }
        found
    }
}
