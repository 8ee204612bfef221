use std::collections::{BTreeMap, BTreeSet};

use portolan_path::Segment;
use serde::{Deserialize, Serialize};

use super::look::{Look, RICH};
use super::segment::Variable;

/// Names kept for the request and for each response of a raw URL. The smallest digests are kept, so the selection does
/// not depend on the order in which the names came.
pub const NAMES_MAX: usize = 1000;

/// What the tokens of alike calls have to count together before they are values of one variable. Ten tokens that are no
/// words are enough whatever the calls show.
pub const POINTS_MIN: usize = 10;

/// Members of a group that are compared, the ones with the smallest tokens. Bounds the work on a group of calls that
/// have nothing in common but their path.
pub(super) const COMPARED_MAX: usize = 64;

/// Shapes of calls that a group may have beside each other.
const CORES_MAX: usize = 4;

/// Two sets of names agree when they differ in at most one name of this many.
const NAMES_PER_DIFFERENCE: usize = 5;

/// The same for tokens that are words, which mean something until the calls leave no doubt.
const NAMES_PER_DIFFERENCE_STRICT: usize = 10;

/// What calls to one raw URL look like: names of the request's parameters, and per status code of success the names of
/// the response's. Headers and URL parameters do not belong to it. Names are kept as digests of 64 bits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BodyNames {
    request: BTreeSet<u64>,
    responses: BTreeMap<i32, BTreeSet<u64>>,
}

impl BodyNames {
    /// Takes in the name of a member of a request body.
    pub fn add_request(&mut self, name: &str) {
        insert(&mut self.request, digest(name));
    }

    /// Notes a success with the code, whether or not its body has names.
    pub fn add_code(&mut self, code: i32) {
        self.responses.entry(code).or_default();
    }

    /// Takes in the name of a member of an answer with this status.
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

    /// Whether two URLs are called alike: the request's names within one of `per_difference`, the same success codes,
    /// and the names of each response likewise. Symmetric.
    fn agrees_with(&self, other: &Self, per_difference: usize) -> bool {
        self.responses.len() == other.responses.len()
            && agree(&self.request, &other.request, per_difference)
            && self.responses.iter().zip(&other.responses).all(|((left_code, left), (right_code, right))| {
                left_code == right_code && agree(left, right, per_difference)
            })
    }

    /// Whether two URLs are called alike and show enough to be sure of it.
    pub(super) fn is_surely(&self, other: &Self) -> bool {
        self.names() >= RICH && other.names() >= RICH && self.agrees_with(other, NAMES_PER_DIFFERENCE)
    }

    /// How many names are kept.
    pub(super) fn len(&self) -> usize {
        self.request.len() + self.responses.values().map(BTreeSet::len).sum::<usize>()
    }

    /// How many names calls show.
    fn names(&self) -> usize {
        self.request.len() + self.responses.values().map(BTreeSet::len).max().unwrap_or_default()
    }
}

/// One URL of a group of URLs that differ in one segment.
#[derive(Clone, Copy)]
pub(super) struct Member<'b> {
    pub look: Look,
    pub bodies: &'b BodyNames,
    /// The URLs of the group differ in other values too, so only what calls show tells that they belong together.
    pub is_pooled: bool,
    pub below: Below,
}

/// What stands in front of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Below {
    Literal,
    /// A text that may be a name, behind which a name of its things may follow: `/repos/kim42/hello-world`.
    Text,
    /// An identifier, so that a word names what belongs to the identified thing: `/users/7/followers`.
    Identifier,
}

impl Below {
    pub fn of(before: &str) -> Self {
        match Variable::of_token(before) {
            Some(Variable::Integer | Variable::Float | Variable::ObjectId) => Self::Identifier,
            Some(Variable::String | Variable::Versioned) => Self::Text,
            None if before.ends_with(')') && !Segment::of_words(before).is_literal() => Self::Identifier,
            None => Self::Literal,
        }
    }
}

impl Member<'_> {
    pub fn agrees_with(&self, other: &Member<'_>) -> bool {
        let is_strict = self.look.is_strict() || other.look.is_strict();
        let per_difference = if is_strict { NAMES_PER_DIFFERENCE_STRICT } else { NAMES_PER_DIFFERENCE };
        self.bodies.agrees_with(other.bodies, per_difference)
    }

    fn points(&self) -> usize {
        let names = self.bodies.names();
        match (self.below, self.look) {
            _ if self.is_pooled && names < RICH => 0,
            (Below::Identifier | Below::Text, Look::Word | Look::Plural) => 0,
            (Below::Identifier, Look::Slug(..=2)) => 0,
            (Below::Identifier, Look::Name) => 1,
            (_, look) => look.points(names),
        }
    }
}

