use std::collections::HashSet;

use super::custom_type::CustomType;
use super::pattern::Pattern;
use super::subtype::{Position, SubType};

/// Longest text of a pattern, in characters.
pub const PATTERN_CHARACTERS_MAX: usize = 1_000;
/// Longest value that custom rules look at.
pub(super) const CUSTOM_VALUE_BYTES_MAX: usize = 64 << 10;

/// How a kind of data of an account is recognized, and what follows.
#[derive(Debug)]
pub struct CustomRule {
    /// The type that a match gives.
    pub custom: CustomType,
    /// What the name must fulfill; `None` for every name.
    pub keys: Option<Conditions>,
    /// What the value must fulfill; `None` for every value.
    pub values: Option<Conditions>,
    /// Both must hold where both are given; else one is enough.
    pub both: bool,
    /// A match is sensitive wherever it stands.
    pub sensitive_always: bool,
    /// Where a match is sensitive, unless it is always.
    pub sensitive_positions: Vec<Position>,
    /// Its values are never kept.
    pub redacted: bool,
}

/// Several predicates as one.
#[derive(Debug)]
pub struct Conditions {
    /// All must hold; else one is enough.
    pub all: bool,
    /// Each of them, joined by the operator.
    pub predicates: Vec<Predicate>,
}

/// One test on a text.
#[derive(Debug)]
#[allow(missing_docs, reason = "each is the documented predicate of its name")]
pub enum Predicate {
    /// The whole text matches.
    Regex(Pattern),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    EqualsTo(String),
    IsNumber,
    BelongsTo(HashSet<String>),
    NotBelongsTo(HashSet<String>),
}

impl Predicate {
    /// A pattern for the whole text.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn regex(pattern: &str) -> Result<Self, String> {
        if pattern.chars().count() > PATTERN_CHARACTERS_MAX {
            return Err(format!("has more than {PATTERN_CHARACTERS_MAX} characters"));
        }
        Pattern::whole(pattern).map(Self::Regex)
    }

    fn holds(&self, text: &str) -> bool {
        match self {
            Self::Regex(pattern) => pattern.is_match(text),
            Self::StartsWith(part) => text.starts_with(part.as_str()),
            Self::EndsWith(part) => text.ends_with(part.as_str()),
            Self::Contains(part) => text.contains(part.as_str()),
            Self::EqualsTo(whole) => text == whole,
            Self::IsNumber => text.parse::<f64>().is_ok_and(f64::is_finite),
            Self::BelongsTo(set) => set.contains(text),
            Self::NotBelongsTo(set) => !set.contains(text),
        }
    }
}

impl Conditions {
    fn hold(&self, text: &str) -> bool {
        let mut predicates = self.predicates.iter();
        match self.all {
            _ if self.predicates.is_empty() => false,
            true => predicates.all(|predicate| predicate.holds(text)),
            false => predicates.any(|predicate| predicate.holds(text)),
        }
    }
}

impl CustomRule {
    /// Memory of its compiled patterns.
    pub fn pattern_bytes(&self) -> usize {
        let predicates = [&self.keys, &self.values].into_iter().flatten().flat_map(|list| &list.predicates);
        let bytes = predicates.map(|predicate| match predicate {
            Predicate::Regex(pattern) => pattern.bytes(),
            _ => 0,
        });
        bytes.sum()
    }

    pub(super) fn sub_type(&self) -> SubType {
        SubType::Custom(self.custom)
    }

    pub(super) fn is_sensitive(&self) -> bool {
        self.sensitive_always || !self.sensitive_positions.is_empty()
    }

    pub(super) fn is_match(&self, key: &str, value: &str) -> bool {
        let key_holds = || self.keys.as_ref().map(|conditions| conditions.hold(key));
        let value_holds = || {
            let short = value.len() <= CUSTOM_VALUE_BYTES_MAX;
            self.values.as_ref().map(|conditions| short && conditions.hold(value))
        };
        match (key_holds(), self.both) {
            (Some(true), false) => true,
            (Some(false), true) => false,
            (Some(true), true) => value_holds().unwrap_or(true),
            (Some(false), false) | (None, _) => value_holds().unwrap_or(false),
        }
    }

    /// What the key alone says.
    pub(super) fn is_key_match(&self, key: &str) -> bool {
        self.keys.as_ref().is_some_and(|conditions| conditions.hold(key)) && (!self.both || self.values.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Detectors;

    fn rule(keys: Option<Predicate>, values: Option<Predicate>, both: bool) -> CustomRule {
        let one = |predicate| Conditions { all: true, predicates: vec![predicate] };
        CustomRule {
            custom: CustomType::named("LOYALTY"),
            keys: keys.map(one),
            values: values.map(one),
            both,
            sensitive_always: false,
            sensitive_positions: vec![Position::ResponsePayload],
            redacted: true,
        }
    }

    fn detect(rule: CustomRule, key: &str, value: &str) -> &'static str {
        let detectors = Detectors::new([]).with_custom(vec![rule.into()], []);
        detectors.detect_text(key, value).sub_type.name()
    }

    #[test]
    fn keys_and_values_combine() {
        let value = || Some(Predicate::regex("L-[0-9]{6}").unwrap());
        let key = || Some(Predicate::Contains("card".into()));
        assert_eq!(detect(rule(None, value(), true), "x", "L-123456"), "LOYALTY");
        assert_eq!(detect(rule(None, value(), true), "x", "L-1234567"), "GENERIC");
        assert_eq!(detect(rule(key(), value(), true), "x", "L-123456"), "GENERIC");
        assert_eq!(detect(rule(key(), value(), true), "my_card", "L-123456"), "LOYALTY");
        assert_eq!(detect(rule(key(), value(), false), "x", "L-123456"), "LOYALTY");
        assert_eq!(detect(rule(key(), value(), false), "my_card", "other"), "LOYALTY");
        assert_eq!(detect(rule(key(), None, true), "my_card", "a@b.co"), "LOYALTY");
    }

    #[test]
    fn predicates_are_as_named() {
        for (predicate, yes, no) in [
            (Predicate::StartsWith("a".into()), "ab", "ba"),
            (Predicate::EndsWith("a".into()), "ba", "ab"),
            (Predicate::EqualsTo("a".into()), "a", "aa"),
            (Predicate::IsNumber, "-1.5", "1.5x"),
            (Predicate::BelongsTo(HashSet::from(["a".into()])), "a", "b"),
            (Predicate::NotBelongsTo(HashSet::from(["a".into()])), "b", "a"),
        ] {
            assert!(predicate.holds(yes) && !predicate.holds(no), "{predicate:?}");
        }
    }

    #[test]
    fn patterns_are_bounded() {
        assert!(Predicate::regex(&"a".repeat(1_001)).is_err());
        assert!(Predicate::regex("(a{1000}){1000}").is_err());
    }
}
