//! Identifiers of the other continents, and those of things that belong to a person.

use crate::detect::checksum::{luhn, number, verhoeff, weighted};

use super::{National, is_same, is_ymd, letter, of};

pub(in crate::detect) static BRAZILIAN_CPF: National =
    of(&["999.999.999-99"], &["99999999999"], &["cpf", "documento"], |n| {
        let check = |count: usize| {
            (0..count).map(|at| n[at] * (count as u32 + 1 - at as u32)).sum::<u32>() * 10 % 11 % 10 == n[count]
        };
        !is_same(n) && check(9) && check(10)
    });

pub(in crate::detect) static US_ITIN: National = of(&["999-99-9999"], &["999999999"], &["itin"], |n| {
    !is_same(n) && n[0] == 9 && matches!(number(&n[3..5]), 50..=65 | 70..=88 | 90..=92 | 94..=99) && number(&n[5..]) > 0
});

pub(in crate::detect) static US_SSN_DIGITS: National = of(
    &[],
    &["999999999", "999 99 9999"],
    &["ssn", "socialsecurity", "socialsecuritynumber", "socialsecurityno"],
    |n| {
        let area = number(&n[..3]);
        area > 0 && area != 666 && area < 900 && number(&n[3..5]) > 0 && number(&n[5..]) > 0
    },
);

/// The medicare beneficiary identifier, whose letters leave out what reads as a digit.
pub(in crate::detect) static US_MEDICARE_MBI: National =
    of(&["9AX9AX9AA99", "9AX9-AX9-AA99"], &[], &["mbi", "medicare"], |n| {
        n[0] > 0 && n.iter().all(|place| !b"SLOIBZ".contains(&letter(*place)))
    });

pub(in crate::detect) static CANADIAN_SIN: National = of(
    &["999-999-999"],
    &["999999999", "999 999 999"],
    &["sin", "socialinsurance", "socialinsurancenumber", "sinnumber"],
    |n| !matches!(n[0], 0 | 8) && luhn(n),
);

pub(in crate::detect) static MEXICAN_CURP: National = of(&["AAAA999999AAAAAAX9"], &[], &["curp"], |n| {
    // The alphabet has an Ñ behind the N.
    let value = |place: u32| if place > 23 { place + 1 } else { place };
    let sum: u32 = n[..17].iter().enumerate().map(|(at, place)| value(*place) * (18 - at as u32)).sum();
    is_ymd(&n[4..]) && b"HM".contains(&letter(n[10])) && (10 - sum % 10) % 10 == n[17]
});

/// Mexico: the last character is a check, which old numbers do not keep to.
pub(in crate::detect) static MEXICAN_RFC: National = National {
    alone_check: |n| {
        let value = |place: u32| if place > 23 { place + 1 } else { place };
        let sum: u32 = n[..12].iter().enumerate().map(|(at, place)| value(*place) * (13 - at as u32)).sum();
        (11 - sum % 11) % 11 == n[12]
    },
    ..of(&["AAAA999999XXX"], &[], &["rfc"], |n| is_ymd(&n[4..]))
};

