//! What an attacker writes into a token; each form is refused for its own reason.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm as Signer, EncodingKey, crypto::sign};
use portolan_jwks::{Compact, Jws, JwsError, Key, KeyError, KeySet, SetError, TOKEN_BYTES_MAX};
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::{Value, json};

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn signed(header: &Value, payload: &str, secret: &[u8]) -> String {
    let input = format!("{}.{}", part(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = sign(input.as_bytes(), &EncodingKey::from_secret(secret), Signer::HS256).unwrap();
    format!("{input}.{signature}")
}

/// Made for these tests; they protect nothing.
fn rsa() -> KeyPair {
    KeyPair::from_pem(include_str!("data/trusted.pem")).unwrap()
}

fn rsa_of_attacker() -> KeyPair {
    KeyPair::from_pem(include_str!("data/attacker.pem")).unwrap()
}

fn signed_rs256(header: &Value, key: &KeyPair) -> String {
    let input = format!("{}.{}", part(header), part(&json!({"sub": "x"})));
    let signer = EncodingKey::from_rsa_pem(key.serialize_pem().as_bytes()).unwrap();
    format!("{input}.{}", sign(input.as_bytes(), &signer, Signer::RS256).unwrap())
}

#[track_caller]
fn refused(token: &str, reason: JwsError) {
    assert_eq!(Jws::parse(token).unwrap_err(), reason, "{token}");
}

#[test]
fn an_algorithm_is_taken_from_the_key_alone() {
    let key = rsa();
    let pem = key.public_key_pem();
    let verifier = Key::rsa_text(&pem).unwrap();
    assert_eq!(Compact::parse(&signed_rs256(&json!({"alg": "RS256"}), &key)).unwrap().verify(&verifier), Ok(()));
    // The public key is no secret: a token signed with its text or its bytes as one must not pass.
    for material in [pem.as_bytes(), pem.trim().as_bytes(), &key.subject_public_key_info(), key.der_bytes()] {
        let forged = signed(&json!({"alg": "HS256"}), "{}", material);
        let outcome = Jws::parse(&forged).unwrap().compact.verify(&verifier);
        assert_eq!(outcome, Err(JwsError::AlgorithmNotOfKey));
    }
    let secret = Key::hmac(b"a shared secret of 32 bytes here").unwrap();
    let outcome = Compact::parse(&signed_rs256(&json!({"alg": "RS256"}), &key)).unwrap().verify(&secret);
    assert_eq!(outcome, Err(JwsError::AlgorithmNotOfKey));
    // A right signature under the name of a sibling algorithm.
    let renamed = signed_rs256(&json!({"alg": "RS512"}), &key);
    assert_eq!(Compact::parse(&renamed).unwrap().verify(&verifier), Err(JwsError::Signature));
    let pss = signed_rs256(&json!({"alg": "PS256"}), &key);
    assert_eq!(Compact::parse(&pss).unwrap().verify(&verifier), Err(JwsError::AlgorithmNotOfKey));
}

#[test]
fn names_of_algorithms_are_exact() {
    for name in ["none", "None", "NONE", "nOnE", "", "hs256", "HS256 ", "HS384", "HS512", "RS1", "ES512", "ES256K"] {
        refused(&signed(&json!({"alg": name}), "{}", b"secret"), JwsError::AlgorithmUnknown);
    }
    for alg in [json!(null), json!(["HS256"]), json!(1), json!({"HS256": 1})] {
        refused(&signed(&json!({"alg": alg}), "{}", b"secret"), JwsError::Header);
    }
    refused(&signed(&json!({"typ": "JWT"}), "{}", b"secret"), JwsError::Header);
}

#[test]
fn keys_inside_a_token_change_nothing() {
    let (trusted, attacker) = (rsa(), rsa_of_attacker());
    let verifier = Key::rsa_text(&trusted.public_key_pem()).unwrap();
    let der = STANDARD.encode(attacker.subject_public_key_info());
    for (name, value) in [
        ("jwk", json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"})),
        ("jku", json!("https://attacker.example/jwks")),
        ("x5u", json!("https://attacker.example/cert")),
        ("x5c", json!([der])),
    ] {
        let mut header = json!({"alg": "RS256"});
        header[name] = value;
        let forged = Compact::parse(&signed_rs256(&header, &attacker)).unwrap();
        assert_eq!(forged.verify(&verifier), Err(JwsError::Signature), "{name}");
        let honest = Compact::parse(&signed_rs256(&header, &trusted)).unwrap();
        assert_eq!(honest.verify(&verifier), Ok(()), "{name}");
    }
}

#[test]
fn extensions_are_refused() {
    for header in [
        json!({"alg": "HS256", "crit": ["exp"], "exp": 1}),
        json!({"alg": "HS256", "crit": ["http://example.com/x"], "http://example.com/x": true}),
        json!({"alg": "HS256", "crit": []}),
        json!({"alg": "HS256", "b64": false, "crit": ["b64"]}),
        json!({"alg": "HS256", "b64": false}),
    ] {
        refused(&signed(&header, "{}", b"secret"), JwsError::Extension);
    }
}

#[test]
fn base64_is_read_in_one_way() {
    let good = signed(&json!({"alg": "HS256"}), "{\"a\":1}", b"secret");
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    assert!(Jws::parse(&good).is_ok());
    for bad in [
        format!("{header}.{payload}.{signature}="),
        format!("{header}=.{payload}.{signature}"),
        format!("{header}.{payload} .{signature}"),
        format!("{header}.{payload}.{signature}\n"),
        format!(" {header}.{payload}.{signature}"),
        format!("{header}.{payload}.{}", signature.replace(['-', '_'], "+") + "+"),
    ] {
        refused(&bad, JwsError::Base64);
    }
    // The last character of 32 bytes holds two bits that mean nothing; only zero is allowed there.
    let stray = signature[..42].to_owned() + if signature.ends_with('A') { "B" } else { "_" };
    refused(&format!("{header}.{payload}.{stray}"), JwsError::Base64);
}

#[test]
fn a_token_has_three_segments_of_bounded_size() {
    for bad in ["", "a", "a.b", "a.b.c.d", "a.b.c.d.e", &".".repeat(10_000)] {
        refused(bad, JwsError::Segments);
    }
    refused("..", JwsError::Header);
    refused(&format!("{}.e30.", part(&json!({"alg": "HS256"}))), JwsError::Signature);
    refused(&format!("{}.{}.", "a".repeat(8), "b".repeat(TOKEN_BYTES_MAX)), JwsError::TooLong);
    let wide = json!({"alg": "HS256", "kid": "k".repeat(5_000)});
    refused(&signed(&wide, "{}", b"secret"), JwsError::TooLong);
}

#[test]
fn doubled_names_are_refused_everywhere() {
    let secret = b"secret";
    refused(&signed(&json!({"alg": "HS256"}), r#"{"sub":"a","sub":"b"}"#, secret), JwsError::Claims);
    refused(&signed(&json!({"alg": "HS256"}), r#"{"sub":"a","\u0073ub":"b"}"#, secret), JwsError::Claims);
    refused(&signed(&json!({"alg": "HS256"}), r#"{"act":{"sub":"a","sub":"b"}}"#, secret), JwsError::Claims);
    for payload in ["", "1", "[]", "null", "{\"a\":1}x", "\u{feff}{}"] {
        refused(&signed(&json!({"alg": "HS256"}), payload, secret), JwsError::Claims);
    }
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","alg":"RS256"}"#);
    refused(&format!("{header}.e30.AAAA"), JwsError::Header);
}

#[test]
fn other_kinds_of_token_are_no_access_tokens() {
    let typ = |typ: &str| Compact::parse(&signed(&json!({"alg": "HS256", "typ": typ}), "{}", b"s")).unwrap();
    for good in ["JWT", "jwt", "at+jwt", "application/at+JWT"] {
        assert!(typ(good).is_access_token(), "{good}");
    }
    for other in ["logout+jwt", "dpop+jwt", "secevent+jwt", "JOSE", ""] {
        assert!(!typ(other).is_access_token(), "{other}");
    }
    assert!(Compact::parse(&signed(&json!({"alg": "HS256"}), "{}", b"s")).unwrap().is_access_token());
}

#[test]
fn an_rsa_key_is_read_in_each_form() {
    let key = rsa();
    let token = Compact::parse(&signed_rs256(&json!({"alg": "RS256"}), &key)).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["idp.example".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap().pem();
    let pkcs1 = STANDARD.encode(key.der_bytes());
    let pkcs1 = format!("-----BEGIN RSA PUBLIC KEY-----\n{pkcs1}\n-----END RSA PUBLIC KEY-----");
    let forms = [key.public_key_pem(), certificate, pkcs1, open_ssh(&key)];
    let fingerprints: Vec<_> = forms
        .iter()
        .map(|form| {
            let verifier = Key::rsa_text(&format!("  {form}\n")).unwrap_or_else(|error| panic!("{error}: {form}"));
            assert_eq!(token.verify(&verifier), Ok(()), "{form}");
            *verifier.fingerprint()
        })
        .collect();
    assert!(fingerprints.iter().all(|fingerprint| *fingerprint == fingerprints[0]));
}

fn open_ssh(key: &KeyPair) -> String {
    let (_, public) = x509_parser::prelude::FromDer::from_der(key.der_bytes()).unwrap();
    let public: x509_parser::public_key::RSAPublicKey<'_> = public;
    let field = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat();
    let blob = [field(b"ssh-rsa"), field(public.exponent), field(public.modulus)].concat();
    format!("ssh-rsa {} somebody@example", STANDARD.encode(blob))
}

#[test]
fn other_texts_are_no_rsa_key() {
    let elliptic = KeyPair::generate().unwrap();
    assert_eq!(Key::rsa_text(&elliptic.public_key_pem()).unwrap_err(), KeyError::NotRsa);
    assert_eq!(Key::rsa_text(&rsa().serialize_pem()).unwrap_err(), KeyError::Private);
    for text in ["", "secret", "-----BEGIN PUBLIC KEY-----", "ssh-rsa AAAA", "ssh-rsa", &"x".repeat(100_000)] {
        assert_eq!(Key::rsa_text(text).unwrap_err(), KeyError::Form, "{text:.40}");
    }
    assert_eq!(Key::rsa_text("ssh-ed25519 AAAA").unwrap_err(), KeyError::NotRsa);
    let short = json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode([0xff; 128]), "e": "AQAB"});
    assert_eq!(Key::from_jwk(&short).unwrap_err(), KeyError::RsaBits);
    let long = json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode([0xff; 2048]), "e": "AQAB"});
    assert_eq!(Key::from_jwk(&long).unwrap_err(), KeyError::RsaBits);
    let exponent_1 = json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode([0xff; 256]), "e": "AQ"});
    assert_eq!(Key::from_jwk(&exponent_1).unwrap_err(), KeyError::Form);
}

#[test]
fn a_huge_key_set_is_refused() {
    let key = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let set = |count: usize| json!({"keys": vec![&key; count]}).to_string();
    assert_eq!(KeySet::parse(set(100).as_bytes()).unwrap().len(), 100);
    assert_eq!(KeySet::parse(set(101).as_bytes()).unwrap_err(), SetError::TooManyKeys);
    assert_eq!(KeySet::parse(set(100_000).as_bytes()).unwrap_err(), SetError::TooLarge);
    for text in ["", "[]", "{}", "{\"keys\":1}"] {
        assert_eq!(KeySet::parse(text.as_bytes()).unwrap_err(), SetError::Form, "{text}");
    }
}

/// The algorithm of Ed25519 has two names (RFC 8037, RFC 9864), in tokens and in keys; either fits either.
#[test]
fn ed25519_goes_by_both_names() {
    use rcgen::SigningKey as _;
    let pair = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let x = URL_SAFE_NO_PAD.encode(pair.der_bytes());
    for of_token in ["EdDSA", "Ed25519"] {
        let input = format!("{}.{}", part(&json!({"alg": of_token})), part(&json!({"sub": "a"})));
        let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(pair.sign(input.as_bytes()).unwrap()));
        for of_key in ["EdDSA", "Ed25519"] {
            let key = Key::from_jwk(&json!({"kty": "OKP", "crv": "Ed25519", "alg": of_key, "x": x})).unwrap();
            assert_eq!(Compact::parse(&token).unwrap().verify(&key), Ok(()), "{of_token} {of_key}");
        }
    }
    for other in ["ed25519", "Ed448", "EDDSA"] {
        assert!(Key::from_jwk(&json!({"kty": "OKP", "crv": "Ed25519", "alg": other, "x": x})).is_err(), "{other}");
    }
}

/// A secret that is found by trying, or that everybody knows, makes no key.
#[test]
fn short_secrets_and_masks_are_no_keys() {
    for length in [0, 1, 8, 31] {
        assert!(Key::hmac(&vec![b'k'; length]).is_err(), "{length}");
    }
    assert!(Key::hmac(&[b'*'; 40]).is_err());
    assert!(Key::hmac(&[b'k'; 32]).is_ok());
}
