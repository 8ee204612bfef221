//! Detectors: from a key and a value to a [`SubType`].
//!
//! One pass over the bytes of a value says which kinds of character it holds; a detector runs only when those fit it,
//! so most values meet no detector at all. Every pattern runs in time linear in the value.

mod checks;
mod checksum;
mod custom;
mod custom_type;
mod facts;
mod keys;
mod kinds;
mod national;
mod pattern;
mod personal;
mod phone;
mod pii;
mod rules;
mod secrets;
mod subtype;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

pub(crate) use checks::is_email;
use checks::{is_bracketed_phone_number, is_national_phone_number, is_reserved_phone_number};
pub use checks::{is_credit_card, is_iban, is_jwt, is_phone_number, is_ssn, is_url, is_uuid, is_vin, jwt_payload};
pub use custom::{Conditions, CustomRule, PATTERN_CHARACTERS_MAX, Predicate};
pub use custom_type::CustomType;
pub use keys::letters_of;
pub use pattern::Pattern;
pub use pii::PiiType;
pub use subtype::{Position, REQUEST, SubType, SuperType};

use crate::credential_names::names_a_credential;
use facts::{Facts, Owner};
use keys::Compact;
use kinds::{AT, CLASSES, COLON, DASH, DIGIT, DOT, Kinds, LETTER, PLUS, SIGN, SLASH, SPACE, UPPER, WIDE, kinds_of};
use national::National;
use pii::Rule;
use rules::{KeyRule, PairRule, Test, ValueRules};

/// A value longer than this is no single datum; its text stays [`SubType::Generic`] unless it is a JWT.
const VALUE_BYTES_MAX: usize = 4096;

