use super::*;

fn text(value: &str) -> &'static str {
    Detectors::default().detect_text("value", value).sub_type.name()
}

#[test]
fn values_find_their_subtype() {
    let table = [
        ("", "GENERIC"),
        ("hello", "GENERIC"),
        ("12", "INTEGER_32"),
        ("-12", "INTEGER_32"),
        ("2147483648", "INTEGER_64"),
        ("123456789012345678", "INTEGER_64"),
        ("12345678901234567890", "FLOAT"),
        ("1.5", "FLOAT"),
        ("1.5e-3", "FLOAT"),
        ("12e4", "GENERIC"),
        ("1.2.3", "GENERIC"),
        ("-", "GENERIC"),
        (".", "GENERIC"),
        ("4111 1111 1111 1111", "CREDIT_CARD"),
        ("4111111111111111", "CREDIT_CARD"),
        ("a@b.co", "EMAIL"),
        ("https://a.b", "URL"),
        ("123-45-6789", "SSN"),
        ("3f2504e0-4f89-11d3-9a0c-0305e82c3301", "UUID"),
        ("+14155552671", "PHONE_NUMBER"),
        ("8.8.8.8", "IP_ADDRESS"),
        ("08.8.8.8", "GENERIC"),
        ("2a00:1450::200e", "IP_ADDRESS"),
        ("12:30", "GENERIC"),
        ("1HGCM82633A004352", "VIN"),
        (" 1hgcm82633a004352 ", "VIN"),
        ("AKIAIOSFODNN7EXAMPLE", "AWS ACCESS KEY ID"),
        ("https://bucket-one.s3.eu-west-1.amazonaws.com/key", "AWS S3 BUCKET URL"),
        ("https://sqs.us-east-1.amazonaws.com/123456789012/queue", "AWS SQS URL"),
        ("db1.abc.us-east-1.rds.amazonaws.com:5432", "AWS RDS URL"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "JWT"),
    ];
    for (value, expected) in table {
        assert_eq!(text(value), expected, "{value}");
    }
}

#[test]
fn keys_speak_before_values() {
    let detectors = Detectors::default();
    assert_eq!(detectors.detect_text("user_name", "a@b.co").sub_type.name(), "USERNAME");
    assert_eq!(detectors.detect_text("newPassword", "4111111111111111").sub_type.name(), "PASSWORD");
    assert_eq!(detectors.detect_text("pin", "1234").sub_type, SubType::Integer32);
    let all = Detectors::new(PiiType::all());
    assert_eq!(all.detect_text("card-pin", "1234").sub_type.name(), "PIN");
    assert_eq!(all.detect_text("shipping", "fast").sub_type, SubType::Generic);
    assert_eq!(all.detect_text("x", "GB82 WEST 1234 5698 7654 32").sub_type.name(), "IBAN EUROPE");
    assert_eq!(all.detect_text("x", "ABCDE9458J").sub_type.name(), "PAN CARD");
    assert_eq!(all.detect_text("x", "ACDE9458J").sub_type, SubType::Generic);
}

#[test]
fn counters_and_versions_are_no_personal_data() {
    let detectors = Detectors::default();
    let number = |key: &str| detectors.detect_number(key, "4111111111111111").sub_type;
    assert_eq!(number("cardNumber"), SubType::CreditCard);
    assert_eq!(number("timestamp"), SubType::Integer64);
    assert_eq!(number("visitor_id"), SubType::Integer64);
    assert_eq!(detectors.detect_text("sessionId", "4111111111111111").sub_type, SubType::Integer64);
    assert_eq!(detectors.detect_text("osVersion", "10.0.1.1").sub_type, SubType::Generic);
}

#[test]
fn secrets_and_identities_are_sensitive_by_default_and_placeholders_are_not() {
    let detectors = Detectors::default();
    let everywhere = [Position::RequestPayload, Position::ResponsePayload];
    for (key, value) in [
        ("password", "Winter-2031"),
        ("kennwort", "Winter-2031"),
        ("note", "GB82 WEST 1234 5698 7654 32"),
        ("note", "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----"),
        ("note", "890.952.579-75"),
        ("url", "mysql://app:s3cret@db/app"),
        ("client_secret", "q8W2er7T5y9U1i3O6p"),
    ] {
        let found = detectors.detect_text(key, value);
        let is_sensitive = |position| !found.reserved && detectors.is_sensitive_at(found.sub_type, position);
        assert!(everywhere.into_iter().all(is_sensitive), "{key} {value}: {found:?}");
    }
    for value in ["********", "<password>", "${DB_PASSWORD}", "string"] {
        let found = detectors.detect_text("password", value);
        assert_eq!((found.sub_type.name(), found.reserved), ("PASSWORD", true), "{value}");
    }
    assert_eq!(detectors.detect_credential("authorization", "Basic a2ltOldpbg==").name(), "BASIC CREDENTIALS");
    assert_eq!(detectors.detect_credential("cookie", "theme=dark; PHPSESSID=8f3d2c1ba0f9").name(), "SESSION COOKIE");
    assert_eq!(detectors.detect_credential("cookie", "theme=darkness").name(), "GENERIC");
    assert_eq!(detectors.detect_credential("authorization", "Bearer abc").name(), "GENERIC");
    let digits = detectors.detect_number("pesel", "44051401359").sub_type;
    assert_eq!(digits.name(), "POLISH PERSONAL NUMBER");
    assert_eq!(detectors.detect_number("n", "44051401359").sub_type, SubType::Integer64);
    assert!(detectors.detect_text("phone", "+1 212 555 0123").reserved);
}

#[test]
fn examples_are_reserved() {
    let detectors = Detectors::default();
    for value in ["192.0.2.7", "127.0.0.1", "::1", "2001:db8::1", "a@example.com", "a@x.test"] {
        assert!(detectors.detect_text("v", value).reserved, "{value}");
    }
    for value in ["8.8.8.8", "a@b.co", "192.0.3.1"] {
        assert!(!detectors.detect_text("v", value).reserved, "{value}");
    }
}

#[test]
fn numbers_of_any_length_have_a_subtype() {
    let detectors = Detectors::default();
    for (digits, expected) in [
        ("0", SubType::Integer32),
        ("-2147483649", SubType::Integer64),
        ("1e999", SubType::Float),
        ("1.0", SubType::Float),
    ] {
        assert_eq!(detectors.detect_number("n", digits).sub_type, expected);
    }
    assert_eq!(detectors.detect_number("n", &"9".repeat(100_000)).sub_type, SubType::Float);
}

#[test]
fn an_account_says_where_a_built_in_kind_is_sensitive() {
    let password = PiiType::from_name("PASSWORD").map(SubType::Pii).unwrap();
    let set = [(password, true, Vec::new()), (SubType::Email, false, vec![Position::ResponsePayload])];
    let detectors = Detectors::default().with_sensitivity(set);
    assert!(detectors.is_sensitive_at(password, Position::RequestPayload));
    assert!(!detectors.is_sensitive_at(SubType::Email, Position::RequestPayload));
    assert!(detectors.is_sensitive_at(SubType::Email, Position::ResponsePayload));
    assert!(detectors.is_sensitive_at(SubType::Ssn, Position::RequestPayload));
}
