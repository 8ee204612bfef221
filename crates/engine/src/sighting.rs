use std::cmp::Ordering;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::detect::Detected;
use crate::{Detectors, Position, REQUEST, SubType, memory};

/// Parameters tracked of one part of a message (header, URL, query or body); of more, the ones with the smallest names
/// are.
pub const PARAMETERS_MAX: usize = 1000;

/// Bytes of a parameter's name that are kept.
pub const NAME_BYTES_MAX: usize = 512;

/// Bytes of a value that are kept, cut at a character.
pub const VALUE_BYTES_MAX: usize = 256;

/// Distinct values of one parameter that are kept. A parameter that shows as many is no enumeration.
pub const VALUES_MAX: usize = 50;

/// Sightings that may gather before duplicates are taken out, so that a long array does not fill the memory.
const GATHERED_MAX: usize = 4096;

/// Sightings that are sorted without an allocation; most records show fewer.
const FEW: usize = 64;

/// Leaves of a body that are remembered.
const LEAVES: usize = 64;

const NO_LEAVES: [Leaf; LEAVES] = [Leaf { at: u32::MAX, kind: 0 }; LEAVES];

/// One parameter with one of its subtypes, within an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParameterKey {
    /// -1 for the request, else the status of the response.
    pub response_code: i32,
    /// It is a header.
    pub is_header: bool,
    /// It is a variable segment of the path.
    pub is_url_param: bool,
    /// It is a member of the query.
    pub is_query_param: bool,
    /// Header or query name; body leaf joined by `#` with `$` for an array level; the 0-based segment of a URL parameter.
    pub name: CompactString,
    /// What its values are: one name with values of two types counts twice.
    pub sub_type: SubType,
}

impl ParameterKey {
    /// The part of a message it stands in. The order of keys keeps each part together.
    pub(crate) fn part(&self) -> (i32, bool, bool, bool) {
        (self.response_code, self.is_header, self.is_url_param, self.is_query_param)
    }
}

/// One parameter with one value, as one record shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    /// Which parameter it is.
    pub key: ParameterKey,
    /// At most [`VALUE_BYTES_MAX`] bytes. Nothing for null, for a declaration without example, and for credentials.
    pub value: Option<CompactString>,
    /// The integer part of a number, at the nearest end of the range if it lies outside.
    pub number: Option<i64>,
    /// The value is sensitive where it stands.
    pub sensitive: bool,
    /// The same record showed the same parameter before, so it counts no further.
    pub repeats: bool,
}

/// Where the parameters of one message part stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the part of a call of its name")]
pub enum Place {
    Header,
    Url,
    Query,
    Body,
}

const EMPTY: Sighting = Sighting {
    key: ParameterKey {
        response_code: 0,
        is_header: false,
        is_url_param: false,
        is_query_param: false,
        name: CompactString::const_new(""),
        sub_type: SubType::Null,
    },
    value: None,
    number: None,
    sensitive: false,
    repeats: false,
};

/// Gathers the sightings of one record.
pub struct Sightings<'d> {
    /// What values are recognized by.
    pub detectors: &'d Detectors,
    list: Vec<Sighting>,
    /// Where in the list the part begins that may yet be taken back.
    start: usize,
    /// Length of that part at which it is settled.
    gathered_max: usize,
    /// For a digest of a body's leaf, where the last leaf of that digest stands.
    leaves: [Leaf; LEAVES],
    /// A leaf was left out as it had stood there before.
    has_repeats: bool,
}

impl<'d> Sightings<'d> {
    /// Nothing seen yet.
    pub fn new(detectors: &'d Detectors) -> Self {
        Self {
            detectors,
            list: Vec::with_capacity(48),
            start: 0,
            gathered_max: GATHERED_MAX,
            leaves: NO_LEAVES,
            has_repeats: false,
        }
    }

    /// Runs a reader and keeps what it adds only if it succeeds.
    pub fn attempt(&mut self, read: impl FnOnce(&mut Self) -> bool) -> bool {
        let start = std::mem::replace(&mut self.start, self.list.len());
        let had_repeats = self.has_repeats;
        let is_read = read(self);
        if !is_read {
            self.list.truncate(self.start);
            self.leaves = NO_LEAVES;
            self.has_repeats = had_repeats;
        }
        self.start = start;
        is_read
    }