pub(in crate::detect) static ARGENTINE_CUIT: National =
    of(&["99-99999999-9"], &["99999999999"], &["cuit", "cuil"], |n| {
        let check = match 11 - weighted(n, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11 {
            11 => 0,
            10 => 9,
            check => check,
        };
        matches!(number(&n[..2]), 20 | 23 | 24 | 27 | 30 | 33 | 34) && check == n[10]
    });

pub(in crate::detect) static CHILEAN_RUT: National =
    of(&["99.999.999-X", "9.999.999-X"], &["99999999-X", "9999999-X"], &["rut", "run", "rutcliente"], |n| {
        let (check, digits) = n.split_last().unwrap_or((&0, &[]));
        let sum: u32 = digits.iter().rev().zip([2, 3, 4, 5, 6, 7].iter().cycle()).map(|(n, weight)| n * weight).sum();
        match 11 - sum % 11 {
            11 => *check == 0,
            10 => letter(*check) == b'K',
            expected => *check == expected,
        }
    });

pub(in crate::detect) static ECUADORIAN_CEDULA: National =
    of(&[], &["9999999999", "999999999-9"], &["cedula", "ci"], |n| {
        matches!(number(&n[..2]), 1..=24 | 30) && n[2] < 7 && luhn(n)
    });

pub(in crate::detect) static TURKISH_TCKN: National =
    of(&["99999999999"], &[], &["tckn", "tckimlik", "kimlikno"], |n| {
        let odd: u32 = n[..9].iter().step_by(2).sum();
        let even: u32 = n[1..8].iter().step_by(2).sum();
        n[0] > 0 && (odd * 7 + 100 - even) % 10 == n[9] && n[..10].iter().sum::<u32>() % 10 == n[10]
    });

pub(in crate::detect) static ISRAELI_ID: National =
    of(&[], &["999999999", "99999999-9"], &["teudatzehut", "israeliid", "misparzehut", "zehut"], |n| {
        !is_same(n) && luhn(n)
    });

pub(in crate::detect) static SOUTH_AFRICAN_ID: National =
    of(&["9999999999999"], &[], &["saidnumber", "rsaid", "southafricanid"], |n| is_ymd(n) && n[10] < 2 && luhn(n));

pub(in crate::detect) static INDIAN_AADHAAR: National =
    of(&["9999 9999 9999", "9999-9999-9999"], &["999999999999"], &["aadhaar", "aadhar", "uidai"], |n| {
        n[0] > 1 && !n.iter().eq(n.iter().rev()) && verhoeff(n)
    });

pub(in crate::detect) static CHINESE_ID: National =
    of(&["99999999999999999X"], &[], &["shenfenzheng", "idcardno", "residentid"], |n| {
        const CHECKS: &[u8; 11] = b"10X98765432";
        let sum = weighted(n, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
        matches!(number(&n[6..8]), 18..=20) && is_ymd(&n[8..]) && CHECKS[(sum % 11) as usize] == letter(n[17])
    });

pub(in crate::detect) static JAPANESE_MY_NUMBER: National = of(
    &["9999-9999-9999"],
    &["999999999999", "9999 9999 9999"],
    &["mynumber", "kojinbango", "individualnumber"],
    |n| {
        let check = match weighted(n, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11 {
            0 | 1 => 0,
            rest => 11 - rest,
        };
        !is_same(n) && check == n[11]
    },
);

/// Korea: a date of birth, the sex and century, and a number that has no check digit since 2020.
pub(in crate::detect) static KOREAN_RRN: National =
    of(&["999999-9999999"], &["9999999999999"], &["rrn", "jumin", "residentnumber", "residentregistration"], |n| {
        is_ymd(n) && (1..=8).contains(&n[6])
    });

pub(in crate::detect) static TAIWANESE_ID: National = of(&["A999999999"], &[], &["taiwanid"], |n| {
    let Some(at) = b"ABCDEFGHJKLMNPQRSTUVXYWZIO".iter().position(|known| *known == letter(n[0])) else { return false };
    let place = at as u32 + 10;
    let sum = place / 10 + place % 10 * 9 + weighted(&n[1..], &[8, 7, 6, 5, 4, 3, 2, 1, 1]);
    matches!(n[1], 1 | 2 | 8 | 9) && sum.is_multiple_of(10)
});

pub(in crate::detect) static HONG_KONG_ID: National =
    of(&["A999999(X)", "AA999999(X)"], &["A999999X", "AA999999X"], &["hkid"], |n| {
        let places = if n.len() == 8 { [&[36], n].concat() } else { n.to_vec() };
        weighted(&places, &[9, 8, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
    });

pub(in crate::detect) static SINGAPORE_NRIC: National = of(&["A9999999A"], &[], &["nric", "fin"], |n| {
    let sum = weighted(&n[1..], &[2, 7, 6, 5, 4, 3, 2]);
    let (sum, letters): (u32, &[u8; 11]) = match letter(n[0]) {
        b'S' => (sum, b"JZIHGFEDCBA"),
        b'T' => (sum + 4, b"JZIHGFEDCBA"),
        b'F' => (sum, b"XWUTRQPNMLK"),
        b'G' => (sum + 4, b"XWUTRQPNMLK"),
        b'M' => (sum + 3, b"XWUTRQPNJLK"),
        _ => return false,
    };
    letters[(sum % 11) as usize] == letter(n[8])
});

pub(in crate::detect) static THAI_ID: National =
    of(&["9-9999-99999-99-9"], &["9999999999999", "9 9999 99999 99 9"], &["thaiid", "bucchachon"], |n| {
        n[0] > 0 && (11 - weighted(n, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 10 == n[12]
    });

pub(in crate::detect) static AUSTRALIAN_TFN: National =
    of(&[], &["999999999", "999 999 999"], &["tfn", "taxfilenumber", "taxfile"], |n| {
        number(n) > 0 && weighted(n, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11)
    });

pub(in crate::detect) static AUSTRALIAN_MEDICARE: National =
    of(&["9999 99999 9"], &["9999999999", "99999999999"], &["medicare", "medicarenumber"], |n| {
        (2..=6).contains(&n[0]) && weighted(n, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10 == n[8]
    });

pub(in crate::detect) static NEW_ZEALAND_IRD: National =
    of(&[], &["99999999", "999999999", "99-999-999", "999-999-999"], &["ird", "irdnumber"], |n| {
        let (check, digits) = n.split_last().unwrap_or((&0, &[]));
        let digits = if digits.len() == 7 { [&[0], digits].concat() } else { digits.to_vec() };
        let expected = |weights: &[u32]| match weighted(&digits, weights) % 11 {
            0 => 0,
            rest => 11 - rest,
        };
        let first = expected(&[3, 2, 7, 6, 5, 4, 3, 2]);
        let expected = if first == 10 { expected(&[7, 4, 3, 2, 5, 2, 7, 6]) } else { first };
        (10_000_000..150_000_000).contains(&number(n)) && expected == *check
    });

pub(in crate::detect) static KAZAKH_IIN: National = of(&[], &["999999999999"], &["iin"], |n| {
    let sum = |weights: &[u32]| weighted(n, weights) % 11;
    let check = match sum(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]) {
        10 => sum(&[3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2]),
        sum => sum,
    };
    is_ymd(n) && check == n[11]
});

pub(in crate::detect) static US_NPI: National =
    of(&[], &["9999999999"], &["npi", "nationalprovider"], |n| luhn(&[&[8, 0, 8, 4, 0], n].concat()));

pub(in crate::detect) static US_DEA_NUMBER: National =
    of(&[], &["AA9999999"], &["dea", "deanumber"], |n| (n[2] + n[4] + n[6] + 2 * (n[3] + n[5] + n[7])) % 10 == n[8]);

pub(in crate::detect) static US_ROUTING_NUMBER: National =
    of(&[], &["999999999"], &["aba", "routing", "routingnumber", "routingtransit"], |n| {
        matches!(number(&n[..2]), 1..=12 | 21..=32 | 61..=72 | 80)
            && weighted(n, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
    });

pub(in crate::detect) static IMEI: National =
    of(&[], &["999999999999999", "99-999999-999999-9"], &["imei"], |n| !is_same(n) && luhn(n));
