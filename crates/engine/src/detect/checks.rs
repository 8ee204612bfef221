//! Check digits and grammars of single values. All take the whole value and allocate nothing unless said.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::phone;

/// A token longer than this is not decoded to see whether it is a JWT.
const JWT_BYTES_MAX: usize = 16 * 1024;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const BASE64URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// A payment card: 12 to 19 digits, alone or grouped by single spaces or dashes, of a known issuer, and the Luhn sum.
pub fn is_credit_card(value: &str) -> bool {
    let bytes = value.as_bytes();
    if !(12..=23).contains(&bytes.len()) || !bytes[0].is_ascii_digit() || !bytes[bytes.len() - 1].is_ascii_digit() {
        return false;
    }
    let mut digits = [0u8; 23];
    let mut count = 0;
    let mut separated = false;
    for &byte in bytes {
        match byte {
            b'0'..=b'9' => {
                digits[count] = byte - b'0';
                count += 1;
                separated = false;
            }
            b' ' | b'-' if !separated => separated = true,
            _ => return false,
        }
    }
    let digits = &digits[..count];
    has_issuer(digits) && luhn(digits)
}

fn has_issuer(digits: &[u8]) -> bool {
    let prefix = |count: usize| digits.iter().take(count).fold(0u32, |sum, digit| sum * 10 + u32::from(*digit));
    let (two, three, four) = (prefix(2), prefix(3), prefix(4));
    match digits.len() {
        12 => matches!(two, 50 | 56..=58 | 67),
        13 => digits[0] == 4 || matches!(two, 50 | 56..=58 | 67),
        14 => matches!(three, 300..=305 | 309) || matches!(two, 36 | 38 | 39),
        15 => matches!(two, 34 | 37) || matches!(four, 1800 | 2131),
        16..=19 => {
            (matches!(digits.len(), 16 | 19) && digits[0] == 4)
                || (digits.len() == 16 && (matches!(two, 51..=55) || (2221..=2720).contains(&four)))
                || (3528..=3589).contains(&four)
                || four == 6011
                || matches!(two, 50 | 56..=58 | 60 | 62 | 63 | 65 | 67)
                || matches!(three, 644..=649)
        }
        _ => false,
    }
}

/// The sum of ISO/IEC 7812 over digits 0 to 9.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, &digit)| {
            let doubled = u32::from(digit) * if index % 2 == 1 { 2 } else { 1 };
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// A United States social security number written 3-2-4; the area, group and serial that are never issued are not.
pub fn is_ssn(value: &str) -> bool {
    let bytes = value.as_bytes();
    if bytes.len() != 11 || bytes[3] != b'-' || bytes[6] != b'-' {
        return false;
    }
    if !bytes.iter().enumerate().all(|(index, byte)| matches!(index, 3 | 6) || byte.is_ascii_digit()) {
        return false;
    }
    let (area, group, serial) = (&value[..3], &value[4..6], &value[7..]);
    area != "000" && area != "666" && !area.starts_with('9') && group != "00" && serial != "0000"
}

/// 8-4-4-4-12 letters and digits.
pub fn is_uuid(value: &str) -> bool {
    let bytes = value.as_bytes();
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_alphanumeric(),
        })
}

/// A vehicle identification number with the check digit of ISO 3779 in its ninth place, in any case.
pub fn is_vin(value: &str) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let bytes = value.as_bytes();
    if bytes.len() != 17 {
        return false;
    }
    let mut sum = 0;
    let mut letters = 0;
    for (byte, weight) in bytes.iter().zip(WEIGHTS) {
        let upper = byte.to_ascii_uppercase();
        let number = match upper {
            b'0'..=b'9' => upper - b'0',
            b'A'..=b'H' => upper - b'A' + 1,
            b'J'..=b'N' => upper - b'J' + 1,
            b'P' => 7,
            b'R' => 9,
            b'S'..=b'Z' => upper - b'S' + 2,
            _ => return false,
        };
        letters += u32::from(upper.is_ascii_alphabetic());
        sum += u32::from(number) * weight;
    }
    let check = match sum % 11 {
        10 => b'X',
        digit => b'0' + digit as u8,
    };
    // Seventeen digits alone are a counter or a time far more often than a vehicle.
    letters > 0 && bytes[8].to_ascii_uppercase() == check
}

