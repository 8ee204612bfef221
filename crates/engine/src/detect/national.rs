//! National identifiers whose last characters follow from the others, and a few whose grammar alone is rare enough.

mod americas;
mod asia_africa;
mod europe;
mod taxpayers;
mod world;

use std::collections::BTreeSet;

use super::checksum::is_day_and_month;
use super::keys::{self, Compact};
use super::kinds::{CLASSES, DIGIT, KINDS, Kinds, LETTER, UPPER};

pub(super) use americas::*;
pub(super) use asia_africa::*;
pub(super) use europe::*;
pub(super) use taxpayers::*;
pub(super) use world::*;

/// How the identifier of one country is written and checked.
///
/// A mask has the length of the text: `9` stands for a digit, `A` for a capital, `X` for either, anything else for
/// itself.
#[derive(Debug)]
pub(super) struct National {
    /// Forms that nothing else has, so the value alone is enough.
    pub alone: &'static [&'static str],
    /// Forms that many other values have, so the key has to speak of the identifier.
    pub named: &'static [&'static str],
    /// What keys call it, in lower case without separators. One of at most four letters has to be a word of its own.
    pub words: &'static [&'static str],
    /// Over the letters and digits alone; see the sums.
    pub check: fn(&[u32]) -> bool,
    /// What has to hold as well where no key speaks of it: identifiers of which some have no check character.
    pub alone_check: fn(&[u32]) -> bool,
}

/// Whether the key speaks of an identifier of a person, of whatever country.
pub(super) fn names_a_person(key: &str) -> bool {
    let compact = Compact::new(key);
    WORDS.iter().any(|word| keys::compact_speaks_of(key, &compact, word))
}

/// What keys call identifiers, with the letters of each, so that most keys are told by theirs alone.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<(u32, &'static str)>);

impl Names {
    /// The names of some identifiers, and those that every country uses.
    pub fn new<'n>(list: impl Iterator<Item = &'n National>) -> Self {
        let own = list.chain([&US_SSN_DIGITS]).flat_map(|national| national.words);
        let words: BTreeSet<_> = own.chain(WORDS).copied().collect();
        Self(words.into_iter().map(|word| (keys::letters_of(word), word)).collect())
    }

    /// Whether the key, whose letters are given as bits, speaks of any.
    pub fn is_any(&self, key: &str, letters: u32) -> bool {
        let compact = Compact::new(key);
        self.0.iter().any(|(own, word)| letters & own == *own && keys::compact_speaks_of(key, &compact, word))
    }
}

/// Longest form of any.
pub(super) const BYTES_MAX: usize = 24;

/// What keys call the identifier of whatever country.
const WORDS: &[&str] = &[
    "nationalid",
    "nationalidentifier",
    "nationalnumber",
    "nationalinsurance",
    "identitynumber",
    "identitycard",
    "identitydocument",
    "identificationnumber",
    "personalid",
    "personalnumber",
    "personalcode",
    "personidentifier",
    "personid",
    "citizenid",
    "citizennumber",
    "socialsecurity",
    "socialinsurance",
    "governmentid",
    "govid",
    "idnumber",
    "idcard",
    "taxid",
    "taxnumber",
    "taxpayer",
    "taxcode",
    "healthnumber",
    "insurednumber",
    "tin",
    "nin",
    "ssn",
    "govtid",
];

impl National {
    /// How many bytes its forms have.
    pub fn lengths(&self) -> BTreeSet<usize> {
        self.alone.iter().chain(self.named).map(|mask| mask.len()).filter(|bytes| *bytes <= BYTES_MAX).collect()
    }

    /// The kinds of character that its forms of one length hold.
    pub fn kinds_of_length(&self, bytes: usize) -> Kinds {
        let masks = self.alone.iter().chain(self.named).filter(|mask| mask.len() == bytes);
        masks.flat_map(|mask| mask.bytes()).fold(0, |kinds, mask| {
            kinds
                | match mask {
                    b'9' => DIGIT,
                    b'A' => LETTER | UPPER,
                    b'X' => LETTER | UPPER | DIGIT,
                    other => KINDS[usize::from(other)] & CLASSES,
                }
        })
    }

