//! Which international telephone numbers a numbering plan knows.
//!
//! The plans are those of `phonenumber`. Its own way to a number compiles patterns anew as soon as the numbers are of a
//! few countries, so the patterns of a country are compiled here, once, and whatever is not plain is left to it.

use std::sync::{LazyLock, OnceLock};

use phonenumber::metadata::{DATABASE, Descriptor, Metadata};
use regex::{Regex, RegexBuilder};

/// The longest country code.
const CODE_DIGITS_MAX: usize = 3;

/// The longest number behind a country code.
const NATIONAL_DIGITS_MAX: usize = 17;

/// The regions of each country code, read when a number first has it.
static PLANS: LazyLock<Vec<OnceLock<Option<Vec<Region>>>>> =
    LazyLock::new(|| (0..1000).map(|_| OnceLock::new()).collect());

/// The numbers of one region.
struct Region {
    /// What tells the region from others of its country code.
    leading: Option<Regex>,
    national_prefix: Option<String>,
    /// What a number may begin with that does not belong to it.
    prefix: Option<Regex>,
    general: Numbers,
    types: Vec<Numbers>,
}

/// Numbers of one type.
struct Numbers {
    /// Of any length when empty.
    lengths: Vec<u16>,
    pattern: Regex,
}

/// Whether a number with `+` and a country code, and with the usual signs between its digits, is one that its numbering
/// plan knows.
pub fn is_valid(number: &str) -> bool {
    plain(number).unwrap_or_else(|| phonenumber::parse(None, number).is_ok_and(|number| phonenumber::is_valid(&number)))
}

/// The answer for a number that is written without anything but its digits and their separators.
fn plain(number: &str) -> Option<bool> {
    let rest = number.strip_prefix('+')?;
    let (first, last) = (rest.bytes().next()?, rest.bytes().next_back()?);
    if !first.is_ascii_digit() || first == b'0' || !last.is_ascii_digit() {
        return None;
    }
    let mut digits = [0_u8; CODE_DIGITS_MAX + NATIONAL_DIGITS_MAX];
    let mut count = 0;
    for byte in rest.bytes() {
        match byte {
            b'0'..=b'9' => {
                *digits.get_mut(count)? = byte;
                count += 1;
            }
            b' ' | b'-' | b'(' | b')' | b'.' => {}
            _ => return None,
        }
    }
    let digits = str::from_utf8(&digits[..count]).ok()?;
    let (regions, national) = (1..=CODE_DIGITS_MAX).find_map(|length| {
        let code: u16 = digits.get(..length)?.parse().ok()?;
        let regions = PLANS.get(usize::from(code))?.get_or_init(|| regions_of(code)).as_ref()?;
        Some((regions, &digits[length..]))
    })?;
    if national.len() < 4 || national.len() > NATIONAL_DIGITS_MAX || national.starts_with('0') {
        return None;
    }
    let region = match &regions[..] {
        [only] => only,
        several => several.iter().find(|region| match &region.leading {
            Some(leading) => leading.is_match(national),
            None => region.has(national),
        })?,
    };
    let has_prefix = region.national_prefix.as_ref().is_some_and(|prefix| national.starts_with(&**prefix))
        || region.prefix.as_ref().is_some_and(|prefix| prefix.is_match(national));
    (!has_prefix).then(|| region.has(national))
}

impl Region {
    fn has(&self, national: &str) -> bool {
        self.general.has(national) && self.types.iter().any(|numbers| numbers.has(national))
    }
}

impl Numbers {
    fn has(&self, national: &str) -> bool {
        let fits = |length: &u16| usize::from(*length) == national.len();
        (self.lengths.is_empty() || self.lengths.iter().any(fits)) && self.pattern.is_match(national)
    }
}

fn regions_of(code: u16) -> Option<Vec<Region>> {
    let list: Vec<&Metadata> = match &DATABASE.region(&code)?[..] {
        ["001"] => vec![*DATABASE.by_code(&code)?.first()?],
        ids => ids.iter().map(|id| DATABASE.by_id(*id)).collect::<Option<_>>()?,
    };
    list.into_iter().map(region_of).collect()
}

fn region_of(meta: &Metadata) -> Option<Region> {
    let of = meta.descriptors();
    let types = [
        of.fixed_line(),
        of.mobile(),
        of.toll_free(),
        of.premium_rate(),
        of.shared_cost(),
        of.voip(),
        of.personal_number(),
        of.pager(),
        of.uan(),
        of.voicemail(),
    ];
    let at_start = |pattern: Option<&str>| pattern.map(anchored).map_or(Some(None), |built| built.map(Some));
    Some(Region {
        leading: at_start(meta.leading_digits().map(|pattern| pattern.as_str()))?,
        national_prefix: meta.national_prefix().map(str::to_owned),
        prefix: at_start(meta.national_prefix_for_parsing().map(|pattern| pattern.as_str()))?,
        general: numbers(of.general())?,
        types: types.into_iter().flatten().map(numbers).collect::<Option<_>>()?,
    })
}

fn numbers(descriptor: &Descriptor) -> Option<Numbers> {
    let pattern = anchored(descriptor.national_number().as_str())?;
    Some(Numbers { lengths: descriptor.possible_length().to_vec(), pattern })
}

fn anchored(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(&format!("^(?:{pattern})")).ignore_whitespace(true).unicode(false).build().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn by_library(number: &str) -> bool {
        phonenumber::parse(None, number).is_ok_and(|number| phonenumber::is_valid(&number))
    }

    #[test]
    fn plain_numbers_are_judged_here() {
        for (number, expected) in [
            ("+14155552671", Some(true)),
            ("+1 415-555-2671", Some(true)),
            ("+919876543210", Some(true)),
            ("+49 30 901820", Some(true)),
            ("+1 115-555-2671", None),
            ("+44 (0) 20 7946 0958", None),
            ("+1415555", None),
        ] {
            assert_eq!(plain(number), expected, "{number}");
            assert!(expected.is_none_or(|expected| expected == by_library(number)), "{number}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn the_answer_is_that_of_the_library(
            number in "\\+(1|7|20|27|3[0-46-9]|4[0134-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[2-9][0-9]{2})[ -]?[0-9(]{1,4}[ .)-]?[0-9]{4,8}"
        ) {
            // The library takes the digits before a dash for the country's code.
            let digits = number.replace(['-', '.', '(', ')', ' '], "");
            let expected = if plain(&number).is_some() { by_library(&digits) } else { by_library(&number) };
            prop_assert_eq!(is_valid(&number), expected, "{}", number);
        }
    }
}