/// An e-mail address of at most 254 bytes: a local part, dotted labels, a last label of 2 to 24 letters that is no ending
/// of a file: `logo@2x.png` is a picture. Letters beyond ASCII count as letters (RFC 6531).
pub fn is_email(value: &str) -> bool {
    let Some((local, domain)) = value.split_once('@') else { return false };
    if value.len() > 254 || local.is_empty() || local.len() > 64 {
        return false;
    }
    let mut atoms = local.split('.');
    if !atoms.all(|atom| {
        let fits = |letter: char| letter.is_alphanumeric() || "_+&*-%'".contains(letter);
        !atom.is_empty() && atom.chars().all(fits)
    }) {
        return false;
    }
    let Some((labels, top)) = domain.rsplit_once('.') else { return false };
    const FILES: [&str; 18] = [
        "png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "bmp", "ico", "tiff", "css", "js", "json", "html", "pdf",
        "woff", "heic", "psd",
    ];
    (2..=24).contains(&top.len())
        && !FILES.iter().any(|file| file.eq_ignore_ascii_case(top))
        && (top.chars().all(char::is_alphabetic) || top.starts_with("xn--"))
        && labels.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|letter| letter.is_alphanumeric() || letter == '-')
        })
}

/// The address of a value, which may stand behind a name: `Kim Lee <kim@shop.de>`.
pub fn email_of(value: &str) -> Option<&str> {
    let value = value.trim();
    let address = match value.strip_suffix('>').and_then(|front| front.rsplit_once('<')) {
        Some((_, address)) => address,
        None => value.strip_prefix("mailto:").unwrap_or(value),
    };
    (is_email(address) && (address.len() == value.len() || value.ends_with('>'))).then_some(address)
}

/// An address whose domain is reserved for examples and tests.
pub fn is_reserved_email(value: &str) -> bool {
    let domain = value.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
    ["example.com", "example.org", "example.net"]
        .iter()
        .any(|reserved| domain.strip_suffix(reserved).is_some_and(|front| front.is_empty() || front.ends_with('.')))
        || [".test", ".invalid", ".example", ".localhost"].iter().any(|top| domain.ends_with(top))
}

/// A URL of one of the schemes that carry a host, or `mailto:` and `news:`, with something behind it and no blanks.
pub fn is_url(value: &str) -> bool {
    const SCHEMES: [&str; 9] =
        ["https://", "http://", "ftp://", "ftps://", "gopher://", "telnet://", "nntp://", "mailto:", "news:"];
    let may_begin = value.as_bytes().first().is_some_and(|first| b"hfgtnmHFGTNM".contains(first));
    may_begin
        && SCHEMES.iter().any(|scheme| {
            value.len() > scheme.len()
                && value.as_bytes()[..scheme.len()].eq_ignore_ascii_case(scheme.as_bytes())
                && value.as_bytes()[scheme.len()].is_ascii_alphanumeric()
                && !value.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control())
        })
}

