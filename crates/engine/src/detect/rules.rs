//! The rules of the table in the form in which they are tried.

use std::sync::{LazyLock, OnceLock};

use memchr::memmem;
use regex::Regex;
use regex_syntax::hir::literal::Extractor;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::keys::{self, Compact, letters_of};
use super::kinds::{KINDS, Kinds, WIDE, kinds_of};
use super::pii::{PiiType, Rule};
use super::subtype::SubType;

/// What a key or a value has to pass.
pub(super) type Test = fn(&str) -> bool;

/// How a key alone tells a kind.
#[derive(Debug)]
pub(super) enum KeyRule {
    Contains { text: &'static str, letters: u32 },
    Word { text: &'static str, letters: u32 },
    Test(Test),
}

impl KeyRule {
    pub fn containing(text: &'static str) -> Self {
        Self::Contains { text, letters: letters_of(text) }
    }

    pub fn word(text: &'static str) -> Self {
        Self::Word { text, letters: letters_of(text) }
    }

    /// Whether the key, whose letters are given as bits, fits.
    pub fn is_match(&self, key: &str, letters: u32) -> bool {
        match self {
            Self::Contains { text, letters: own } => {
                letters & own == *own && Compact::new(key).contains(text) && !keys::names_a_property(key)
            }
            Self::Word { text, letters: own } => {
                letters & own == *own && keys::has_word(key, text) && !keys::names_a_property(key)
            }
            Self::Test(test) => test(key),
        }
    }
}

/// How a key and a value together tell a kind.
#[derive(Debug)]
pub(super) struct PairRule {
    pub key: Test,
    pub value: Test,
}

impl PairRule {
    pub fn is_match(&self, key: &str, value: &str) -> bool {
        (self.key)(key) && (self.value)(value)
    }
}

/// Patterns of values that are switched on, by the first byte of what they match.
#[derive(Debug)]
pub(super) struct ValueRules {
    by_first: Vec<OfFirst>,
}

/// The patterns of which a match may begin with one byte.
#[derive(Clone, Debug, Default)]
struct OfFirst {
    /// A bit for each length that any of their matches may have; the highest is of every longer one too.
    lengths: u64,
    probes: Vec<Probe>,
}

/// What most values fail at, without a look at the rule itself.
#[derive(Clone, Copy, Debug)]
struct Probe {
    kinds: Kinds,
    bytes_min: u32,
    bytes_max: u32,
    pii: PiiType,
}

impl Default for ValueRules {
    fn default() -> Self {
        Self { by_first: vec![OfFirst::default(); 256] }
    }
}

impl ValueRules {
    /// Adds a kind; kinds are tried in the order in which they are added.
    pub fn add(&mut self, pii: PiiType) {
        let Some(rule) = rule_of(pii) else { return };
        let bound = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let (bytes_min, bytes_max) = (bound(rule.bytes_min), bound(rule.bytes_max));
        let lengths = (0..64).filter(|at| (bytes_min.min(63)..=bytes_max.min(63)).contains(at));
        let lengths = lengths.fold(0, |bits, at| bits | 1 << at);
        for (first, of_first) in self.by_first.iter_mut().enumerate() {
            if rule.firsts[first] {
                of_first.lengths |= lengths;
                of_first.probes.push(Probe { kinds: rule.kinds, bytes_min, bytes_max, pii });
            }
        }
    }

    pub fn find(&self, value: &str, kinds: Kinds) -> Option<SubType> {
        let of_first = &self.by_first[usize::from(*value.as_bytes().first()?)];
        if of_first.lengths >> value.len().min(63) & 1 == 0 {
            return None;
        }
        let bytes = u32::try_from(value.len()).unwrap_or(u32::MAX);
        let fits = |probe: &&Probe| {
            kinds & probe.kinds == probe.kinds
                && (probe.bytes_min..=probe.bytes_max).contains(&bytes)
                && rule_of(probe.pii).is_some_and(|rule| rule.is_match(value))
        };
        of_first.probes.iter().find(fits).map(|probe| SubType::Pii(probe.pii))
    }
}

#[derive(Debug)]
struct ValueRule {
    part: memmem::Finder<'static>,
    kinds: Kinds,
    bytes_min: usize,
    bytes_max: usize,
    /// Which bytes a match may begin with.
    firsts: [bool; 256],
    text: &'static str,
    /// Compiled when a value first comes as far.
    pattern: OnceLock<Regex>,
    /// What must hold beside the pattern.
    check: Option<Test>,
}

/// The rules of all kinds that are told by a pattern, by their place in the table.
static RULES: LazyLock<Vec<Option<ValueRule>>> = LazyLock::new(|| {
    PiiType::all()
        .map(|pii| match pii.rule() {
            Rule::Value(part, pattern) => Some(ValueRule::new(part, pattern, None)),
            Rule::Checked(pattern, check) => Some(ValueRule::new("", pattern, Some(check))),
            _ => None,
        })
        .collect()
});

fn rule_of(pii: PiiType) -> Option<&'static ValueRule> {
    RULES.get(pii.place())?.as_ref()
}

impl ValueRule {
    fn new(part: &'static str, text: &'static str, check: Option<Test>) -> Self {
        let syntax = regex_syntax::parse(text).expect("the patterns of the table are tested");
        Self {
            part: memmem::Finder::new(part),
            kinds: kinds_of(part) | kinds_in_all(&syntax),
            bytes_min: syntax.properties().minimum_len().unwrap_or(0),
            bytes_max: syntax.properties().maximum_len().unwrap_or(usize::MAX),
            firsts: first_bytes(&syntax),
            text,
            pattern: OnceLock::new(),
            check,
        }
    }

