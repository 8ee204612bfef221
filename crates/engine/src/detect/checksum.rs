//! Sums over the characters of an identifier: a digit counts as itself, a letter as 10 (A) to 35 (Z).

/// The sum of ISO/IEC 7812 over digits 0 to 9.
pub(super) fn luhn(digits: &[u32]) -> bool {
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| if index % 2 == 1 { doubled(*digit) } else { *digit })
        .sum();
    sum.is_multiple_of(10)
}

/// The sum of each place times its weight. Places without a weight do not count.
pub(super) fn weighted(places: &[u32], weights: &[u32]) -> u32 {
    places.iter().zip(weights).map(|(place, weight)| place * weight).sum()
}

/// ISO 7064, MOD 11,10, with the check digit last.
pub(super) fn mod_11_10(digits: &[u32]) -> bool {
    let Some((check, digits)) = digits.split_last() else { return false };
    // What the last step left, halved.
    let rest = digits.iter().fold(5, |rest, digit| match (rest * 2 % 11 + digit) % 10 {
        0 => 10,
        sum => sum,
    });
    (rest * 2 % 11 + check) % 10 == 1
}

/// Verhoeff, with the check digit last.
pub(super) fn verhoeff(digits: &[u32]) -> bool {
    const PRODUCT: [[usize; 10]; 10] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
        [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
        [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
        [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
        [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
        [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
        [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
        [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
        [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ];
    const PLACES: [[usize; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    let places = digits.iter().rev().enumerate();
    places.fold(0, |check, (at, digit)| PRODUCT[check][PLACES[at % 8][*digit as usize]]) == 0
}

/// The number that the digits write.
pub(super) fn number(digits: &[u32]) -> u64 {
    digits.iter().fold(0, |number, digit| number * 10 + u64::from(*digit))
}

/// Whether two digits each write a day and a month.
pub(super) fn is_day_and_month(day: &[u32], month: &[u32]) -> bool {
    (1..=31).contains(&number(day)) && (1..=12).contains(&number(month))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Vec<u32> {
        text.chars().filter_map(|digit| digit.to_digit(10)).collect()
    }

    #[test]
    fn published_examples_hold() {
        assert!(luhn(&digits("79927398713")) && !luhn(&digits("79927398710")));
        assert!(verhoeff(&digits("2363")) && !verhoeff(&digits("2364")));
        assert!(mod_11_10(&digits("07945")) && !mod_11_10(&digits("07946")));
        assert_eq!(weighted(&[1, 2, 3], &[3, 2]), 7);
        assert!(is_day_and_month(&[3, 1], &[1, 2]) && !is_day_and_month(&[3, 2], &[1, 2]));
    }
}