    /// Whether the value, without blanks around it, is one. `is_text` is false for a number of JSON, which is one only
    /// where the key says so; `may_be_named` is false where the key is known to speak of no identifier at all.
    pub fn is_match(&self, key: &str, value: &str, is_text: bool, may_be_named: bool) -> bool {
        if !(6..=BYTES_MAX).contains(&value.len()) {
            return false;
        }
        let fits = |masks: &[&str]| masks.iter().any(|mask| is_of_mask(value, mask));
        let alone = is_text && fits(self.alone);
        if !alone && (!may_be_named || (!fits(self.named) && !fits(self.alone))) {
            return false;
        }
        let (mut places, mut count) = ([0; BYTES_MAX], 0);
        for (place, digit) in places.iter_mut().zip(value.chars().filter_map(|character| character.to_digit(36))) {
            *place = digit;
            count += 1;
        }
        let places = &places[..count];
        (self.check)(places)
            && ((may_be_named && self.is_named(key))
                || (alone && !keys::names_a_thing(key) && (self.alone_check)(places)))
    }

    /// Whether the key speaks of the identifier.
    pub fn is_named(&self, key: &str) -> bool {
        let compact = Compact::new(key);
        self.words.iter().chain(WORDS).any(|word| keys::compact_speaks_of(key, &compact, word))
    }

    /// Whether the key speaks of the identifier by a name of its own.
    pub fn is_own_name(&self, key: &str, compact: &Compact) -> bool {
        self.words.iter().any(|word| keys::compact_speaks_of(key, compact, word))
    }

    /// Whether the key is the name of this identifier and of no other.
    pub fn is_name(&self, compact: &Compact) -> bool {
        self.words.iter().any(|word| word.len() > 3 && compact.is_name(word))
    }
}

fn is_of_mask(value: &str, mask: &str) -> bool {
    value.len() == mask.len()
        && value.bytes().zip(mask.bytes()).all(|(byte, mask)| match mask {
            b'9' => byte.is_ascii_digit(),
            b'A' => byte.is_ascii_uppercase(),
            b'X' => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            other => byte == other,
        })
}

const fn of(
    alone: &'static [&'static str],
    named: &'static [&'static str],
    words: &'static [&'static str],
    check: fn(&[u32]) -> bool,
) -> National {
    National { alone, named, words, check, alone_check: |_| true }
}

/// Whether the digits of a date of birth, years before months before days, may be one.
fn is_ymd(date: &[u32]) -> bool {
    is_day_and_month(&date[4..6], &date[2..4])
}

fn is_dmy(date: &[u32]) -> bool {
    is_day_and_month(&date[..2], &date[2..4])
}

fn is_same(places: &[u32]) -> bool {
    places.iter().all(|place| *place == places[0])
}

fn letter(place: u32) -> u8 {
    char::from_digit(place, 36).map_or(0, |letter| letter.to_ascii_uppercase() as u8)
}

/// The states and territories of the United States, as letters carry them.
const STATES: [&str; 57] = [
    "AL", "AK", "AZ", "AR", "CA", "CO", "CT", "DE", "DC", "FL", "GA", "HI", "ID", "IL", "IN", "IA", "KS", "KY", "LA",
    "ME", "MD", "MA", "MI", "MN", "MS", "MO", "MT", "NE", "NV", "NH", "NJ", "NM", "NY", "NC", "ND", "OH", "OK", "OR",
    "PA", "RI", "SC", "SD", "TN", "TX", "UT", "VT", "VA", "WA", "WV", "WI", "WY", "AS", "GU", "MP", "PR", "VI", "UM",
];

/// Whether the word before the last names a state.
pub(super) fn names_a_state(value: &str) -> bool {
    let state = value.split_whitespace().rev().nth(1).map(|word| word.trim_end_matches(','));
    state.is_some_and(|state| STATES.iter().any(|known| known.eq_ignore_ascii_case(state)))
}
