//! Detectors: from a key and a value to a [`SubType`].
//!
//! One pass over the bytes of a value says which kinds of character it holds; a detector runs only when those fit it,
//! so most values meet no detector at all. Every pattern runs in time linear in the value.

mod checks;
mod custom;
mod keys;
mod national;
mod pii;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use memchr::memmem;
use regex::Regex;
use regex_syntax::hir::{Hir, HirKind};

pub use checks::{
    is_credit_card, is_email, is_iban, is_jwt, is_phone_number, is_ssn, is_url, is_uuid, is_vin, jwt_payload,
};
pub use custom::{Conditions, CustomRule, CustomType, PATTERN_CHARACTERS_MAX, Predicate};
pub use keys::letters_of;
pub use pii::PiiType;

use crate::{Position, SubType};
use keys::Compact;
use pii::Rule;

/// A value longer than this is no single datum; its text stays [`SubType::Generic`] unless it is a JWT.
const VALUE_BYTES_MAX: usize = 4096;

/// The detectors that are switched on. Build once and share.
#[derive(Debug)]
pub struct Detectors {
    /// Kinds of an account, in the order in which they are tried.
    custom: Vec<CustomRule>,
    /// Built-in kinds that the account has switched off: they are still told apart, but nothing is sensitive for them.
    muted: HashSet<SubType>,
    /// Built-in kinds whose values the account does not keep.
    redacted: HashSet<SubType>,
    /// Built-in kinds whose sensitivity an account has set: always, or at some positions.
    sensitivity: HashMap<SubType, (bool, Vec<Position>)>,
    keys: Vec<(KeyRule, SubType)>,
    values: Vec<ValueRule>,
    /// Whether IBANs are looked for, and what they are called.
    iban: Option<SubType>,
}

/// What a value was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detected {
    pub sub_type: SubType,
    /// The value is one that documents use as an example or that names the own machine, so it gives nothing away.
    pub reserved: bool,
}

#[derive(Debug)]
struct KeyRule {
    text: &'static str,
    letters: u32,
    is_word: bool,
}

#[derive(Debug)]
struct ValueRule {
    part: memmem::Finder<'static>,
    kinds: u16,
    bytes_min: usize,
    bytes_max: usize,
    pattern: Regex,
    /// What must hold beside the pattern.
    check: Option<fn(&str) -> bool>,
    sub_type: SubType,
}

impl Default for Detectors {
    fn default() -> Self {
        Self::new(PiiType::all().filter(|pii| pii.is_active_by_default()))
    }
}

impl Detectors {
    /// The built-in detectors and those of the named kinds. The order of `active` does not matter.
    pub fn new(active: impl IntoIterator<Item = PiiType>) -> Self {
        let mut active: Vec<_> = active.into_iter().collect();
        active.sort_unstable();
        active.dedup();
        let mut detectors = Self {
            custom: Vec::new(),
            muted: HashSet::new(),
            redacted: HashSet::new(),
            sensitivity: HashMap::new(),
            keys: Vec::new(),
            values: Vec::new(),
            iban: None,
        };
        for pii in active {
            let sub_type = SubType::Pii(pii);
            match pii.rule() {
                Rule::KeyContains(text) => detectors.keys.push((KeyRule::new(text, false), sub_type)),
                Rule::KeyWord(text) => detectors.keys.push((KeyRule::new(text, true), sub_type)),
                Rule::Value(part, pattern) => detectors.values.push(ValueRule::new(part, pattern, sub_type)),
                Rule::Checked(pattern, check) => {
                    let rule = ValueRule::new("", pattern, sub_type);
                    detectors.values.push(ValueRule { check: Some(check), ..rule });
                }
                Rule::Iban => detectors.iban = Some(sub_type),
            }
        }
        detectors
    }

    /// Adds the kinds that an account has defined, sensitive ones first, and those that it has switched off. The order
    /// of the rules does not matter.
    #[must_use]
    pub fn with_custom(mut self, mut rules: Vec<CustomRule>, muted: impl IntoIterator<Item = SubType>) -> Self {
        rules.sort_by_key(|rule| (!rule.is_sensitive(), rule.custom));
        self.custom = rules;
        self.muted = muted.into_iter().collect();
        self
    }