/// The places of the members around which there are enough alike to make a variable. Every member that agrees with one of
/// them is a value of it. `members` come in the order of their tokens.
pub(super) fn cores<'b>(members: impl Iterator<Item = Member<'b>>) -> Vec<usize> {
    let members: Vec<_> = members.take(COMPARED_MAX).collect();
    let mut cores: Vec<usize> = Vec::new();
    for (index, member) in members.iter().enumerate() {
        if member.points() == 0 || cores.iter().any(|core| members[*core].agrees_with(member)) {
            continue;
        }
        let others = members.iter().enumerate().filter(|(other, _)| *other != index);
        let alike = others.filter(|(_, other)| member.agrees_with(other)).map(|(_, other)| other.points());
        if member.points() + alike.sum::<usize>() >= POINTS_MIN {
            cores.push(index);
        }
        if cores.len() == CORES_MAX {
            break;
        }
    }
    cores
}

fn agree(left: &BTreeSet<u64>, right: &BTreeSet<u64>, per_difference: usize) -> bool {
    let (small, large) = if left.len() <= right.len() { (left, right) } else { (right, left) };
    let allowed = small.len() / per_difference;
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

    fn agree_in_five(left: &BodyNames, right: &BodyNames) -> bool {
        left.agrees_with(right, NAMES_PER_DIFFERENCE)
    }

    #[test]
    fn one_name_in_five_may_differ() {
        let five = names(0..5, &[]);
        assert!(agree_in_five(&five, &names(0..6, &[])));
        assert!(agree_in_five(&five, &names(1..6, &[])));
        assert!(!agree_in_five(&five, &names(0..7, &[])));
        assert!(!agree_in_five(&five, &names(2..7, &[])));
        assert!(!agree_in_five(&names(0..4, &[]), &five));
        assert!(agree_in_five(&names(0..0, &[]), &names(0..0, &[])));
        assert!(!agree_in_five(&names(0..0, &[]), &names(0..1, &[])));
        assert!(!five.agrees_with(&names(0..6, &[]), NAMES_PER_DIFFERENCE_STRICT));
    }

    #[test]
    fn success_codes_have_to_be_the_same() {
        assert!(agree_in_five(&names(0..0, &[(200, 0..0)]), &names(0..0, &[(200, 0..0)])));
        assert!(!agree_in_five(&names(0..0, &[(200, 0..0)]), &names(0..0, &[(201, 0..0)])));
        assert!(!agree_in_five(&names(0..0, &[(200, 0..5)]), &names(0..0, &[(200, 5..10)])));
        assert!(!agree_in_five(&names(0..0, &[(200, 0..0), (201, 0..0)]), &names(0..0, &[(200, 0..0)])));
    }

    fn cores_of(look: Look, members: &[BodyNames]) -> Vec<usize> {
        cores(members.iter().map(|bodies| Member { look, bodies, is_pooled: false, below: Below::Literal }))
    }

    #[test]
    fn enough_alike_make_a_variable_among_others() {
        let mut members: Vec<_> = (0..20).map(|index| names(index * 100..index * 100 + 2, &[])).collect();
        assert!(cores_of(Look::Name, &members).is_empty());
        members.extend((0..9).map(|_| names(0..2, &[])));
        assert_eq!(cores_of(Look::Name, &members), [0]);
        members.pop();
        assert!(cores_of(Look::Name, &members).is_empty());
    }

    #[test]
    fn what_looks_like_an_identifier_needs_less() {
        let alike = |count: usize, shown: u32| vec![names(0..0, &[(200, 0..shown)]); count];
        for (look, shown, few) in [
            (Look::Id, 5, 3),
            (Look::Id, 1, 10),
            (Look::Name, 5, 5),
            (Look::Slug(3), 5, 3),
            (Look::Slug(2), 5, 4),
            (Look::Word, 5, 4),
            (Look::Word, 3, 5),
        ] {
            assert!(!cores_of(look, &alike(few, shown)).is_empty(), "{look:?}");
            assert!(cores_of(look, &alike(few - 1, shown)).is_empty(), "{look:?}");
        }
        assert!(cores_of(Look::Word, &alike(60, 2)).is_empty());
        assert!(cores_of(Look::Plural, &alike(60, 5)).is_empty());
    }

    #[test]
    fn words_behind_an_identifier_name_its_things() {
        let bodies = names(0..0, &[(200, 0..5)]);
        let count = |look: Look, before: &str| {
            let below = Below::of(before);
            let members = vec![Member { look, bodies: &bodies, is_pooled: false, below }; 9];
            cores(members.into_iter()).len()
        };
        for before in ["INTEGER", "OBJECT_ID", "Products(INTEGER)"] {
            for look in [Look::Word, Look::Slug(2), Look::Name] {
                assert_eq!(count(look, before), 0, "{look:?} {before}");
            }
            assert_eq!((count(Look::Id, before), count(Look::Slug(3), before)), (1, 1), "{before}");
        }
        assert_eq!((count(Look::Word, "STRING"), count(Look::Slug(2), "STRING")), (0, 1));
        assert_eq!((count(Look::Word, "teams"), count(Look::Word, "@STRING")), (1, 1));
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
