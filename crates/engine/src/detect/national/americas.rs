//! Identifiers of the Americas beside those of [`super::world`].

use crate::detect::checksum::{luhn, number, weighted};

use super::{National, is_same, is_ymd, letter, of};

/// A number for the time of an adoption.
pub(in crate::detect) static US_ATIN: National =
    of(&["999-93-9999"], &["999939999"], &["atin"], |n| n[0] == 9 && number(&n[3..5]) == 93);

/// A preparer of tax returns.
pub(in crate::detect) static US_PTIN: National = of(&[], &["A99999999"], &["ptin"], |n| letter(n[0]) == b'P');

pub(in crate::detect) static CANADIAN_HEALTH_NUMBER: National = of(
    &[],
    &["9999999999", "9999 999 999", "9999-999-999"],
    &["phn", "healthnumber", "healthcard", "healthcardnumber", "ohip"],
    |n| {
        let columbian = || {
            let products = n[1..9].iter().zip([2, 4, 8, 5, 10, 9, 7, 3]).map(|(n, weight)| n * weight % 11);
            n[0] == 9 && (11 - products.sum::<u32>() % 11) % 11 == n[9]
        };
        !is_same(n) && (columbian() || luhn(n))
    },
);

/// Argentina: seven or eight digits, which only the key tells.
pub(in crate::detect) static ARGENTINE_DNI: National =
    of(&[], &["99999999", "99.999.999", "9.999.999"], &["dni", "documento", "nrodocumento"], |n| !is_same(n));

pub(in crate::detect) static PERUVIAN_DNI: National =
    of(&["99999999-9"], &["999999999"], &["dni", "cui", "documento"], |n| {
        let sum = weighted(n, &[3, 2, 7, 6, 5, 4, 3, 2]);
        [6, 5, 4, 3, 2, 1, 1, 0, 9, 8, 7][(sum % 11) as usize] == n[8]
    });

pub(in crate::detect) static COSTA_RICAN_ID: National =
    of(&[], &["99-9999-9999", "9-9999-9999", "999999999"], &["cedula", "cpf", "cedulajuridica"], |n| !is_same(n));

pub(in crate::detect) static CUBAN_ID: National =
    of(&[], &["99999999999"], &["ni", "numeroidentidad", "carnetidentidad"], is_ymd);

pub(in crate::detect) static DOMINICAN_CEDULA: National =
    of(&["999-9999999-9"], &["99999999999"], &["cedula"], |n| !is_same(n) && luhn(n));

pub(in crate::detect) static VENEZUELAN_RIF: National =
    of(&["A-99999999-9"], &["A999999999"], &["rif", "cedula"], |n| {
        let kind = match letter(n[0]) {
            b'V' => 4,
            b'E' => 8,
            b'J' => 12,
            b'P' => 16,
            b'G' => 20,
            _ => return false,
        };
        let sum = kind + weighted(&n[1..], &[3, 2, 7, 6, 5, 4, 3, 2]);
        [0, 0, 9, 8, 7, 6, 5, 4, 3, 2, 1][(sum % 11) as usize] == n[9]
    });

pub(in crate::detect) static COLOMBIAN_NIT: National =
    of(&[], &["999999999-9", "999.999.999-9", "9999999999"], &["nit", "cedula", "nuip"], |n| {
        let (check, digits) = n.split_last().unwrap_or((&0, &[]));
        let weights = [3, 7, 13, 17, 19, 23, 29, 37, 41, 43];
        let sum: u32 = digits.iter().rev().zip(weights).map(|(n, weight)| n * weight).sum();
        [0, 1, 9, 8, 7, 6, 5, 4, 3, 2, 1][(sum % 11) as usize] == *check
    });

/// Colombia: the number of a citizen, eight to ten digits, which only the key tells.
pub(in crate::detect) static COLOMBIAN_NUIP: National =
    of(&[], &["99999999", "9999999999", "9.999.999.999", "99.999.999"], &["nuip", "cedulaciudadania", "cedula"], |n| {
        !is_same(n)
    });

pub(in crate::detect) static URUGUAYAN_ID: National =
    of(&["9.999.999-9"], &["99999999", "9999999-9"], &["cedula", "cedulaidentidad"], |n| {
        !is_same(n) && weighted(n, &[2, 9, 8, 7, 6, 3, 4, 1]).is_multiple_of(10)
    });

pub(in crate::detect) static MEXICAN_SOCIAL_SECURITY_NUMBER: National =
    of(&[], &["99999999999", "99-99-99-9999-9"], &["nss", "imss", "numeroimss"], |n| !is_same(n) && luhn(n));

/// An employer, or a person who is one.
pub(in crate::detect) static US_EMPLOYER_NUMBER: National =
    of(&[], &["99-9999999"], &["ein", "fein", "employerid", "federaltaxid"], |n| !is_same(n));