    /// Adds a parameter with the value found. The text is the value as written; `is_secret` keeps it out.
    pub fn add(&mut self, code: i32, place: Place, name: &str, found: Detected, text: Option<&str>, is_secret: bool) {
        let is_header = place == Place::Header;
        let Detected { sub_type, reserved } = found;
        let number = text.filter(|_| sub_type.is_numeric()).and_then(integer_part);
        let is_secret = is_secret || self.detectors.is_redacted(sub_type);
        let value = text.filter(|_| !is_secret).map(kept_value);
        let sensitive = !reserved && self.detectors.is_sensitive_at(sub_type, Position::of(code, is_header));
        // Field by field: a whole sighting would be built elsewhere and copied, which takes longer than all else here.
        let sighting = self.list.push_mut(EMPTY);
        sighting.key.response_code = code;
        sighting.key.is_header = is_header;
        sighting.key.is_url_param = place == Place::Url;
        sighting.key.is_query_param = place == Place::Query;
        sighting.key.name = name.into();
        sighting.key.sub_type = sub_type;
        sighting.value = value;
        sighting.number = number;
        sighting.sensitive = sensitive;
        if self.list.len() - self.start >= self.gathered_max {
            let mut part = self.list.split_off(self.start);
            settle(&mut part);
            self.gathered_max = GATHERED_MAX + part.len() * 2;
            self.list.append(&mut part);
            self.leaves = NO_LEAVES;
        }
    }

    /// Whether the leaf of a body that would be added next says nothing new: lists repeat their values, and finding one
    /// again is cheaper than detecting it again. `key` is where in the name the last key stands.
    pub fn repeats_leaf(&mut self, code: i32, name: &str, key: (usize, usize), is_number: bool, text: &str) -> bool {
        // A longer value is not kept as a whole. Names are far shorter than what half of `kind` can count.
        if text.len() > VALUE_BYTES_MAX || key.1 >= 1 << 15 {
            return false;
        }
        let kind = (key.0 as u32) << 16 | (key.1 as u32) << 1 | u32::from(is_number);
        let leaf = &mut self.leaves[leaf_digest(name, text)];
        let known = self.list.get(leaf.at as usize).filter(|_| leaf.kind == kind && leaf.at as usize >= self.start);
        let is_known = known.is_some_and(|known| {
            known.key.name == name
                && known.value.as_deref() == Some(text)
                && known.key.part() == (code, false, false, false)
        });
        *leaf = if is_known { *leaf } else { Leaf { at: self.list.len() as u32, kind } };
        self.has_repeats |= is_known;
        is_known
    }

    /// Detects a text by its last key and adds it.
    pub fn add_text(&mut self, code: i32, place: Place, name: &str, key: &str, text: &str) {
        let found = self.detectors.detect_text(key, text);
        self.add(code, place, name, found, Some(text), false);
    }

    /// The sightings, each parameter counting once.
    pub fn finish(mut self) -> Vec<Sighting> {
        if settle_few(&mut self.list) {
            return self.list;
        }
        let has_repeats = self.has_repeats;
        settle_if(&mut self.list, |list, order| {
            has_repeats || list.len() > PARAMETERS_MAX || has_repeated_key(list, order)
        });
        self.list
    }
}

/// A leaf of a body: its place in the list, and what beside name and value decides its subtype.
#[derive(Clone, Copy)]
struct Leaf {
    at: u32,
    kind: u32,
}

/// The name a key gets in a path: keys without any letter are places in a map, so they are one parameter.
pub fn normal_key(key: &str) -> std::borrow::Cow<'_, str> {
    let has_letter =
        |key: &str| key.bytes().any(|byte| byte.is_ascii_alphabetic()) || key.chars().any(char::is_alphabetic);
    if !has_letter(key) {
        return "NUMBER".into();
    }
    without_nul(key)
}

