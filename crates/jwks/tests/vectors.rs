//! The examples of RFC 7515 (appendix A), RFC 7520 (section 4) and RFC 8037 (appendix A).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portolan_jwks::{Compact, Jws, JwsError, Key, KeySet};
use serde_json::json;

const A1_TOKEN: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const A1_SECRET: &str = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
const A2_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
const A2_MODULUS: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const A3_TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
const A4_TOKEN: &str = "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
const A5_TOKEN: &str = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.";
/// Section 4 of RFC 7520 signs this text, which is no set of claims.
const COOKBOOK_PAYLOAD: &str = "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4";
const COOKBOOK_MODULUS: &str = "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw";
const COOKBOOK_RS256: &str = "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg";
const COOKBOOK_PS384: &str = "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw";
const COOKBOOK_SECRET: &str = "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg";
const COOKBOOK_HS256: &str = "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0";
const EDWARDS_TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

fn bytes(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn rsa(modulus: &str) -> Key {
    Key::from_jwk(&json!({"kty": "RSA", "n": modulus, "e": "AQAB"})).unwrap()
}

/// The key verifies the token, and no longer when any of its three parts has changed.
#[track_caller]
fn check(token: &str, key: &Key) {
    assert_eq!(Compact::parse(token).unwrap().verify(key), Ok(()));
    for position in (0..token.len()).step_by(7) {
        let mut other = token.as_bytes().to_vec();
        other[position] = if other[position] == b'A' { b'B' } else { b'A' };
        let other = String::from_utf8(other).unwrap();
        let outcome = Compact::parse(&other).and_then(|token| token.verify(key));
        assert!(outcome.is_err(), "still good after a change at {position}");
    }
}

#[test]
fn rfc_7515_a1_hmac() {
    check(A1_TOKEN, &Key::hmac(&bytes(A1_SECRET)).unwrap());
    let claims = Jws::parse(A1_TOKEN).unwrap().claims;
    assert_eq!(json!(claims), json!({"iss": "joe", "exp": 1_300_819_380, "http://example.com/is_root": true}));
}

#[test]
fn rfc_7515_a2_rsa() {
    check(A2_TOKEN, &rsa(A2_MODULUS));
}

#[test]
fn rfc_7515_a3_elliptic_curve() {
    let jwk = json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    check(A3_TOKEN, &Key::from_jwk(&jwk).unwrap());
}

/// ES512 is no algorithm of any key here: A.4 and section 4.3 of RFC 7520 are refused by name, whatever they sign.
#[test]
fn es512_is_refused() {
    assert_eq!(Compact::parse(A4_TOKEN).unwrap_err(), JwsError::AlgorithmUnknown);
    let header = json!({"alg": "ES512", "kid": "bilbo.baggins@hobbiton.example"});
    let cookbook = format!("{}.{COOKBOOK_PAYLOAD}.AA", URL_SAFE_NO_PAD.encode(header.to_string()));
    assert_eq!(Compact::parse(&cookbook).unwrap_err(), JwsError::AlgorithmUnknown);
    let key = json!({"kty": "EC", "crv": "P-521", "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4XwVUHmhPn3hIc", "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"});
    assert!(Key::from_jwk(&key).is_err());
}

/// The JSON serializations of A.6 and A.7 are no tokens: only the compact one is read.
#[test]
fn rfc_7515_a6_a7_json_is_refused() {
    let (header, rest) = A2_TOKEN.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    let flat = json!({"payload": payload, "protected": header, "signature": signature});
    let general = json!({"payload": payload, "signatures": [{"protected": header, "signature": signature}]});
    for text in [flat.to_string(), general.to_string()] {
        assert!(Compact::parse(&text).is_err(), "{text}");
    }
}

/// A header that does not say how it is signed, or says it twice over, is refused (appendix E of RFC 7515, and 4.1.11).
#[test]
fn rfc_7515_e_unknown_extensions_are_refused() {
    let header = json!({"alg": "none", "crit": ["http://example.com/UNDEFINED"], "http://example.com/UNDEFINED": true});
    let token = format!("{}.RkFJTA.", URL_SAFE_NO_PAD.encode(header.to_string()));
    assert!(Compact::parse(&token).is_err());
}

#[test]
fn rfc_7515_a5_unsecured_is_refused() {
    assert_eq!(Jws::parse(A5_TOKEN).unwrap_err(), JwsError::AlgorithmUnknown);
}

#[test]
fn rfc_7520_cookbook() {
    let token = |header: serde_json::Value, signature: &str| {
        format!("{}.{COOKBOOK_PAYLOAD}.{signature}", URL_SAFE_NO_PAD.encode(header.to_string()))
    };
    let bilbo = "bilbo.baggins@hobbiton.example";
    check(&token(json!({"alg": "RS256", "kid": bilbo}), COOKBOOK_RS256), &rsa(COOKBOOK_MODULUS));
    check(&token(json!({"alg": "PS384", "kid": bilbo}), COOKBOOK_PS384), &rsa(COOKBOOK_MODULUS));
    let hmac = token(json!({"alg": "HS256", "kid": "018c0ae5-4d9b-471b-bfd6-eef314bc7037"}), COOKBOOK_HS256);
    check(&hmac, &Key::hmac(&bytes(COOKBOOK_SECRET)).unwrap());
    assert_eq!(Jws::parse(&hmac).unwrap_err(), JwsError::Claims);
}

#[test]
fn rfc_8037_a4_edwards() {
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    check(EDWARDS_TOKEN, &Key::from_jwk(&jwk).unwrap());
}

#[test]
fn a_set_finds_the_key_of_a_token() {
    let set = json!({"keys": [
        {"kty": "RSA", "kid": "2011-04-29", "alg": "RS256", "n": A2_MODULUS, "e": "AQAB"},
        {"kty": "RSA", "kid": "cookbook", "n": COOKBOOK_MODULUS, "e": "AQAB"},
        {"kty": "oct", "kid": "secret", "k": A1_SECRET},
        {"kty": "EC", "crv": "secp256k1", "kid": "unknown", "x": "AA", "y": "AA"},
        {"kty": "RSA", "kid": "encryption", "use": "enc", "n": A2_MODULUS, "e": "AQAB"},
    ]});
    let set = KeySet::parse(set.to_string().as_bytes()).unwrap();
    assert_eq!(set.len(), 2, "secrets, unknown curves and encryption keys are left out");
    let token = Compact::parse(A2_TOKEN).unwrap();
    let good = |kid| set.candidates(kid, token.algorithm).filter(|key| token.verify(key).is_ok()).count();
    assert_eq!(good(Some("2011-04-29")), 1);
    assert_eq!(good(Some("cookbook")), 0);
    assert_eq!(good(Some("secret")), 0);
    assert_eq!(good(None), 0, "without a kid two keys fit, so none is chosen");
}
