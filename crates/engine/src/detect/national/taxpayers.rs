//! Numbers of taxpayers, pupils and cards in Europe, beside the identifiers of persons.

use crate::detect::checksum::{luhn, number, weighted};

use super::{National, is_same, of};

pub(in crate::detect) static UK_TAXPAYER_REFERENCE: National =
    of(&[], &["9999999999", "99999 99999"], &["utr", "taxreference", "uniquetaxpayerreference"], |n| {
        let sum = weighted(&n[1..], &[6, 7, 8, 9, 10, 5, 4, 3, 2]);
        [2, 1, 9, 8, 7, 6, 5, 4, 3, 2, 1][(sum % 11) as usize] == n[0]
    });

/// A letter for the remainder by 23, the local authority, the school, the year, and a number.
pub(in crate::detect) static UK_PUPIL_NUMBER: National =
    of(&[], &["A999999999999", "A99999999999A"], &["upn", "pupilnumber", "uniquepupilnumber"], |n| {
        const LETTERS: &[u8; 23] = b"ABCDEFGHJKLMNPQRTUVWXYZ";
        let place = |digit: u32| match digit {
            0..=9 => digit,
            _ => LETTERS.iter().position(|known| *known == super::letter(digit)).map_or(0, |at| at as u32),
        };
        let sum: u32 = n[1..].iter().zip(2..).map(|(digit, weight)| place(*digit) * weight).sum();
        LETTERS[(sum % 23) as usize] == super::letter(n[0])
    });

pub(in crate::detect) static FRENCH_TAXPAYER_NUMBER: National =
    of(&[], &["9999999999999", "99 99 999 999 999"], &["spi", "numerofiscal", "numfiscal"], |n| {
        n[0] < 4 && number(&n[..10]) % 511 == number(&n[10..])
    });

pub(in crate::detect) static POLISH_TAXPAYER_NUMBER: National =
    of(&["999-999-99-99"], &["9999999999", "999-99-99-999"], &["nip", "numernip"], |n| {
        !is_same(n) && weighted(n, &[6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11 == n[9]
    });

pub(in crate::detect) static AUSTRIAN_TAXPAYER_NUMBER: National =
    of(&[], &["999999999", "99-999/9999"], &["steuernummer", "abgabenkontonummer", "stnr"], |n| {
        let sum: u32 = n[..8].iter().enumerate().map(|(at, n)| if at % 2 == 1 { n / 5 + n * 2 % 10 } else { *n }).sum();
        (10 - sum % 10) % 10 == n[8]
    });

/// Germany: the number of a tax office, which each state writes in a way of its own. Only the key tells it.
pub(in crate::detect) static GERMAN_TAX_NUMBER: National = of(
    &[],
    &["99/999/99999", "999/999/99999", "999/9999/9999", "999 999 99999", "9999999999999"],
    &["steuernummer", "stnr", "steuernr"],
    |n| !is_same(n),
);

pub(in crate::detect) static BULGARIAN_FOREIGNER_NUMBER: National =
    of(&[], &["9999999999"], &["pnf", "lnch", "foreignernumber"], |n| {
        !is_same(n) && weighted(n, &[21, 19, 17, 13, 11, 9, 7, 3, 1]) % 10 == n[9]
    });

/// Finland: the number of a construction worker's tax card, without a check digit.
pub(in crate::detect) static FINNISH_TAX_NUMBER: National =
    of(&[], &["999999999999"], &["veronumero"], |n| !is_same(n));

/// The Netherlands: passports and identity cards, two letters without O, six of either and a digit.
pub(in crate::detect) static DUTCH_CARD_NUMBER: National = of(
    &[],
    &["AAXXXXXX9"],
    &["identiteitskaart", "identiteitskaartnummer", "documentnumber", "idcardnumber", "paspoortnummer"],
    |n| !n.contains(&24),
);

pub(in crate::detect) static DUTCH_EDUCATION_NUMBER: National =
    of(&[], &["999999999"], &["onderwijsnummer", "studentnumber", "leerlingnummer"], |n| {
        let sum = weighted(n, &[9, 8, 7, 6, 5, 4, 3, 2]) as i64 - i64::from(n[8]);
        number(&n[..2]) == 10 && sum.rem_euclid(11) == 5
    });

/// Azerbaijan: the seven characters of an identity card's personal code.
pub(in crate::detect) static AZERBAIJANI_PERSONAL_CODE: National =
    of(&[], &["XXXXXXX"], &["fincode", "fin", "azssn"], |n| n.iter().any(|place| *place < 10) && !is_same(n));

pub(in crate::detect) static LUXEMBOURGISH_NUMBER: National =
    of(&[], &["9999999999999"], &["matricule", "nationalnumberlu"], |n| {
        let (year, date) = (number(&n[..4]), &n[4..8]);
        (1880..=2100).contains(&year)
            && (1..=12).contains(&number(&date[..2]))
            && (1..=31).contains(&number(&date[2..]))
            && luhn(&n[..12])
    });

/// Hungary: the sex and century, the date of birth, a number, and a sum whose weights fall since 1997.
pub(in crate::detect) static HUNGARIAN_PERSONAL_NUMBER: National =
    of(&[], &["99999999999", "9-999999-9999"], &["szemelyiszam", "szemelyiazonosito"], |n| {
        let rises = weighted(n, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) % 11;
        let falls = weighted(n, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]) % 11;
        (1..=8).contains(&n[0]) && super::is_ymd(&n[1..]) && (rises == n[10] || falls == n[10])
    });