/// Three dotted parts in base64url or base64, the first an object with `alg`, the second an object. Decodes, so it
/// allocates.
pub fn is_jwt(value: &str) -> bool {
    if value.len() > JWT_BYTES_MAX || !value.starts_with("ey") {
        return false;
    }
    let mut parts = value.split('.');
    let (Some(header), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let header: Option<serde_json::Value> = decode_base64(header).and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let payload: Option<serde_json::Value> =
        decode_base64(payload).and_then(|bytes| serde_json::from_slice(&bytes).ok());
    header.is_some_and(|header| header.get("alg").is_some()) && payload.is_some_and(|payload| payload.is_object())
}

/// The payload of a JWT as text; nothing when the value is no JWT.
pub fn jwt_payload(value: &str) -> Option<String> {
    if !is_jwt(value) {
        return None;
    }
    value.split('.').nth(1).and_then(decode_base64).and_then(|bytes| String::from_utf8(bytes).ok())
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    BASE64URL.decode(text).or_else(|_| BASE64.decode(text)).ok()
}

/// An international phone number: `+`, a country code and a national number that the numbering plan knows.
pub fn is_phone_number(value: &str) -> bool {
    let bytes = value.as_bytes();
    if !(8..=20).contains(&bytes.len()) || bytes[0] != b'+' || bytes[1] == b'0' {
        return false;
    }
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    if !(7..=15).contains(&digits) || !bytes[1..].iter().all(|byte| byte.is_ascii_digit() || b" -().".contains(byte)) {
        return false;
    }
    phone::is_valid(value)
}

/// A telephone number as it is written at home, or with `00` in front of the country's code. The key has said that it is
/// one.
pub fn is_national_phone_number(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    if !(7..=15).contains(&digits) || !value.bytes().all(|byte| byte.is_ascii_digit() || b" -()./+".contains(&byte)) {
        return false;
    }
    if let Some(rest) = value.strip_prefix("00") {
        return phone::is_valid(&format!("+{rest}"));
    }
    // A number of a plan that the value does not name; most have nine digits or more.
    let first = value.bytes().find(u8::is_ascii_digit);
    let is_one_digit = value.bytes().filter(u8::is_ascii_digit).all(|digit| Some(digit) == first);
    !is_one_digit && (9..=12).contains(&digits)
}

/// A North American number with its area in parentheses: `(415) 555-2671`.
pub fn is_bracketed_phone_number(value: &str) -> bool {
    let bytes = value.as_bytes();
    if !(13..=14).contains(&bytes.len()) || bytes[0] != b'(' || bytes[4] != b')' {
        return false;
    }
    let digits: String = value.chars().filter(char::is_ascii_digit).collect();
    digits.len() == 10
        && value.bytes().all(|byte| byte.is_ascii_digit() || b"() -.".contains(&byte))
        && phone::is_valid(&format!("+1{digits}"))
}

/// A telephone number that is kept free for films and documents: 555-0100 to 555-0199 of North America, and the ranges
/// that the United Kingdom and Australia name for drama.
pub fn is_reserved_phone_number(value: &str) -> bool {
    let digits: String = value.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.strip_prefix("00").unwrap_or(&digits);
    let is_american = |rest: &str| rest.len() == 10 && &rest[3..8] == "55501";
    let drama =
        ["447700900", "442079460", "441632960", "441134960", "441144960", "441154960", "441164960", "441174960"];
    is_american(digits)
        || digits.strip_prefix('1').is_some_and(is_american)
        || drama.iter().any(|front| digits.starts_with(front))
        || ["6125550", "6135550", "6175550", "6185550", "61491570"].iter().any(|front| digits.starts_with(front))
}

/// A vehicle identification number of Europe, whose makers use the ninth place as they like: a region from S to Z, and
/// a serial number of at least four digits. The key has said that it is one.
pub fn is_european_vin(value: &str) -> bool {
    let bytes = value.as_bytes();
    bytes.len() == 17
        && (b'S'..=b'Z').contains(&bytes[0].to_ascii_uppercase())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() && !b"IOQioq".contains(byte))
        && bytes[13..].iter().all(u8::is_ascii_digit)
}

/// Lengths that ISO 13616 registers, by country.
const IBAN_LENGTHS: &[(&[u8; 2], usize)] = &[
    (b"BI", 27),
    (b"DJ", 27),
    (b"FK", 18),
    (b"MN", 20),
    (b"NI", 28),
    (b"OM", 23),
    (b"RU", 33),
    (b"SO", 23),
    (b"YE", 30),
    (b"HN", 28),
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NL", 18),
    (b"NO", 15),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
];