    /// Keeps no values of these built-in kinds.
    #[must_use]
    pub fn with_redacted(mut self, kinds: impl IntoIterator<Item = SubType>) -> Self {
        self.redacted = kinds.into_iter().collect();
        self
    }

    /// Makes built-in kinds sensitive always, at some positions, or nowhere.
    #[must_use]
    pub fn with_sensitivity(mut self, kinds: impl IntoIterator<Item = (SubType, bool, Vec<Position>)>) -> Self {
        self.sensitivity =
            kinds.into_iter().map(|(sub_type, always, positions)| (sub_type, (always, positions))).collect();
        self
    }

    /// Whether there is a kind whose values are never kept.
    pub fn has_redacted(&self) -> bool {
        !self.redacted.is_empty() || self.custom.iter().any(|rule| rule.redacted)
    }

    /// Whether a kind is sensitive where it stands.
    pub fn is_sensitive_at(&self, sub_type: SubType, position: Position) -> bool {
        match sub_type {
            SubType::Custom(custom) => self.custom.iter().any(|rule| {
                rule.custom == custom && (rule.sensitive_always || rule.sensitive_positions.contains(&position))
            }),
            _ if self.muted.contains(&sub_type) => false,
            _ => match self.sensitivity.get(&sub_type) {
                Some((always, positions)) => *always || positions.contains(&position),
                None => sub_type.is_sensitive_at(position),
            },
        }
    }

    /// Whether values of a kind are never kept.
    pub fn is_redacted(&self, sub_type: SubType) -> bool {
        match sub_type {
            SubType::Custom(custom) => self.custom.iter().any(|rule| rule.custom == custom && rule.redacted),
            _ => self.redacted.contains(&sub_type),
        }
    }

    fn detect_custom(&self, key: &str, value: &str) -> Option<SubType> {
        self.custom.iter().find(|rule| rule.is_match(key, value)).map(CustomRule::sub_type)
    }

    /// Detects a text under the last named key of its path; the key is empty where there is none.
    pub fn detect_text(&self, key: &str, value: &str) -> Detected {
        if value.is_empty() {
            return found(SubType::Generic);
        }
        if let Some(sub_type) = self.detect_custom(key, value) {
            return found(sub_type);
        }
        if let Some(sub_type) = self.detect_pii_key(key) {
            return found(sub_type);
        }
        if value.len() > VALUE_BYTES_MAX {
            return found(if is_jwt(value) { SubType::Jwt } else { SubType::Generic });
        }
        let kinds = kinds_of(value);
        if let Some(sub_type) = self.detect_pii_value(value, kinds) {
            return found(sub_type);
        }
        detect_built_in(key, value, kinds)
    }

    /// Detects a JSON number as written.
    pub fn detect_number(&self, key: &str, digits: &str) -> Detected {
        if let Some(sub_type) = self.detect_custom(key, digits).or_else(|| self.detect_pii_key(key)) {
            return found(sub_type);
        }
        if let Some(sub_type) = self.detect_pii_value(digits, kinds_of(digits)) {
            return found(sub_type);
        }
        if (12..=19).contains(&digits.len()) && is_credit_card(digits) && !keys::names_a_counter(key) {
            return found(SubType::CreditCard);
        }
        found(match digits.parse::<i64>() {
            Ok(number) if i32::try_from(number).is_ok() => SubType::Integer32,
            Ok(_) => SubType::Integer64,
            Err(_) => SubType::Float,
        })
    }

    /// What the key alone says.
    pub fn detect_key(&self, key: &str) -> Option<SubType> {
        let custom = self.custom.iter().find(|rule| rule.is_key_match(key)).map(CustomRule::sub_type);
        custom.or_else(|| self.detect_pii_key(key))
    }

    fn detect_pii_key(&self, key: &str) -> Option<SubType> {
        let letters = letters_of(key);
        self.keys.iter().find(|(rule, _)| rule.is_match(key, letters)).map(|(_, sub_type)| *sub_type)
    }

