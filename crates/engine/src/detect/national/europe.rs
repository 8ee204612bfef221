//! Identifiers of Europe.

use crate::detect::checksum::{luhn, mod_11_10, number, weighted};

use super::{National, is_dmy, is_same, is_ymd, letter, of};

pub(in crate::detect) static SPANISH_DNI: National = of(
    &["99999999A", "99999999-A", "A9999999A", "A-9999999-A"],
    &["99.999.999-A", "99999999 A"],
    &["dni", "nie", "nif", "documentoidentidad"],
    |n| {
        const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
        let lead = match letter(n[0]) {
            b'X' => 0,
            b'Y' => 1,
            b'Z' => 2,
            b'0'..=b'9' => n[0],
            _ => return false,
        };
        let value = number(&[&[lead], &n[1..n.len() - 1]].concat());
        LETTERS[(value % 23) as usize] == letter(n[n.len() - 1])
    },
);

pub(in crate::detect) static ITALIAN_CODICE_FISCALE: National =
    of(&["AAAAAA99A99A999A"], &[], &["codicefiscale", "codfiscale", "fiscalcode"], |n| {
        const ODD: [u32; 36] = [
            1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14,
            16, 10, 22, 25, 24, 23,
        ];
        let even = |place: u32| if place > 9 { place - 10 } else { place };
        let sum: u32 = n[..15]
            .iter()
            .enumerate()
            .map(|(at, place)| if at % 2 == 0 { ODD[*place as usize] } else { even(*place) })
            .sum();
        b"ABCDEHLMPRST".contains(&letter(n[8])) && sum % 26 + 10 == n[15]
    });

pub(in crate::detect) static FRENCH_NIR: National = of(
    &["999999999999999", "9 99 99 99 999 999 99"],
    &["9 99 99 99 999 999"],
    &["nir", "insee", "securitesociale", "numerosecu", "nss"],
    |n| {
        n.len() == 15
            && matches!(n[0], 1 | 2)
            && matches!(number(&n[3..5]), 1..=12 | 20..=42 | 50..=99)
            && number(&n[13..]) == 97 - number(&n[..13]) % 97
    },
);

pub(in crate::detect) static GERMAN_TAX_ID: National = of(
    &[],
    &["99999999999", "99 999 999 999"],
    &["steuerid", "steueridnr", "steuernummer", "idnr", "steueridentifikationsnummer", "taxidentificationnumber"],
    |n| {
        let count = |digit: u32| n[..10].iter().filter(|place| **place == digit).count();
        let repeats = (0..10).filter(|digit| count(*digit) > 1).count();
        n[0] > 0 && repeats == 1 && (0..10).all(|digit| count(digit) < 4) && mod_11_10(n)
    },
);

pub(in crate::detect) static POLISH_PESEL: National = of(&[], &["99999999999"], &["pesel"], |n| {
    let month = number(&n[2..4]) % 20;
    (1..=12).contains(&month)
        && (1..=31).contains(&number(&n[4..6]))
        && (weighted(n, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) + n[10]).is_multiple_of(10)
});

pub(in crate::detect) static BELGIAN_NATIONAL_NUMBER: National = of(
    &["99.99.99-999.99"],
    &["99999999999"],
    &["rijksregister", "rijksregisternummer", "registrenational", "niss", "insz"],
    |n| {
        let rest = number(&n[9..]);
        let is_of = |first: u64| rest == 97 - (first + number(&n[..9])) % 97;
        is_of(0) || is_of(2_000_000_000)
    },
);

pub(in crate::detect) static DUTCH_BSN: National = of(
    &[],
    &["999999999", "9999.99.999"],
    &["bsn", "burgerservicenummer", "citizenservicenumber", "sofinummer"],
    |n| {
        let sum = weighted(n, &[9, 8, 7, 6, 5, 4, 3, 2]) as i64 - i64::from(n[8]);
        !is_same(n) && sum % 11 == 0
    },
);

pub(in crate::detect) static SWEDISH_PERSONNUMMER: National = of(
    &["999999-9999", "999999+9999", "99999999-9999"],
    &["9999999999", "999999999999"],
    &["personnummer", "personnr", "samordningsnummer"],
    |n| {
        let n = &n[n.len().saturating_sub(10)..];
        n.len() == 10 && matches!(number(&n[4..6]) % 60, 1..=31) && (1..=12).contains(&number(&n[2..4])) && luhn(n)
    },
);

pub(in crate::detect) static NORWEGIAN_FODSELSNUMMER: National =
    of(&["99999999999", "999999 99999"], &[], &["fodselsnummer", "fnr", "personnummer", "dnummer"], |n| {
        let month = if n[2] >= 4 { number(&n[2..4]) - 40 } else { number(&n[2..4]) };
        let day = number(&n[..2]) % 40;
        let first = weighted(&n[..10], &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]);
        let second = weighted(n, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]);
        (1..=31).contains(&day) && (1..=12).contains(&month) && first.is_multiple_of(11) && second.is_multiple_of(11)
    });

