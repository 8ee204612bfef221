//! Signed tokens: attacks on their form, their claims and their keys.

use std::time::Duration;

use portolan_testkit::TestDb;
use serde_json::{Value, json};

use super::{
    gate::Gate,
    now,
    provider::{Pair, Provider, hs256, part, rs256},
};

/// What an attacker writes into a token opens nothing, and asks nobody for keys.
pub async fn forged_tokens_open_nothing(test: TestDb) {
    let gate = Gate::start(&test, &[]).await;
    let provider = Provider::start(&[(Pair::Trusted, "k1")]).await;
    let elsewhere = Provider::start(&[(Pair::Attacker, "k1")]).await;
    let pem = Pair::Trusted.public_pem();
    let secret = "a shared secret of thirty-two bytes";
    let rsa = gate.profile(json!({"auth_type": "jwt", "jwt_method": "rsa", "jwt_secret": pem})).await;
    let hmac = gate.profile(json!({"auth_type": "jwt", "jwt_method": "hmac", "jwt_secret": secret})).await;
    let oidc = gate.profile(json!({"auth_type": "oidc", "oidc_issuer": provider.issuer})).await;

    for profile in [&rsa, &oidc] {
        let claims = json!({"sub": profile.secret, "exp": now() + 60});
        let good = rs256(Pair::Trusted, json!({"alg": "RS256", "kid": "k1"}), claims.clone());
        assert_eq!(gate.bearer(&good).await, 200);
        for name in ["none", "None", "NONE", "nOnE", ""] {
            let unsigned = format!("{}.{}.", part(&json!({"alg": name, "kid": "k1"})), part(&claims));
            assert_eq!(gate.bearer(&unsigned).await, 401, "alg {name}");
            let kept = format!("{}{}", unsigned, good.rsplit_once('.').unwrap().1);
            assert_eq!(gate.bearer(&kept).await, 401, "alg {name}");
        }
        for material in [pem.as_str(), pem.trim(), &pem.replace('\n', "")] {
            let confused = hs256(material.as_bytes(), json!({"alg": "HS256", "kid": "k1"}), claims.clone());
            assert_eq!(gate.bearer(&confused).await, 401, "HS256 with the public key");
        }
        for header in [
            json!({"alg": "RS256", "kid": "k1"}),
            json!({"alg": "RS256", "kid": "k1", "jku": format!("{}/keys", elsewhere.issuer)}),
            json!({"alg": "RS256", "kid": "k1", "x5u": format!("{}/keys", elsewhere.issuer)}),
            json!({"alg": "RS256", "kid": "k1", "jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}}),
            json!({"alg": "RS256", "kid": "k1", "x5c": ["AAAA"]}),
            json!({"alg": "rs256", "kid": "k1"}),
            json!({"alg": "RS512", "kid": "k1"}),
            json!({"alg": "PS256", "kid": "k1"}),
        ] {
            let forged = rs256(Pair::Attacker, header.clone(), claims.clone());
            assert_eq!(gate.bearer(&forged).await, 401, "{header}");
        }
        for header in [
            json!({"alg": "RS256", "kid": "k1", "crit": ["exp"], "exp": 1}),
            json!({"alg": "RS256", "kid": "k1", "b64": false}),
            json!({"alg": "RS256", "kid": "k1", "typ": "logout+jwt"}),
        ] {
            assert_eq!(gate.bearer(&rs256(Pair::Trusted, header.clone(), claims.clone())).await, 401, "{header}");
        }
        for broken in [format!("{good}="), format!("{good}A"), good[1..].to_owned(), format!("{good}.x")] {
            assert_eq!(gate.bearer(&broken).await, 401);
        }
    }
    let confused = rs256(Pair::Trusted, json!({"alg": "RS256"}), json!({"sub": hmac.secret}));
    assert_eq!(gate.bearer(&confused).await, 401, "RS256 for a shared secret");
    let empty = hs256(b"", json!({"alg": "HS256"}), json!({"sub": hmac.secret}));
    assert_eq!(gate.bearer(&empty).await, 401);
    assert_eq!(elsewhere.asked(), 0, "a token's own address was asked for keys");
}

/// A subject is who its own provider says: the same subject of another issuer opens nothing, whatever the token claims.
pub async fn providers_speak_for_their_own_profiles(test: TestDb) {
    let gate = Gate::start(&test, &[]).await;
    let first = Provider::start(&[(Pair::Trusted, "k1")]).await;
    let second = Provider::start(&[(Pair::Attacker, "k1")]).await;
    let of_issuer = |issuer: &str| json!({"auth_type": "oidc", "oidc_issuer": issuer, "allowed_issuers": [issuer]});
    let one = gate.profile(of_issuer(&first.issuer)).await;
    let other = gate.profile(of_issuer(&second.issuer)).await;

    for (pair, own, foreign, issuer, elsewhere) in [
        (Pair::Trusted, &one, &other, &first.issuer, &second.issuer),
        (Pair::Attacker, &other, &one, &second.issuer, &first.issuer),
    ] {
        let token = |subject: &str, issuer: &str| {
            let claims = json!({"sub": subject, "iss": issuer, "exp": now() + 60});
            rs256(pair, json!({"alg": "RS256", "kid": "k1"}), claims)
        };
        assert_eq!(gate.bearer(&token(&own.secret, issuer)).await, 200);
        assert_eq!(gate.bearer(&token(&foreign.secret, issuer)).await, 401, "a subject of another issuer");
        assert_eq!(gate.bearer(&token(&foreign.secret, elsewhere)).await, 401, "under the other issuer's name");
        assert_eq!(gate.bearer(&token(&own.secret, elsewhere)).await, 401, "signed by one, named as the other");
    }
}

/// Times count whenever they are there; required claims and issuers as the profile says.
pub async fn claims_are_checked(test: TestDb) {
    let gate = Gate::start(&test, &[]).await;
    let secret = "a shared secret of thirty-two bytes";
    let settings = |more: Value| {
        let mut settings = json!({"auth_type": "jwt", "jwt_method": "hmac", "jwt_secret": secret});
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        settings
    };
    let status = async |claims: Value| gate.bearer(&hs256(secret.as_bytes(), json!({"alg": "HS256"}), claims)).await;

    let plain = gate.profile(settings(json!({}))).await.secret;
    for (claims, expected) in [
        (json!({"sub": plain}), 200),
        (json!({"sub": plain, "exp": now() - 10}), 200),
        (json!({"sub": plain, "exp": now() - 60}), 401),
        (json!({"sub": plain, "exp": "9999999999"}), 401),
        (json!({"sub": plain, "nbf": now() + 10}), 200),
        (json!({"sub": plain, "nbf": now() + 60}), 401),
        (json!({"sub": plain, "iat": now() + 60}), 401),
        (json!({"workato_sub": plain, "sub": "somebody"}), 200),
        (json!({"https://www.workato.com/sub": plain, "workato_sub": "x"}), 200),
        (json!({"https://www.workato.com/sub": "x", "sub": plain}), 401),
        (json!({"https://www.workato.com/sub": "", "sub": plain}), 200),
    ] {
        assert_eq!(status(claims.clone()).await, expected, "{claims}");
    }
    let by_kid = hs256(secret.as_bytes(), json!({"alg": "HS256", "kid": plain}), json!({}));
    assert_eq!(gate.bearer(&by_kid).await, 200);

    let strict = json!({"required_claims": ["exp", "aud"], "allowed_issuers": ["https://a", "https://b"]});
    let strict = gate.profile(settings(strict)).await.secret;
    let whole = json!({"sub": strict, "exp": now() + 60, "aud": "orders", "iss": "https://b"});
    assert_eq!(status(whole.clone()).await, 200);
    for (name, value) in [
        ("exp", Value::Null),
        ("aud", json!("")),
        ("aud", json!([])),
        ("iss", json!("https://c")),
        ("iss", Value::Null),
    ] {
        let mut claims = whole.clone();
        claims[name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
        assert_eq!(status(claims.clone()).await, 401, "{claims}");
    }

    let own = gate.profile(settings(json!({"access_profile_claim": "client"}))).await.secret;
    assert_eq!(status(json!({"client": own, "sub": "somebody"})).await, 200);
    assert_eq!(status(json!({"sub": own})).await, 401, "a profile with a claim of its own is found by no other");
    assert_eq!(status(json!({"client": plain})).await, 401, "and that claim finds no other profile");
}

/// Keys of a provider: rotation, floods of unknown names, an outage.
pub async fn providers_are_asked_with_care(test: TestDb) {
    let variables = [("PORTOLAN__EDGE__JWKS_LIFETIME_MAX_S", "4"), ("PORTOLAN__EDGE__JWKS_REFETCH_MIN_S", "1")];
    let gate = Gate::start(&test, &variables).await;
    let provider = Provider::start(&[(Pair::Trusted, "k1")]).await;
    let oidc = gate.profile(json!({"auth_type": "oidc", "oidc_issuer": provider.issuer})).await;
    let token = |pair, kid: &str| rs256(pair, json!({"alg": "RS256", "kid": kid}), json!({"sub": oidc.secret}));
    assert_eq!(gate.bearer(&token(Pair::Trusted, "k1")).await, 200);

    let (before, began) = (provider.asked(), std::time::Instant::now());
    for number in 0..100 {
        assert_eq!(gate.bearer(&token(Pair::Attacker, &format!("unknown-{number}"))).await, 401);
    }
    let allowed = began.elapsed().as_secs() as usize + 1;
    let asked = provider.asked() - before;
    assert!(asked <= allowed, "{asked} questions in {:?}", began.elapsed());

    tokio::time::sleep(Duration::from_millis(1100)).await;
    provider.publish(&[(Pair::Trusted, "k1"), (Pair::Attacker, "k2")]);
    assert_eq!(gate.bearer(&token(Pair::Attacker, "k2")).await, 200, "a new key counts at its first use");
    provider.publish(&[(Pair::Attacker, "k2")]);
    tokio::time::sleep(Duration::from_millis(4500)).await;
    assert_eq!(gate.bearer(&token(Pair::Trusted, "k1")).await, 401, "a removed key ends with the life of the set");
    assert_eq!(gate.bearer(&token(Pair::Attacker, "k2")).await, 200);

    provider.set_down(true);
    tokio::time::sleep(Duration::from_millis(5000)).await;
    assert_eq!(gate.bearer(&token(Pair::Attacker, "k2")).await, 200, "old keys are kept through an outage");
    assert_eq!(gate.bearer(&token(Pair::Trusted, "k1")).await, 401);
    let unreachable = Provider::start(&[(Pair::Trusted, "k1")]).await;
    unreachable.set_down(true);
    let other = gate.profile(json!({"auth_type": "oidc", "oidc_issuer": unreachable.issuer})).await;
    let signed = rs256(Pair::Trusted, json!({"alg": "RS256", "kid": "k1"}), json!({"sub": other.secret}));
    assert_eq!(gate.bearer(&signed).await, 503, "without keys nobody gets in");
    unreachable.set_down(false);
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(gate.bearer(&signed).await, 200, "and it recovers by itself");
}