    fn detect_pii_value(&self, value: &str, kinds: u16) -> Option<SubType> {
        if let Some(sub_type) = self.iban
            && kinds & (LETTER | DIGIT) == LETTER | DIGIT
            && is_iban(value)
        {
            return Some(sub_type);
        }
        self.values.iter().find(|rule| rule.is_match(value, kinds)).map(|rule| rule.sub_type)
    }
}

impl KeyRule {
    fn new(text: &'static str, is_word: bool) -> Self {
        Self { text, letters: letters_of(text), is_word }
    }

    fn is_match(&self, key: &str, letters: u32) -> bool {
        letters & self.letters == self.letters
            && if self.is_word { keys::has_word(key, self.text) } else { Compact::new(key).contains(self.text) }
    }
}

impl ValueRule {
    fn new(part: &'static str, pattern: &'static str, sub_type: SubType) -> Self {
        let syntax = regex_syntax::parse(pattern).expect("the patterns of the table are tested");
        Self {
            part: memmem::Finder::new(part),
            kinds: kinds_of(part) | kinds_in_all(&syntax),
            bytes_min: syntax.properties().minimum_len().unwrap_or(0),
            bytes_max: syntax.properties().maximum_len().unwrap_or(usize::MAX),
            pattern: Regex::new(&format!("^(?:{pattern})$")).expect("the patterns of the table are tested"),
            check: None,
            sub_type,
        }
    }

    fn is_match(&self, value: &str, kinds: u16) -> bool {
        (self.bytes_min..=self.bytes_max).contains(&value.len())
            && kinds & self.kinds == self.kinds
            && self.part.find(value.as_bytes()).is_some()
            && self.pattern.is_match(value)
            && self.check.is_none_or(|check| check(value))
    }
}

const LETTER: u16 = 1;
const DIGIT: u16 = 1 << 1;
const AT: u16 = 1 << 2;
const DOT: u16 = 1 << 3;
const COLON: u16 = 1 << 4;
const SLASH: u16 = 1 << 5;
const DASH: u16 = 1 << 6;
const SPACE: u16 = 1 << 7;
const PLUS: u16 = 1 << 8;
const SIGN: u16 = 1 << 9;
const WIDE: u16 = 1 << 10;

/// The kind of every byte.
static KINDS: [u16; 256] = {
    let mut kinds = [SIGN; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => LETTER,
            b'0'..=b'9' => DIGIT,
            b'@' => AT,
            b'.' => DOT,
            b':' => COLON,
            b'/' => SLASH,
            b'-' => DASH,
            b' ' => SPACE,
            b'+' => PLUS,
            128..=255 => WIDE,
            _ => SIGN,
        };
        byte += 1;
    }
    kinds
};

fn kinds_of(text: &str) -> u16 {
    text.bytes().fold(0, |kinds, byte| kinds | KINDS[usize::from(byte)])
}

/// The kinds of which every match of a pattern holds a byte.
fn kinds_in_all(pattern: &Hir) -> u16 {
    match pattern.kind() {
        HirKind::Literal(literal) => literal.0.iter().fold(0, |kinds, byte| kinds | KINDS[usize::from(*byte)]),
        HirKind::Repetition(repetition) if repetition.min > 0 => kinds_in_all(&repetition.sub),
        HirKind::Capture(capture) => kinds_in_all(&capture.sub),
        HirKind::Concat(parts) => parts.iter().fold(0, |kinds, part| kinds | kinds_in_all(part)),
        HirKind::Alternation(parts) => parts.iter().fold(u16::MAX, |kinds, part| kinds & kinds_in_all(part)),
        _ => 0,
    }
}

fn found(sub_type: SubType) -> Detected {
    Detected { sub_type, reserved: false }
}

