//! National identifiers whose last characters follow from the others.

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

/// Canada: nine digits whose Luhn sum holds.
pub(super) fn is_canadian_sin(value: &str) -> bool {
    let digits: Vec<u32> = value.chars().filter_map(|c| c.to_digit(10)).collect();
    let sum: u32 = digits.iter().rev().enumerate().map(|(at, digit)| luhn(*digit, at % 2 == 1)).sum();
    digits.len() == 9 && digits.iter().any(|digit| *digit > 0) && sum.is_multiple_of(10)
}

/// Finland: a date, a sign for the century, a number, and a character for the remainder by 31.
pub(super) fn is_finnish_identity(value: &str) -> bool {
    const CHARACTERS: &[u8; 31] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    let (Some(date), Some(number), Some(check)) = (value.get(..6), value.get(7..10), value.as_bytes().get(10)) else {
        return false;
    };
    let part = |at: usize| date.get(at..at + 2).and_then(|text| text.parse::<u32>().ok()).unwrap_or_default();
    let Ok(number) = format!("{date}{number}").parse::<u64>() else { return false };
    value.len() == 11
        && (1..=31).contains(&part(0))
        && (1..=12).contains(&part(2))
        && CHARACTERS.get((number % 31) as usize) == Some(check)
}

/// Germany: the number of a health insurance, a letter and nine digits, or of a pension insurance.
pub(super) fn is_german_insurance(value: &str) -> bool {
    const PENSION: [u32; 12] = [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1];
    let mut digits = Vec::with_capacity(13);
    for character in value.chars() {
        match character.to_digit(10) {
            Some(digit) => digits.push(digit),
            None if character.is_ascii_uppercase() => {
                let place = u32::from(character) - u32::from('A') + 1;
                digits.extend([place / 10, place % 10]);
            }
            None => return false,
        }
    }
    let Some((check, digits)) = digits.split_last() else { return false };
    let sum: u32 = match digits.len() {
        10 => digits.iter().enumerate().map(|(at, digit)| digit_sum(digit * if at % 2 == 0 { 1 } else { 2 })).sum(),
        12 => digits.iter().zip(PENSION).map(|(digit, weight)| digit_sum(digit * weight)).sum(),
        _ => return false,
    };
    sum % 10 == *check
}

/// United Kingdom: some pairs of letters are never given out.
pub(super) fn is_uk_insurance(value: &str) -> bool {
    !["BG", "GB", "NK", "KN", "TN", "NT", "ZZ"].iter().any(|prefix| value.starts_with(prefix))
}

fn luhn(digit: u32, doubled: bool) -> u32 {
    if doubled { digit_sum(digit * 2) } else { digit }
}

fn digit_sum(number: u32) -> u32 {
    number / 10 + number % 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_hold() {
        assert!(is_canadian_sin("046 454 286") && !is_canadian_sin("046 454 287") && !is_canadian_sin("000000000"));
        assert!(is_finnish_identity("131052-308T") && !is_finnish_identity("131052-308U"));
        assert!(!is_finnish_identity("991352-308T"));
        assert!(is_german_insurance("A123456780") && !is_german_insurance("A123456781"));
        assert!(is_german_insurance("15070649C103") && !is_german_insurance("15070649C104"));
        assert!(is_uk_insurance("AB123456C") && !is_uk_insurance("GB123456C"));
    }
}