    /// Whether a value of fitting kinds and length is one.
    fn is_match(&self, value: &str) -> bool {
        self.part.find(value.as_bytes()).is_some()
            && self.pattern().is_match(value)
            && self.check.is_none_or(|check| check(value))
    }

    fn pattern(&self) -> &Regex {
        self.pattern
            .get_or_init(|| Regex::new(&format!("^(?:{})$", self.text)).expect("the patterns of the table are tested"))
    }
}

/// The bytes with which matches begin; all where the pattern does not say.
fn first_bytes(pattern: &Hir) -> [bool; 256] {
    let mut firsts = [false; 256];
    let prefixes = Extractor::new().extract(pattern);
    let known = prefixes.literals().filter(|list| list.iter().all(|literal| !literal.is_empty()));
    let Some(list) = known else { return [true; 256] };
    for literal in list {
        firsts[usize::from(literal.as_bytes()[0])] = true;
    }
    firsts
}

/// The kinds of which every match of a pattern holds a byte.
fn kinds_in_all(pattern: &Hir) -> Kinds {
    match pattern.kind() {
        HirKind::Literal(literal) => literal.0.iter().fold(0, |kinds, byte| kinds | KINDS[usize::from(*byte)]),
        HirKind::Class(Class::Bytes(class)) => in_all(class.ranges().iter().map(|range| (range.start(), range.end()))),
        HirKind::Class(Class::Unicode(class)) => {
            let byte = |letter: char| u8::try_from(letter).unwrap_or(u8::MAX);
            in_all(class.ranges().iter().map(|range| (byte(range.start()), byte(range.end()))))
        }
        HirKind::Repetition(repetition) if repetition.min > 0 => kinds_in_all(&repetition.sub),
        HirKind::Capture(capture) => kinds_in_all(&capture.sub),
        HirKind::Concat(parts) => parts.iter().fold(0, |kinds, part| kinds | kinds_in_all(part)),
        HirKind::Alternation(parts) => parts.iter().fold(Kinds::MAX, |kinds, part| kinds & kinds_in_all(part)),
        _ => 0,
    }
}

/// What all bytes of a class have in common.
fn in_all(ranges: impl Iterator<Item = (u8, u8)>) -> Kinds {
    let mut found = None;
    for byte in ranges.flat_map(|(first, last)| first..=last) {
        // Letters beyond ASCII begin with any byte of their own.
        let kinds = if byte.is_ascii() { KINDS[usize::from(byte)] } else { WIDE };
        found = Some(found.unwrap_or(Kinds::MAX) & kinds);
    }
    found.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles_and_is_looked_for_where_it_may_begin() {
        let rules: Vec<_> = RULES.iter().flatten().collect();
        assert!(rules.len() > 100);
        for rule in rules {
            assert!(!rule.pattern().as_str().is_empty());
            assert!(rule.firsts.iter().any(|may| *may), "{}", rule.text);
        }
        let needs = |pattern: &str| kinds_in_all(&regex_syntax::parse(pattern).unwrap());
        assert_eq!(needs("(?i)ab[0-9]+|(?i)b[0-9]{2}x?"), kinds_of("b1") & kinds_of("B1"));
        assert_eq!(needs(r"\S+é"), WIDE);
        let syntax = regex_syntax::parse("gh[po]_[a-z]+|x").unwrap();
        let firsts = first_bytes(&syntax);
        assert!(firsts[usize::from(b'g')] && firsts[usize::from(b'x')] && !firsts[usize::from(b'a')]);
    }
}