fn detect_built_in(key: &str, value: &str, kinds: u16) -> Detected {
    let has = |kind: u16| kinds & kind != 0;
    if has(DIGIT) && !has(LETTER | AT | COLON | SLASH | SIGN | WIDE) {
        // Undivided digits are a card only under a key that does not speak of an identifier or a time.
        if !has(DOT | PLUS) && is_credit_card(value) && (has(SPACE | DASH) || !keys::names_a_counter(key)) {
            return found(SubType::CreditCard);
        }
        if let Some(sub_type) = number(value) {
            return found(sub_type);
        }
        if has(DASH) && is_ssn(value) {
            return found(SubType::Ssn);
        }
    } else if let Some(sub_type) = exponent(value) {
        return found(sub_type);
    }
    if has(AT) && is_email(value) {
        return Detected { sub_type: SubType::Email, reserved: checks::is_reserved_email(value) };
    }
    if has(COLON) && is_url(value) {
        return found(SubType::Url);
    }
    if value.len() == 36 && has(DASH) && is_uuid(value) {
        return found(SubType::Uuid);
    }
    if has(DOT) && has(LETTER) && is_jwt(value) {
        return found(SubType::Jwt);
    }
    if has(PLUS) && !has(LETTER) && is_phone_number(value) {
        return found(SubType::PhoneNumber);
    }
    if has(DOT | COLON)
        && value.len() <= 45
        && !has(AT | SLASH | DASH | SPACE | WIDE)
        && let Ok(address) = value.parse::<IpAddr>()
        && !(address.is_ipv4() && keys::names_a_version(key))
    {
        return Detected { sub_type: SubType::IpAddress, reserved: is_reserved_address(address) };
    }
    // Bytes around the seventeen are blanks at most.
    if value.len() >= 17 && has(DIGIT) && has(LETTER) && is_vin(value.trim()) {
        return found(SubType::Vin);
    }
    found(SubType::Generic)
}

/// Digits with an optional minus, or the same with one decimal point.
fn number(value: &str) -> Option<SubType> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(match value.parse::<i64>() {
            Ok(number) if i32::try_from(number).is_ok() => SubType::Integer32,
            Ok(_) if digits.len() < 19 => SubType::Integer64,
            _ => SubType::Float,
        });
    }
    let (whole, fraction) = digits.split_once('.')?;
    let both = whole.len() + fraction.len() > 0;
    (both && whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit())).then_some(SubType::Float)
}

/// A decimal number with an exponent, such as `1.5e-3`.
fn exponent(value: &str) -> Option<SubType> {
    let first = value.as_bytes()[0];
    if value.len() > 32 || !(first.is_ascii_digit() || first == b'-') {
        return None;
    }
    let (mantissa, power) = value.split_once(['e', 'E'])?;
    let power = power.strip_prefix(['+', '-']).unwrap_or(power);
    // Identifiers such as `12e4567` are no numbers that anybody writes.
    let fits = (1..=3).contains(&power.len()) && power.bytes().all(|byte| byte.is_ascii_digit());
    (fits && mantissa.contains('.') && number(mantissa).is_some()).then_some(SubType::Float)
}