/// The detectors that are switched on. Build once and share.
#[derive(Debug)]
pub struct Detectors {
    /// Kinds of an account, in the order in which they are tried.
    custom: Vec<Arc<CustomRule>>,
    /// Built-in kinds that the account has switched off: they are still told apart, but nothing is sensitive for them.
    muted: HashSet<SubType>,
    /// Built-in kinds whose values the account does not keep.
    redacted: HashSet<SubType>,
    /// Built-in kinds whose sensitivity an account has set: always, or at some positions.
    sensitivity: HashMap<SubType, (bool, Vec<Position>)>,
    keys: Vec<(KeyRule, SubType)>,
    values: ValueRules,
    /// Identifiers of countries.
    national: Vec<(&'static National, SubType)>,
    /// What keys call them.
    identifiers: national::Names,
    /// The same by a length of their texts, since most values have the length of few.
    national_by_bytes: Vec<OfLength>,
    pairs: Vec<(PairRule, SubType)>,
    tests: Vec<ValueTest>,
    /// What session cookies are called where they are looked for.
    session_cookie: Option<SubType>,
    /// Whose facts are those of the keys.
    owner: Owner,
    /// Whether IBANs are looked for, and what they are called.
    iban: Option<SubType>,
}

/// Identifiers of countries whose texts have one length.
#[derive(Clone, Debug, Default)]
struct OfLength {
    /// The kinds of character that any of their texts holds.
    kinds: Kinds,
    /// Each with the kinds that its own texts hold.
    list: Vec<(Kinds, &'static National, SubType)>,
}

/// A test of values that hold all of some kinds of character.
#[derive(Debug)]
struct ValueTest {
    kinds: Kinds,
    test: Test,
    sub_type: SubType,
}

/// What a value was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detected {
    /// What the value is.
    pub sub_type: SubType,
    /// The value is one that documents use as an example or that names the own machine, so it gives nothing away.
    pub reserved: bool,
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
            values: ValueRules::default(),
            national: Vec::new(),
            identifiers: national::Names::default(),
            national_by_bytes: vec![OfLength::default(); national::BYTES_MAX + 1],
            pairs: Vec::new(),
            tests: Vec::new(),
            session_cookie: None,
            owner: Owner::new(),
            iban: None,
        };
        for pii in active {
            let sub_type = SubType::Pii(pii);
            match pii.rule() {
                Rule::KeyContains(text) => detectors.keys.push((KeyRule::containing(text), sub_type)),
                Rule::KeyWord(text) => detectors.keys.push((KeyRule::word(text), sub_type)),
                Rule::Key(test) => detectors.keys.push((KeyRule::Test(test), sub_type)),
                Rule::Pair(key, value) => detectors.pairs.push((PairRule { key, value }, sub_type)),
                Rule::Test(part, test) => {
                    // A scheme may be in any case; its letters count, not their case.
                    let kinds = kinds_of(part) & !UPPER;
                    detectors.tests.push(ValueTest { kinds, test, sub_type });
                    if pii.name() == "SESSION COOKIE" {
                        detectors.session_cookie = Some(sub_type);
                    }
                }
                Rule::National(national) => {
                    detectors.national.push((national, sub_type));
                    for bytes in national.lengths() {
                        let of_length = &mut detectors.national_by_bytes[bytes];
                        let kinds = national.kinds_of_length(bytes);
                        of_length.kinds |= kinds;
                        of_length.list.push((kinds, national, sub_type));
                    }
                }
                Rule::Value(..) | Rule::Checked(..) => detectors.values.add(pii),
                Rule::Iban => detectors.iban = Some(sub_type),
            }
        }
        detectors.identifiers = national::Names::new(detectors.national.iter().map(|(national, _)| *national));
        detectors
    }

    /// Adds the kinds that an account has defined, sensitive ones first, and those that it has switched off. The order
    /// of the rules does not matter.
    #[must_use]
    pub fn with_custom(mut self, mut rules: Vec<Arc<CustomRule>>, muted: impl IntoIterator<Item = SubType>) -> Self {
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

    /// Whether values of a kind are never kept: secrets, and what the account redacts.
    pub fn is_redacted(&self, sub_type: SubType) -> bool {
        match sub_type {
            SubType::Jwt => true,
            SubType::Pii(pii) if pii.is_secret() => true,
            SubType::Custom(custom) => self.custom.iter().any(|rule| rule.custom == custom && rule.redacted),
            _ => self.redacted.contains(&sub_type),
        }
    }

    fn detect_custom(&self, key: &str, value: &str) -> Option<SubType> {
        self.custom.iter().find(|rule| rule.is_match(key, value)).map(|rule| rule.sub_type())
    }

    /// Detects a text under the last named key of its path; the key is empty where there is none.
    pub fn detect_text(&self, key: &str, value: &str) -> Detected {
        self.detect_under(key, self.facts(key), value)
    }

    /// As [`Self::detect_text`], with whether the key is that of a credential.
    pub(crate) fn detect_member(&self, key: &str, value: &str) -> (Detected, bool) {
        let facts = self.facts(key);
        (self.detect_under(key, facts, value), facts.is_credential)
    }

    /// Detects the value of a header, and says whether the header is a credential.
    pub(crate) fn detect_header(&self, name: &str, value: &str) -> (Detected, bool) {
        let facts = self.facts(name);
        match facts.is_credential {
            true => (found(self.detect_credential(name, value)), true),
            false => (self.detect_under(name, facts, value), false),
        }
    }

    fn detect_under(&self, key: &str, facts: Facts, value: &str) -> Detected {
        if value.is_empty() {
            return found(SubType::Generic);
        }
        if let Some(sub_type) = self.detect_custom(key, value) {
            return found(sub_type);
        }
        if let Some(sub_type) = facts.kind {
            return Detected { sub_type, reserved: is_proof(sub_type) && secrets::is_placeholder(value) };
        }
        if value.len() > VALUE_BYTES_MAX {
            let key = || {
                self.detect_pii_value(key, facts, value, kinds_of(value)).filter(|_| value.len() <= SECRET_BYTES_MAX)
            };
            return found(if is_jwt(value) { SubType::Jwt } else { key().unwrap_or(SubType::Generic) });
        }
        let kinds = kinds_of(value);
        if let Some(sub_type) = self.detect_pii_value(key, facts, value, kinds) {
            return found(sub_type);
        }
        detect_built_in(key, facts, value, kinds)
    }

    /// Detects a JSON number as written.
    pub fn detect_number(&self, key: &str, digits: &str) -> Detected {
        let facts = self.facts(key);
        if let Some(sub_type) = self.detect_custom(key, digits).or(facts.kind) {
            return found(sub_type);
        }
        let kinds = kinds_of(digits);
        let known = self.values.find(digits, kinds).or_else(|| self.detect_national(key, facts, digits, kinds, false));
        if let Some(sub_type) = known {
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
        let custom = self.custom.iter().find(|rule| rule.is_key_match(key)).map(|rule| rule.sub_type());
        let by_name = || {
            let compact = Compact::new(key);
            let national = self.national.iter().find(|(national, _)| national.is_name(&compact));
            let pair = || self.pairs.iter().find(|(pair, _)| (pair.key)(key));
            let iban = || self.iban.filter(|_| compact.is_name("iban"));
            national.map(|(_, found)| *found).or_else(|| pair().map(|(_, found)| *found)).or_else(iban)
        };
        custom.or_else(|| self.facts(key).kind).or_else(by_name)
    }

    /// What the value of a header or a cookie is that proves who makes the call. Such values are never kept.
    fn detect_credential(&self, name: &str, value: &str) -> SubType {
        let is_session = || match name.eq_ignore_ascii_case("cookie") {
            true => value.split(';').filter_map(|pair| pair.split_once('=')).any(|(name, value)| {
                keys::names_a_session(name.trim()) && value.len() >= 8 && !secrets::is_placeholder(value)
            }),
            false => name.eq_ignore_ascii_case("set-cookie") && secrets::is_session_cookie(value),
        };
        let found = self.detect_by_test(value, kinds_of(value));
        found.or_else(|| self.session_cookie.filter(|_| is_session())).unwrap_or(SubType::Generic)
    }

    fn detect_by_test(&self, value: &str, kinds: Kinds) -> Option<SubType> {
        let fits = |test: &&ValueTest| kinds & test.kinds == test.kinds && (test.test)(value);
        self.tests.iter().find(fits).map(|test| test.sub_type)
    }

    fn facts(&self, key: &str) -> Facts {
        self.owner.facts(key, || {
            let letters = letters_of(key);
            let pairs = self.pairs.iter().take(8).enumerate();
            Facts {
                kind: self.keys.iter().find(|(rule, _)| rule.is_match(key, letters)).map(|(_, sub_type)| *sub_type),
                pairs: pairs.fold(0, |bits, (at, (pair, _))| bits | u8::from((pair.key)(key)) << at),
                speaks_of_iban: keys::speaks_of(key, "iban"),
                names_a_phone: keys::names_a_phone(key),
                names_an_identifier: self.identifiers.is_any(key, letters),
                is_credential: names_a_credential(key),
            }
        })
    }

    fn detect_pii_value(&self, key: &str, facts: Facts, value: &str, kinds: Kinds) -> Option<SubType> {
        if let Some(sub_type) = self.iban
            && kinds & (LETTER | DIGIT) == LETTER | DIGIT
            && (is_iban(value) || (facts.speaks_of_iban && is_iban(&value.to_ascii_uppercase())))
        {
            return Some(sub_type);
        }
        let by_value = self.values.find(value, kinds).or_else(|| self.detect_national(key, facts, value, kinds, true));
        if by_value.is_some() || value.len() < SECRET_BYTES_MIN || kinds & (LETTER | WIDE) == 0 {
            return by_value;
        }
        let fits = |at: usize| at >= 8 || facts.pairs >> at & 1 == 1;
        let by_pair = || self.pairs.iter().enumerate().find(|(at, (pair, _))| fits(*at) && pair.is_match(key, value));
        self.detect_by_test(value, kinds).or_else(|| by_pair().map(|(_, (_, found))| *found))
    }

    fn detect_national(&self, key: &str, facts: Facts, value: &str, kinds: Kinds, is_text: bool) -> Option<SubType> {
        if !(6..=24).contains(&value.len()) || kinds & DIGIT == 0 {
            return None;
        }
        if facts.names_an_identifier && names_ssn(key, value) {
            return Some(SubType::Ssn);
        }
        // Only its key makes a number of JSON an identifier.
        if !is_text && !facts.names_an_identifier {
            return None;
        }
        // Blanks around the value do not count, and are of the kinds of blanks and signs, or wide.
        let around = SPACE | SIGN | WIDE;
        let trimmed = if kinds & around == 0 { value } else { value.trim() };
        let of_length = self.national_by_bytes.get(trimmed.len())?;
        let blanks = if trimmed.len() == value.len() { 0 } else { around };
        let holds_only = |allowed: Kinds| kinds & CLASSES & !(allowed | blanks) == 0;
        if !holds_only(of_length.kinds) {
            return None;
        }
        let value = trimmed;
        let known = || {
            let fitting = of_length.list.iter().filter(|(kinds, ..)| holds_only(*kinds));
            fitting.filter(|(_, national, _)| national.is_match(key, value, is_text, facts.names_an_identifier))
        };
        // A number may be one of several countries; the one that the key names is it.
        let is_named = |national: &National| {
            let compact = Compact::new(key);
            national.is_name(&compact) || national.is_own_name(key, &compact)
        };
        let named = known().find(|(_, national, _)| is_named(national));
        named.or_else(|| known().next()).map(|(.., sub_type)| *sub_type)
    }
}

/// Whether a value is a key that a machine made, where its name says no more than that it is a key.
pub(crate) fn is_random_key(value: &str) -> bool {
    secrets::is_random_key(value)
}

/// Kinds that a key alone tells and under which templates and masks stand as well.
fn is_proof(sub_type: SubType) -> bool {
    ["PASSWORD", "SECRET", "TOKEN", "PIN", "AUTH", "ENCRYPT", "SESSIONID", "ONE-TIME CODE"].contains(&sub_type.name())
}

/// A shorter value is no secret that is told by its grammar or by a key.
const SECRET_BYTES_MIN: usize = 4;

/// A longer value is not looked at as a secret.
const SECRET_BYTES_MAX: usize = 64 * 1024;

fn found(sub_type: SubType) -> Detected {
    Detected { sub_type, reserved: false }
}

fn detect_built_in(key: &str, facts: Facts, value: &str, kinds: Kinds) -> Detected {
    let has = |kind: Kinds| kinds & kind != 0;
    if has(DIGIT) && !has(LETTER | AT | COLON | SLASH | SIGN | WIDE) {
        // Undivided digits are a card only under a key that does not speak of an identifier or a time.
        if !has(DOT | PLUS) && is_credit_card(value) && (has(SPACE | DASH) || !keys::names_a_counter(key)) {
            return found(SubType::CreditCard);
        }
        if facts.names_a_phone && is_national_phone_number(value) {
            return Detected { sub_type: SubType::PhoneNumber, reserved: is_reserved_phone_number(value) };
        }
        if let Some(sub_type) = number(value) {
            return found(sub_type);
        }
        if has(DASH) && is_ssn(value) && (!keys::names_a_thing(key) || national::names_a_person(key)) {
            return found(SubType::Ssn);
        }
    } else if let Some(sub_type) = exponent(value) {
        return found(sub_type);
    }
    if has(AT)
        && let Some(address) = checks::email_of(value)
    {
        return Detected { sub_type: SubType::Email, reserved: checks::is_reserved_email(address) };
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
    if !has(LETTER | AT | COLON | WIDE)
        && has(DIGIT)
        && ((has(PLUS) && is_phone_number(value))
            || is_bracketed_phone_number(value)
            || (facts.names_a_phone && is_national_phone_number(value)))
    {
        return Detected { sub_type: SubType::PhoneNumber, reserved: is_reserved_phone_number(value) };
    }
    if has(DOT | COLON)
        && value.len() <= 45
        && !has(AT | SLASH | DASH | SPACE | WIDE)
        && let Ok(address) = value.parse::<IpAddr>()
        && !(address.is_ipv4() && (keys::names_a_version(key) || is_mask(address)))
    {
        return Detected { sub_type: SubType::IpAddress, reserved: is_reserved_address(address) };
    }
    // Bytes around the seventeen are blanks at most.
    if value.len() >= 17
        && has(DIGIT)
        && has(LETTER)
        && (is_vin(value.trim()) || (checks::is_european_vin(value.trim()) && keys::speaks_of(key, "vin")))
    {
        return found(SubType::Vin);
    }
    found(SubType::Generic)
}

/// Whether the key speaks of a social security number, and the digits may be one without its dashes.
fn names_ssn(key: &str, value: &str) -> bool {
    matches!(value.len(), 9 | 11)
        && national::US_SSN_DIGITS.is_own_name(key, &Compact::new(key))
        && national::US_SSN_DIGITS.is_match(key, value.trim(), false, true)
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

/// Addresses that leave bits open from the right, as the masks of networks do.
fn is_mask(address: IpAddr) -> bool {
    let IpAddr::V4(address) = address else { return false };
    let bits = address.to_bits();
    bits != u32::MAX && bits.leading_ones() >= 8 && bits.leading_ones() == bits.count_ones()
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
mod tests;
