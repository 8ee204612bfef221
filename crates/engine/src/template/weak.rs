use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Names kept for the request and for each response of a raw URL. The smallest digests are kept, so the selection does
/// not depend on the order in which the names came.
pub const NAMES_MAX: usize = 1000;

/// A group of URLs becomes a template when one member agrees with this many others.
pub const PARTNERS_MIN: usize = 9;

/// Members of a group that are compared, the ones with the smallest tokens. Bounds the work on a group of calls that
/// have nothing in common but their path.
const COMPARED_MAX: usize = 256;

/// Two sets of names agree when they differ in at most one name of this many.
const NAMES_PER_DIFFERENCE: usize = 5;

/// What calls to one raw URL look like: names of the request's parameters, and per status code of success the names of
/// the response's. Headers and URL parameters do not belong to it. Names are kept as digests of 64 bits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyNames {
    request: BTreeSet<u64>,
    responses: BTreeMap<i32, BTreeSet<u64>>,
}

impl BodyNames {
    pub fn add_request(&mut self, name: &str) {
        insert(&mut self.request, digest(name));
    }

    /// Notes a success with the code, whether or not its body has names.
    pub fn add_code(&mut self, code: i32) {
        self.responses.entry(code).or_default();
    }

    pub fn add_response(&mut self, code: i32, name: &str) {
        insert(self.responses.entry(code).or_default(), digest(name));
    }

    /// Takes in what `other` knows; says whether that was anything new.
    pub fn absorb(&mut self, other: &Self) -> bool {
        let mut changed = absorb(&mut self.request, &other.request);
        for (code, names) in &other.responses {
            changed |= !self.responses.contains_key(code);
            changed |= absorb(self.responses.entry(*code).or_default(), names);
        }
        changed
    }

    /// Whether two URLs are called alike: the request's names within 20 %, the same success codes, and the names of each
    /// response within 20 %. Symmetric.
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.responses.len() == other.responses.len()
            && agree(&self.request, &other.request)
            && self
                .responses
                .iter()
                .zip(&other.responses)
                .all(|((left_code, left), (right_code, right))| left_code == right_code && agree(left, right))
    }
}

/// Whether URLs that differ in one segment become one template. `members` are told apart by the token in that segment
/// and come in its order.
pub(super) fn qualifies<'b>(members: impl ExactSizeIterator<Item = &'b BodyNames>) -> bool {
    if members.len() <= PARTNERS_MIN {
        return false;
    }
    let members: Vec<_> = members.take(COMPARED_MAX).collect();
    members.iter().enumerate().any(|(index, member)| {
        members
            .iter()
            .enumerate()
            .filter(|(other, names)| *other != index && member.agrees_with(names))
            .nth(PARTNERS_MIN - 1)
            .is_some()
    })
}

fn agree(left: &BTreeSet<u64>, right: &BTreeSet<u64>) -> bool {
    let (small, large) = if left.len() <= right.len() { (left, right) } else { (right, left) };
    let allowed = small.len() / NAMES_PER_DIFFERENCE;
    large.len() - small.len() <= allowed && small.iter().filter(|name| !large.contains(name)).nth(allowed).is_none()
}

fn absorb(into: &mut BTreeSet<u64>, from: &BTreeSet<u64>) -> bool {
    let mut changed = false;
    for name in from {
        changed |= insert(into, *name);
    }
    changed
}

/// Inserts and keeps the smallest [`NAMES_MAX`]; says whether the set changed.
fn insert(names: &mut BTreeSet<u64>, name: u64) -> bool {
    if names.len() >= NAMES_MAX && names.last().is_some_and(|largest| name >= *largest) {
        return false;
    }
    let changed = names.insert(name);
    if names.len() > NAMES_MAX {
        names.pop_last();
    }
    changed
}

/// FNV-1a, which is the same on every machine, so digests can be stored.
fn digest(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(request: std::ops::Range<u32>, responses: &[(i32, std::ops::Range<u32>)]) -> BodyNames {
        let mut names = BodyNames::default();
        request.for_each(|name| names.add_request(&name.to_string()));
        for (code, range) in responses {
            names.add_code(*code);
            range.clone().for_each(|name| names.add_response(*code, &name.to_string()));
        }
        names
    }

    #[test]
    fn one_name_in_five_may_differ() {
        let five = names(0..5, &[]);
        assert!(five.agrees_with(&names(0..6, &[])));
        assert!(five.agrees_with(&names(1..6, &[])));
        assert!(!five.agrees_with(&names(0..7, &[])));
        assert!(!five.agrees_with(&names(2..7, &[])));
        assert!(!names(0..4, &[]).agrees_with(&five));
        assert!(names(0..0, &[]).agrees_with(&names(0..0, &[])));
        assert!(!names(0..0, &[]).agrees_with(&names(0..1, &[])));
    }

    #[test]
    fn success_codes_have_to_be_the_same() {
        assert!(names(0..0, &[(200, 0..0)]).agrees_with(&names(0..0, &[(200, 0..0)])));
        assert!(!names(0..0, &[(200, 0..0)]).agrees_with(&names(0..0, &[(201, 0..0)])));
        assert!(!names(0..0, &[(200, 0..5)]).agrees_with(&names(0..0, &[(200, 5..10)])));
        assert!(!names(0..0, &[(200, 0..0), (201, 0..0)]).agrees_with(&names(0..0, &[(200, 0..0)])));
    }

    #[test]
    fn ten_alike_qualify_among_others() {
        let mut members: Vec<_> = (0..20).map(|index| names(index * 100..index * 100 + 5, &[])).collect();
        assert!(!qualifies(members.iter()));
        members.extend((0..9).map(|_| names(0..5, &[])));
        assert!(qualifies(members.iter()));
        members.pop();
        assert!(!qualifies(members.iter()));
    }

    #[test]
    fn the_kept_names_do_not_depend_on_the_order() {
        let mut up = BodyNames::default();
        let mut down = BodyNames::default();
        (0..1500).for_each(|name| up.add_request(&name.to_string()));
        (0..1500).rev().for_each(|name| down.add_request(&name.to_string()));
        assert_eq!(up, down);
        assert_eq!(up.request.len(), NAMES_MAX);
    }
}