/// Addresses of documentation (RFC 5737, RFC 3849), of the own machine, and the unspecified address.
fn is_reserved_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let octets = address.octets();
            address.is_loopback()
                || address.is_unspecified()
                || matches!(octets, [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _])
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unspecified() || address.segments()[..2] == [0x2001, 0x0db8]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> &'static str {
        Detectors::default().detect_text("value", value).sub_type.name()
    }

    #[test]
    fn values_find_their_subtype() {
        let table = [
            ("", "GENERIC"),
            ("hello", "GENERIC"),
            ("12", "INTEGER_32"),
            ("-12", "INTEGER_32"),
            ("2147483648", "INTEGER_64"),
            ("123456789012345678", "INTEGER_64"),
            ("12345678901234567890", "FLOAT"),
            ("1.5", "FLOAT"),
            ("1.5e-3", "FLOAT"),
            ("12e4", "GENERIC"),
            ("1.2.3", "GENERIC"),
            ("-", "GENERIC"),
            (".", "GENERIC"),
            ("4111 1111 1111 1111", "CREDIT_CARD"),
            ("4111111111111111", "CREDIT_CARD"),
            ("a@b.co", "EMAIL"),
            ("https://a.b", "URL"),
            ("123-45-6789", "SSN"),
            ("3f2504e0-4f89-11d3-9a0c-0305e82c3301", "UUID"),
            ("+14155552671", "PHONE_NUMBER"),
            ("8.8.8.8", "IP_ADDRESS"),
            ("08.8.8.8", "GENERIC"),
            ("2a00:1450::200e", "IP_ADDRESS"),
            ("12:30", "GENERIC"),
            ("1HGCM82633A004352", "VIN"),
            (" 1hgcm82633a004352 ", "VIN"),
            ("AKIAIOSFODNN7EXAMPLE", "AWS ACCESS KEY ID"),
            ("https://bucket-one.s3.eu-west-1.amazonaws.com/key", "AWS S3 BUCKET URL"),
            ("https://sqs.us-east-1.amazonaws.com/123456789012/queue", "AWS SQS URL"),
            ("db1.abc.us-east-1.rds.amazonaws.com:5432", "AWS RDS URL"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "JWT"),
        ];
        for (value, expected) in table {
            assert_eq!(text(value), expected, "{value}");
        }
    }

    #[test]
    fn keys_speak_before_values() {
        let detectors = Detectors::default();
        assert_eq!(detectors.detect_text("user_name", "a@b.co").sub_type.name(), "USERNAME");
        assert_eq!(detectors.detect_text("newPassword", "4111111111111111").sub_type.name(), "PASSWORD");
        assert_eq!(detectors.detect_text("pin", "1234").sub_type, SubType::Integer32);
        let all = Detectors::new(PiiType::all());
        assert_eq!(all.detect_text("card-pin", "1234").sub_type.name(), "PIN");
        assert_eq!(all.detect_text("shipping", "fast").sub_type, SubType::Generic);
        assert_eq!(all.detect_text("x", "GB82 WEST 1234 5698 7654 32").sub_type.name(), "IBAN EUROPE");
        assert_eq!(all.detect_text("x", "ABCDE9458J").sub_type.name(), "PAN CARD");
        assert_eq!(all.detect_text("x", "ACDE9458J").sub_type, SubType::Generic);
    }

    #[test]
    fn counters_and_versions_are_no_personal_data() {
        let detectors = Detectors::default();
        let number = |key: &str| detectors.detect_number(key, "4111111111111111").sub_type;
        assert_eq!(number("cardNumber"), SubType::CreditCard);
        assert_eq!(number("timestamp"), SubType::Integer64);
        assert_eq!(number("visitor_id"), SubType::Integer64);
        assert_eq!(detectors.detect_text("sessionId", "4111111111111111").sub_type, SubType::Integer64);
        assert_eq!(detectors.detect_text("osVersion", "10.0.1.1").sub_type, SubType::Generic);
    }

    #[test]
    fn examples_are_reserved() {
        let detectors = Detectors::default();
        for value in ["192.0.2.7", "127.0.0.1", "::1", "2001:db8::1", "a@example.com", "a@x.test"] {
            assert!(detectors.detect_text("v", value).reserved, "{value}");
        }
        for value in ["8.8.8.8", "a@b.co", "192.0.3.1"] {
            assert!(!detectors.detect_text("v", value).reserved, "{value}");
        }
    }

    #[test]
    fn numbers_of_any_length_have_a_subtype() {
        let detectors = Detectors::default();
        for (digits, expected) in [
            ("0", SubType::Integer32),
            ("-2147483649", SubType::Integer64),
            ("1e999", SubType::Float),
            ("1.0", SubType::Float),
        ] {
            assert_eq!(detectors.detect_number("n", digits).sub_type, expected);
        }
        assert_eq!(detectors.detect_number("n", &"9".repeat(100_000)).sub_type, SubType::Float);
    }

    #[test]
    fn an_account_says_where_a_built_in_kind_is_sensitive() {
        let password = PiiType::from_name("PASSWORD").map(SubType::Pii).unwrap();
        let set = [(password, true, Vec::new()), (SubType::Email, false, vec![Position::ResponsePayload])];
        let detectors = Detectors::default().with_sensitivity(set);
        assert!(detectors.is_sensitive_at(password, Position::RequestPayload));
        assert!(!detectors.is_sensitive_at(SubType::Email, Position::RequestPayload));
        assert!(detectors.is_sensitive_at(SubType::Email, Position::ResponsePayload));
        assert!(detectors.is_sensitive_at(SubType::Ssn, Position::RequestPayload));
    }
}