/// PostgreSQL's text holds no NUL.
pub fn without_nul(text: &str) -> std::borrow::Cow<'_, str> {
    if memchr::memchr(0, text.as_bytes()).is_some() { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

/// The longest prefix of at most `bytes_max` bytes.
pub fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

fn kept_value(text: &str) -> CompactString {
    let text = if text.len() <= VALUE_BYTES_MAX { text } else { cut(text, VALUE_BYTES_MAX) };
    CompactString::new(without_nul(text))
}

fn integer_part(text: &str) -> Option<i64> {
    // Few texts have blanks around them.
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let text = text.trim();
    // Beyond 64 bits, the conversion of a float ends at the nearest end of the range.
    text.parse().ok().or_else(|| text.parse::<f64>().ok().filter(|number| !number.is_nan()).map(|number| number as i64))
}

/// Sorts, takes out duplicate values, marks repeated parameters, and applies the limits. Doing it in the middle of a
/// record changes nothing in the end: what one pass drops, a later one would drop as well.
fn settle(list: &mut Vec<Sighting>) {
    settle_if(list, |_, _| true);
}

/// As [`settle`], without a change of the order, for as many sightings as most records show; false when there are more.
fn settle_few(list: &mut Vec<Sighting>) -> bool {
    const PLACES: usize = 4 * FEW;
    const NONE: u8 = u8::MAX;
    if list.len() > FEW {
        return false;
    }
    // By a digest of the key the first sighting of it, and by a sighting the next of its key and how many they are.
    let (mut places, mut nexts, mut counts) = ([NONE; PLACES], [NONE; FEW], [0_u8; FEW]);
    let (mut dropped, mut sensitive) = (0_u64, 0_u64);
    for at in 0..list.len() {
        let mut place = key_digest(&list[at].key) % PLACES;
        let first = loop {
            match places[place] {
                NONE => {
                    places[place] = at as u8;
                    break at;
                }
                known if list[usize::from(known)].key == list[at].key => break usize::from(known),
                _ => place = (place + 1) % PLACES,
            }
        };
        sensitive |= u64::from(list[at].sensitive) << first;
        if first == at {
            continue;
        }
        counts[first] += 1;
        if usize::from(counts[first]) >= VALUES_MAX {
            return false;
        }
        let mut last = first;
        loop {
            let (known, new) = (&list[last], &list[at]);
            if known.value == new.value && known.number == new.number {
                dropped |= 1 << at;
                break;
            }
            match nexts[last] {
                NONE => {
                    nexts[last] = at as u8;
                    break;
                }
                next => last = usize::from(next),
            }
        }
    }
    let count = list.len();
    for first in 0..count {
        let mut at = first;
        while nexts[at] != NONE {
            // A chain is met at its first sighting before it is met at others.
            let next = usize::from(std::mem::replace(&mut nexts[at], NONE));
            list[next].repeats = true;
            list[next].sensitive |= sensitive >> first & 1 == 1;
            at = next;
        }
        if at != first || counts[first] > 0 {
            list[first].sensitive |= sensitive >> first & 1 == 1;
        }
    }
    if dropped != 0 {
        let mut at = 0;
        list.retain(|_| {
            at += 1;
            dropped >> (at - 1) & 1 == 0
        });
    }
    true
}

/// A digest of where a parameter stands and what it is called.
fn key_digest(key: &ParameterKey) -> usize {
    let part = u64::from(key.response_code.cast_unsigned()) << 8 | (key.name.len() as u64) << 3;
    let place = u64::from(key.is_header) << 2 | u64::from(key.is_url_param) << 1 | u64::from(key.is_query_param);
    memory::digest(part ^ place, memory::ends(key.name.as_bytes()))
}

/// Settles the list if the condition, which sees the sorted order, holds; else leaves it as it is.
fn settle_if(list: &mut Vec<Sighting>, condition: impl FnOnce(&[Sighting], &[Ranked]) -> bool) {
    let (mut few, mut many) = ([Ranked { rank: 0, at: 0 }; FEW], Vec::new());
    let order = match few.get_mut(..list.len()) {
        Some(few) => few,
        None => {
            many.resize(list.len(), Ranked { rank: 0, at: 0 });
            &mut many[..]
        }
    };
    for (at, (ranked, sighting)) in order.iter_mut().zip(&*list).enumerate() {
        *ranked = Ranked { rank: rank(&sighting.key), at };
    }
    order.sort_unstable_by(|left, right| {
        left.rank.cmp(&right.rank).then_with(|| compare(&list[left.at], &list[right.at]))
    });
    if !condition(list, order) {
        return;
    }
    for at in 0..list.len() {
        // What stood at a place before this one has been swapped to where that one's sighting came from.
        let mut from = order[at].at;
        while from < at {
            from = order[from].at;
        }
        order[at].at = from;
        list.swap(at, from);
    }
    list.dedup_by(|next, kept| {
        let same = next.key == kept.key && next.value == kept.value && next.number == kept.number;
        if same {
            kept.sensitive |= next.sensitive;
        }
        same
    });
    mark_repeats(list);
    let is_over = |run: &[Sighting]| run.len() > VALUES_MAX;
    if list.len() > PARAMETERS_MAX || list.chunk_by(|left, right| left.key == right.key).any(is_over) {
        limit(list);
    }
}

/// The place of a leaf among those that are remembered.
fn leaf_digest(name: &str, text: &str) -> usize {
    let last = |text: &str| {
        let tail = text.as_bytes().last_chunk::<4>().copied();
        tail.map_or_else(|| text.bytes().fold(0, |sum, byte| sum << 8 | u32::from(byte)), u32::from_le_bytes)
    };
    let mixed = last(name).wrapping_mul(0x9e37_79b9) ^ last(text).wrapping_add(text.len() as u32 + name.len() as u32);
    mixed.wrapping_mul(0x85eb_ca6b) as usize >> 26 & (LEAVES - 1)
}

/// A sighting by its place in the list, with the beginning of its key as a number that sorts as the key does.
#[derive(Clone, Copy)]
struct Ranked {
    rank: u128,
    at: usize,
}

fn rank(key: &ParameterKey) -> u128 {
    /// Bytes of the name that the number has room for, behind 32 bits of the code and 3 of the place.
    const NAME_BYTES: usize = 11;
    let code = key.response_code.cast_unsigned() ^ 1 << 31;
    let place = u32::from(key.is_header) << 2 | u32::from(key.is_url_param) << 1 | u32::from(key.is_query_param);
    let mut name = [0; 16];
    let bytes = key.name.len().min(NAME_BYTES);
    name[16 - NAME_BYTES..][..bytes].copy_from_slice(&key.name.as_bytes()[..bytes]);
    u128::from(code) << 96 | u128::from(place) << 88 | u128::from_be_bytes(name)
}

fn compare(left: &Sighting, right: &Sighting) -> Ordering {
    (&left.key, &left.value, left.number).cmp(&(&right.key, &right.value, right.number))
}

fn has_repeated_key(list: &[Sighting], order: &[Ranked]) -> bool {
    order.windows(2).any(|pair| pair[0].rank == pair[1].rank && list[pair[0].at].key == list[pair[1].at].key)
}

/// Marks all but the first of each parameter in a sorted list, and makes each as sensitive as any of them.
fn mark_repeats(list: &mut [Sighting]) {
    for group in list.chunk_by_mut(|left, right| left.key == right.key) {
        let sensitive = group.iter().any(|sighting| sighting.sensitive);
        for (index, sighting) in group.iter_mut().enumerate() {
            sighting.repeats = index > 0;
            sighting.sensitive = sensitive;
        }
    }
}

/// Applies the limits to a sorted list.
fn limit(list: &mut Vec<Sighting>) {
    let mut kept: Vec<Sighting> = Vec::with_capacity(list.len());
    let mut part = None;
    let mut names = 0;
    for group in list.chunk_by(|left, right| left.key == right.key) {
        let this_part = group[0].key.part();
        if part != Some(this_part) {
            part = Some(this_part);
            names = 0;
        }
        names += 1;
        if names > PARAMETERS_MAX {
            continue;
        }
        let least = group.iter().min_by_key(|sighting| sighting.number);
        let most = group.iter().max_by_key(|sighting| sighting.number);
        let ends = [least, most].into_iter().flatten().filter(|sighting| sighting.number.is_some());
        // Beyond the limit the values are dropped anyway, but not the range of the numbers.
        let rest = ends.filter(|_| group.len() > VALUES_MAX);
        let rest = rest.map(|sighting| Sighting { repeats: true, ..sighting.clone() });
        kept.extend(group.iter().take(VALUES_MAX).cloned().chain(rest));
    }
    *list = kept;
}

/// Whether the sighting belongs to the names by which calls are compared.
pub fn is_compared(key: &ParameterKey) -> bool {
    !key.is_header && !key.is_url_param
}

/// Adds the names of the parameters that calls are compared by.
pub fn compared_names<'k>(keys: impl Iterator<Item = &'k ParameterKey>, names: &mut crate::template::BodyNames) {
    for key in keys.filter(|key| is_compared(key)) {
        match key.response_code {
            REQUEST => names.add_request(&key.name),
            code => names.add_response(code, &key.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_without_letters_are_one() {
        for (key, expected) in
            [("12", "NUMBER"), ("_", "NUMBER"), ("", "NUMBER"), ("a1", "a1"), ("日本", "日本"), ("a\0", "a\u{fffd}")]
        {
            assert_eq!(normal_key(key), expected);
        }
    }

    #[test]
    fn values_are_cut_at_a_character() {
        assert_eq!(kept_value(&"é".repeat(200)).len(), VALUE_BYTES_MAX);
        assert_eq!(kept_value(&format!("a{}", "é".repeat(200))).len(), VALUE_BYTES_MAX - 1);
    }

    #[test]
    fn numbers_outside_the_range_end_at_it() {
        assert_eq!(integer_part("1e999"), Some(i64::MAX));
        assert_eq!(integer_part("-99999999999999999999"), Some(i64::MIN));
        assert_eq!(integer_part("-1.9"), Some(-1));
        assert_eq!(integer_part("x"), None);
    }

    #[test]
    fn a_long_array_keeps_its_range_and_counts_once() {
        let detectors = Detectors::default();
        let mut sightings = Sightings::new(&detectors);
        for number in (0..20_000).rev() {
            sightings.add_text(200, Place::Body, "a#$", "a", &number.to_string());
        }
        let list = sightings.finish();
        assert_eq!(list.iter().filter(|sighting| !sighting.repeats).count(), 1);
        assert_eq!(list.iter().map(|sighting| sighting.number).min(), Some(Some(0)));
        assert_eq!(list.iter().map(|sighting| sighting.number).max(), Some(Some(19_999)));
        let values: std::collections::BTreeSet<_> = list.iter().map(|sighting| &sighting.value).collect();
        assert!(values.len() >= VALUES_MAX && list.len() <= VALUES_MAX + 2);
    }

    #[test]
    fn few_sightings_settle_as_many_do() {
        let detectors = Detectors::default();
        let mut seed = 7_u64;
        let mut next = |bound: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % bound
        };
        for round in 0..300 {
            let mut sightings = Sightings::new(&detectors);
            let names = 1 + next(20);
            for _ in 0..next(80) {
                let (name, value) = (format!("name{}", next(names)), format!("{}", next(1 + round)));
                let value = if next(9) == 0 { format!("jane{value}@mail.org") } else { value };
                let place = [Place::Body, Place::Query, Place::Header][next(3) as usize];
                sightings.add_text(if next(4) == 0 { 404 } else { 200 }, place, &name, &name, &value);
            }
            let mut many = sightings.list.clone();
            settle(&mut many);
            let mut few = sightings.finish();
            few.sort_by(compare);
            mark_repeats(&mut few);
            assert_eq!(few, many);
        }
    }

    #[test]
    fn the_tracked_names_are_the_smallest() {
        let detectors = Detectors::default();
        let mut sightings = Sightings::new(&detectors);
        for number in (0..9_000).rev() {
            sightings.add_text(200, Place::Body, &format!("k{number:04}"), "k", "x");
        }
        let list = sightings.finish();
        assert_eq!(list.len(), PARAMETERS_MAX);
        assert_eq!(list.last().unwrap().key.name, "k0999");
    }
}