/// An IBAN, spaces between groups allowed: of the length that is registered for its country,
/// with the remainder 1 by 97.
pub fn is_iban(value: &str) -> bool {
    let mut count = 0;
    let compact = || value.bytes().filter(|byte| *byte != b' ');
    for (index, byte) in compact().enumerate() {
        let fits = match index {
            0 | 1 => byte.is_ascii_uppercase(),
            2 | 3 => byte.is_ascii_digit(),
            _ => byte.is_ascii_digit() || byte.is_ascii_uppercase(),
        };
        if !fits {
            return false;
        }
        count += 1;
    }
    let mut letters = compact();
    let country = [letters.next().unwrap_or_default(), letters.next().unwrap_or_default()];
    let registered = IBAN_LENGTHS.iter().find(|(known, _)| **known == country);
    if registered.is_none_or(|(_, length)| *length != count) {
        return false;
    }
    let remainder = compact().skip(4).chain(compact().take(4)).fold(0u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    remainder == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_need_an_issuer_and_the_sum() {
        for card in [
            "4111111111111111",
            "4012 8888 8888 1881",
            "5555-5555-5555-4444",
            "2223003122003222",
            "378282246310005",
            "6011111111111117",
            "30569309025904",
            "3530111333300000",
            "4222222222222",
            "6200000000000005",
        ] {
            assert!(is_credit_card(card), "{card}");
        }
        for text in [
            "4111111111111112",
            "1756885500123456",
            "0000000000000000",
            "4111--1111-1111-1111",
            "4111 1111 1111 111a",
            "41111111111",
            " 4111111111111111",
            "9999999999999995",
        ] {
            assert!(!is_credit_card(text), "{text}");
        }
    }

    #[test]
    fn social_security_numbers_that_are_never_issued_are_none() {
        assert!(is_ssn("123-45-6789"));
        for text in
            ["000-45-6789", "666-45-6789", "900-45-6789", "123-00-6789", "123-45-0000", "123456789", "12-345-6789"]
        {
            assert!(!is_ssn(text), "{text}");
        }
    }

    #[test]
    fn vehicles_need_the_check_digit() {
        assert!(is_vin("1HGCM82633A004352"));
        assert!(is_vin("1m8gdm9axkp042788"));
        assert!(!is_vin("1HGCM82633A004353"));
        assert!(!is_vin("11111111111111111"));
        assert!(!is_vin("1HGCM82633A00435O"));
    }

    #[test]
    fn addresses_of_mail_follow_the_grammar() {
        for text in
            ["a@b.co", "first.last+tag@mail.example.museum", "o_o-o@x1.org", "kim@studio.photography", "a@b.engineer"]
        {
            assert!(is_email(text), "{text}");
        }
        for text in [
            "@b.co",
            "a@b",
            "a@b.c",
            "a..b@c.de",
            "a@-b.de",
            "a b@c.de",
            "a@b@c.de",
            "a@1.2.3.4",
            "logo@2x.png",
            "a@b.JPEG",
        ] {
            assert!(!is_email(text), "{text}");
        }
        assert!(is_reserved_email("x@mail.EXAMPLE.com"));
        assert!(is_reserved_email("x@shop.test"));
        assert!(!is_reserved_email("x@myexample.com"));
    }

    #[test]
    fn tokens_decode_in_both_alphabets() {
        let token = |header: &str, payload: &str, engine: &GeneralPurpose| {
            format!("{}.{}.c2ln", engine.encode(header), engine.encode(payload))
        };
        let good = token(r#"{"alg":"HS256"}"#, r#"{"sub":"ÿ?>~"}"#, &BASE64URL);
        assert!(is_jwt(&good));
        assert!(is_jwt(&token(r#"{"alg":"HS256"}"#, r#"{"sub":"ÿ?>~"}"#, &BASE64)));
        assert_eq!(jwt_payload(&good).unwrap(), r#"{"sub":"ÿ?>~"}"#);
        assert!(!is_jwt(&token(r#"{"typ":"JWT"}"#, "{}", &BASE64URL)));
        assert!(!is_jwt(&token(r#"{"alg":"HS256"}"#, "7", &BASE64URL)));
        assert!(!is_jwt("eyJh.eyJh"));
        assert!(!is_jwt("ey..."));
    }

    #[test]
    fn phone_numbers_need_a_country_code_and_a_plan() {
        for text in ["+919876543210", "+1 415-555-2671", "+44 20 7946 0958", "+14155552671"] {
            assert!(is_phone_number(text), "{text}");
        }
        for text in ["4155552671", "+1415555", "+999123456789", "+1 415 555 267a", "+00000000000"] {
            assert!(!is_phone_number(text), "{text}");
        }
    }

    #[test]
    fn accounts_need_the_remainder() {
        assert!(is_iban("GB82 WEST 1234 5698 7654 32"));
        assert!(is_iban("DE89370400440532013000"));
        assert!(!is_iban("DE88370400440532013000"));
        assert!(!is_iban("DE89"));
    }

    #[test]
    fn links_need_a_scheme_and_a_host() {
        for text in ["https://a.b/c?d=e", "HTTP://localhost", "mailto:a@b.co", "ftp://x/y"] {
            assert!(is_url(text), "{text}");
        }
        for text in ["https://", "http:// a", "www.example.com", "https://a b", "httpx://a", "ж"] {
            assert!(!is_url(text), "{text}");
        }
    }
}