/// Denmark: numbers that were given since 2007 need no check digit.
pub(in crate::detect) static DANISH_CPR: National = National {
    alone_check: |n| weighted(n, &[4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11),
    ..of(&["999999-9999"], &["9999999999"], &["cpr", "cprnummer", "cprnr"], is_dmy)
};

/// Finland: a date, a sign for the century, a number, and a character for the remainder by 31.
pub(in crate::detect) static FINNISH_HETU: National = of(
    &["999999-999X", "999999+999X", "999999A999X", "999999Y999X", "999999B999X", "999999U999X", "999999C999X"],
    &[],
    &["hetu", "henkilotunnus"],
    |n| {
        const CHARACTERS: &[u8; 31] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
        // The sign is a place of its own where it is a letter.
        let digits = [&n[..6], &n[n.len() - 4..n.len() - 1]].concat();
        is_dmy(n) && CHARACTERS[(number(&digits) % 31) as usize] == letter(n[n.len() - 1])
    },
);

pub(in crate::detect) static BALTIC_PERSONAL_CODE: National =
    of(&["99999999999"], &[], &["isikukood", "asmenskodas", "asmenskod"], |n| {
        let sum = |weights: &[u32]| weighted(n, weights) % 11;
        let check = match sum(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) {
            10 => sum(&[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 10,
            sum => sum,
        };
        (1..=8).contains(&n[0]) && is_ymd(&n[1..]) && check == n[10]
    });

pub(in crate::detect) static LATVIAN_PERSONAL_CODE: National =
    of(&["999999-99999"], &["99999999999"], &["personaskods", "personaskod"], |n| {
        is_dmy(n) && (1 + weighted(n, &[10, 5, 8, 4, 2, 1, 6, 3, 7, 9])) % 11 % 10 == n[10]
    });

pub(in crate::detect) static BULGARIAN_EGN: National = of(&[], &["9999999999"], &["egn"], |n| {
    (1..=12).contains(&(number(&n[2..4]) % 20))
        && (1..=31).contains(&number(&n[4..6]))
        && weighted(n, &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10 == n[9]
});

pub(in crate::detect) static CZECH_BIRTH_NUMBER: National =
    of(&["999999/9999"], &["9999999999"], &["rodnecislo", "birthnumber"], |n| {
        let month = number(&n[2..4]) % 50 % 20;
        let holds = number(n).is_multiple_of(11) || (number(&n[..9]) % 11 == 10 && n[9] == 0);
        (1..=12).contains(&month) && (1..=31).contains(&number(&n[4..6])) && holds
    });

pub(in crate::detect) static ROMANIAN_CNP: National =
    of(&["9999999999999"], &[], &["cnp", "codnumericpersonal"], |n| {
        let check = match weighted(n, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11 {
            10 => 1,
            rest => rest,
        };
        n[0] > 0 && is_ymd(&n[1..]) && matches!(number(&n[7..9]), 1..=52 | 70 | 80..=83) && check == n[12]
    });

pub(in crate::detect) static CROATIAN_OIB: National = of(&[], &["99999999999"], &["oib"], mod_11_10);

pub(in crate::detect) static BALKAN_JMBG: National = of(&["9999999999999"], &[], &["jmbg", "emso", "embg"], |n| {
    let rest = weighted(n, &[7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    is_dmy(n) && matches!(n[4], 0 | 9) && (11 - rest) % 11 % 10 == n[12]
});

pub(in crate::detect) static GREEK_AMKA: National = of(&["99999999999"], &[], &["amka"], |n| is_dmy(n) && luhn(n));

pub(in crate::detect) static HUNGARIAN_TAJ: National =
    of(&["999-999-999"], &["999999999", "999 999 999"], &["taj", "tajszam"], |n| {
        weighted(n, &[3, 7, 3, 7, 3, 7, 3, 7]) % 10 == n[8]
    });

pub(in crate::detect) static PORTUGUESE_NIF: National =
    of(&[], &["999999999", "999 999 999"], &["nif", "contribuinte", "numerofiscal"], |n| {
        let check = match 11 - weighted(n, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11 {
            10 | 11 => 0,
            check => check,
        };
        n[0] > 0 && check == n[8]
    });

pub(in crate::detect) static PORTUGUESE_CITIZEN_CARD: National =
    of(&["99999999 9 AA9", "999999999AA9"], &[], &["cartaocidadao", "citizencard"], |n| {
        let sum: u32 = n
            .iter()
            .rev()
            .enumerate()
            .map(|(at, place)| match (at % 2, place * 2) {
                (0, _) => *place,
                (_, doubled) if doubled > 9 => doubled - 9,
                (_, doubled) => doubled,
            })
            .sum();
        sum.is_multiple_of(10)
    });

pub(in crate::detect) static IRISH_PPS: National =
    of(&["9999999A", "9999999AA"], &[], &["pps", "ppsn", "ppsnumber"], |n| {
        const LETTERS: &[u8; 23] = b"WABCDEFGHIJKLMNOPQRSTUV";
        let second = match n.get(8).map(|place| letter(*place)) {
            None | Some(b'W') => 0,
            Some(second @ b'A'..=b'I') => u32::from(second - b'A') + 1,
            Some(_) => return false,
        };
        LETTERS[((weighted(n, &[8, 7, 6, 5, 4, 3, 2]) + second * 9) % 23) as usize] == letter(n[7])
    });

/// United Kingdom: some letters, and some pairs of them, are never given out, and stand in numbers for a time.
pub(in crate::detect) static UK_NINO: National = National {
    alone_check: |n| {
        let (first, second, last) = (letter(n[0]), letter(n[1]), letter(n[8]));
        !b"DFIQUV".contains(&first)
            && !b"DFIOQUV".contains(&second)
            && (b'A'..=b'D').contains(&last)
            && ![b"BG", b"GB", b"NK", b"KN", b"TN", b"NT", b"ZZ"].contains(&&[first, second])
    },
    ..of(
        &["AA999999A", "AA 99 99 99 A", "AA 999999 A"],
        &["AA-99-99-99-A"],
        &["nino", "nationalinsurance", "nationalinsurancenumber", "ninumber"],
        |_| true,
    )
};

pub(in crate::detect) static UK_NHS_NUMBER: National =
    of(&[], &["9999999999", "999 999 9999", "999-999-9999"], &["nhs", "nhsnumber", "nhsno"], |n| {
        !is_same(n) && (weighted(n, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) + n[9]).is_multiple_of(11)
    });

pub(in crate::detect) static SWISS_AHV: National =
    of(&["999.9999.9999.99", "9999999999999"], &[], &["ahv", "ahvnummer", "avs", "numeroavs"], |n| {
        number(&n[..3]) == 756 && weighted(n, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10)
    });

pub(in crate::detect) static AUSTRIAN_SVNR: National =
    of(&["9999 999999"], &["9999999999", "9999-999999"], &["svnr", "svnummer", "sozialversicherung"], |n| {
        is_dmy(&n[4..]) && n[0] > 0 && weighted(n, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]) % 11 == n[3]
    });

pub(in crate::detect) static ICELANDIC_KENNITALA: National =
    of(&["999999-9999"], &["9999999999"], &["kennitala"], |n| {
        let expected = (11 - weighted(n, &[3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11;
        is_dmy(n) && matches!(n[9], 0 | 8 | 9) && expected == n[8]
    });

pub(in crate::detect) static RUSSIAN_SNILS: National = of(&["999-999-999 99"], &["99999999999"], &["snils"], |n| {
    let sum = weighted(n, &[9, 8, 7, 6, 5, 4, 3, 2, 1]);
    number(&n[..9]) > 1_001_998 && u64::from(sum % 101 % 100) == number(&n[9..])
});

pub(in crate::detect) static RUSSIAN_INN: National = of(&[], &["999999999999"], &["inn"], |n| {
    weighted(n, &[7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) % 11 % 10 == n[10]
        && weighted(n, &[3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) % 11 % 10 == n[11]
});

pub(in crate::detect) static UKRAINIAN_RNOKPP: National = of(&[], &["9999999999"], &["rnokpp", "ipn"], |n| {
    let sum = weighted(&n[1..], &[5, 7, 9, 4, 6, 10, 5, 7]) as i64 - i64::from(n[0]);
    sum.rem_euclid(11) % 10 == i64::from(n[9])
});

/// Germany: the number of a health insurance, a letter and nine digits, or of a pension insurance.
pub(in crate::detect) static GERMAN_INSURANCE: National = of(
    &["99999999A999"],
    &["A999999999", "99 999999 A 999"],
    &["kvnr", "krankenversicherung", "versichertennummer", "rentenversicherung", "sozialversicherungsnummer", "rvnr"],
    |n| {
        const PENSION: [u32; 12] = [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1];
        let (check, front) = n.split_last().unwrap_or((&0, &[]));
        let places: Vec<u32> = front
            .iter()
            .flat_map(|place| match *place {
                digit @ 0..=9 => vec![digit],
                letter => vec![(letter - 9) / 10, (letter - 9) % 10],
            })
            .collect();
        let digit_sum = |number: u32| number / 10 + number % 10;
        let sum: u32 = match places.len() {
            10 => places.iter().enumerate().map(|(at, n)| digit_sum(n * if at % 2 == 0 { 1 } else { 2 })).sum(),
            12 if is_dmy(&places[2..]) => places.iter().zip(PENSION).map(|(n, weight)| digit_sum(n * weight)).sum(),
            _ => return false,
        };
        sum % 10 == *check
    },
);
