//! Identifiers of Asia and Africa beside those of [`super::world`].

use crate::detect::checksum::{is_day_and_month, luhn, number, verhoeff, weighted};

use super::{National, is_dmy, is_same, is_ymd, letter, of};

/// Malaysia: a date of birth, a place and a number.
pub(in crate::detect) static MALAYSIAN_NRIC: National =
    of(&["999999-99-9999"], &["999999999999"], &["nric", "mykad", "icnumber", "noic"], |n| {
        is_ymd(n) && !matches!(number(&n[6..8]), 0 | 17..=20 | 69 | 70 | 73 | 80 | 81 | 94..=97)
    });

/// Indonesia: a district, a date of birth, where forty days more stand for a woman, and a number.
pub(in crate::detect) static INDONESIAN_NIK: National =
    of(&[], &["9999999999999999"], &["nik", "ktp", "noktp", "nomorktp"], |n| {
        (11..=94).contains(&number(&n[..2]))
            && (1..=31).contains(&(number(&n[6..8]) % 40))
            && (1..=12).contains(&number(&n[8..10]))
    });

pub(in crate::detect) static INDONESIAN_NPWP: National =
    of(&["99.999.999.9-999.999"], &["999999999999999", "9999999999999999"], &["npwp"], |n| {
        luhn(if n.len() == 16 { &n[..10] } else { &n[..9] })
    });

/// Pakistan: a province, a number, and a digit for the sex.
pub(in crate::detect) static PAKISTANI_CNIC: National =
    of(&["99999-9999999-9"], &["9999999999999"], &["cnic", "nicop"], |n| (1..=7).contains(&n[0]) && n[12] > 0);

pub(in crate::detect) static INDIAN_VOTER_ID: National =
    of(&[], &["AAA9999999"], &["epic", "epicnumber", "voterid", "votercard"], |n| luhn(&n[3..]));

pub(in crate::detect) static INDIAN_VIRTUAL_ID: National =
    of(&[], &["9999999999999999", "9999 9999 9999 9999"], &["vid", "virtualid", "aadhaarvid"], |n| {
        n[0] > 1 && verhoeff(n)
    });

pub(in crate::detect) static EMIRATES_ID: National =
    of(&["999-9999-9999999-9"], &["999999999999999"], &["emiratesid", "eid", "uaeid"], |n| {
        number(&n[..3]) == 784 && luhn(n)
    });

pub(in crate::detect) static SAUDI_ID: National =
    of(&[], &["9999999999"], &["saudiid", "iqama", "iqamanumber", "absherid"], |n| matches!(n[0], 1 | 2) && luhn(n));

pub(in crate::detect) static IRANIAN_ID: National =
    of(&[], &["9999999999", "999-999999-9"], &["codemelli", "nationalcode", "melli"], |n| {
        let rest = weighted(n, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
        !is_same(n) && n[9] == if rest < 2 { rest } else { 11 - rest }
    });

/// Egypt: a century, a date of birth, a governorate and a number.
pub(in crate::detect) static EGYPTIAN_ID: National = of(&[], &["99999999999999"], &["egyptianid", "raqamqawmi"], |n| {
    matches!(n[0], 2 | 3) && is_day_and_month(&n[5..7], &n[3..5]) && matches!(number(&n[7..9]), 1..=35 | 88)
});

pub(in crate::detect) static EGYPTIAN_TAX_NUMBER: National =
    of(&[], &["999999999", "999-999-999"], &["egyptiantaxnumber", "raqamdaribi"], |n| !is_same(n));

/// Sri Lanka: a year and the day in it, to which 500 are added for a woman, a number, and a letter.
pub(in crate::detect) static SRI_LANKAN_NIC: National =
    of(&[], &["999999999A", "999999999999"], &["nic", "nicnumber"], |n| {
        let day = if n.len() == 10 { number(&n[2..5]) } else { number(&n[4..7]) };
        matches!(day, 1..=366 | 501..=866) && (n.len() == 12 || matches!(letter(n[9]), b'V' | b'X'))
    });

pub(in crate::detect) static VIETNAMESE_TAXPAYER_NUMBER: National =
    of(&[], &["9999999999", "9999999999-999"], &["mst", "masothue", "taxcode"], |n| {
        10 - weighted(n, &[31, 29, 23, 19, 17, 13, 7, 5, 3]) % 11 == n[9]
    });

/// Vietnam: a province, the sex and century, the year of birth and a number.
pub(in crate::detect) static VIETNAMESE_ID: National =
    of(&[], &["999999999999"], &["cccd", "cancuoc", "cancuoccongdan"], |n| (1..=96).contains(&number(&n[..3])));

pub(in crate::detect) static PHILIPPINE_SSS: National =
    of(&[], &["99-9999999-9", "9999-9999999-9", "9999999999"], &["sss", "sssnumber", "ssno"], |n| !is_same(n));

pub(in crate::detect) static MAURITIAN_ID: National = of(&["A999999999999X"], &[], &["nid", "nicmauritius"], |n| {
    // The alphabet ends the remainders by 17 with A to G.
    let sum: u32 = n[..13].iter().enumerate().map(|(at, place)| (14 - at as u32) * place).sum();
    is_dmy(&n[1..]) && (17 - sum % 17) % 17 == n[13]
});

pub(in crate::detect) static KENYAN_PIN: National =
    of(&[], &["A999999999A"], &["krapin", "kra", "taxpin"], |n| matches!(letter(n[0]), b'A' | b'P'));

pub(in crate::detect) static GHANAIAN_TIN: National =
    of(&[], &["A9999999999", "A999999999X"], &["ghanatin", "ghtin"], |n| {
        let sum: u32 = n[1..10].iter().zip(1..).map(|(n, weight)| n * weight).sum();
        matches!(letter(n[0]), b'P' | b'C' | b'G' | b'Q' | b'V')
            && if sum % 11 == 10 { letter(n[10]) == b'X' } else { sum % 11 == n[10] }
    });

pub(in crate::detect) static GHANA_CARD: National =
    of(&["GHA-999999999-9"], &[], &["ghanacard"], |n| !is_same(&n[3..]));

/// Nigeria: eleven digits, which only the key tells.
pub(in crate::detect) static NIGERIAN_NIN: National =
    of(&[], &["99999999999"], &["bvn", "ninnumber", "bankverificationnumber"], |n| !is_same(n));

pub(in crate::detect) static SOUTH_AFRICAN_TAX_NUMBER: National =
    of(&[], &["9999999999"], &["incometaxnumber", "sarsnumber"], |n| matches!(n[0], 0..=3 | 9) && luhn(n));
