//! The same attacks on each kind of credential.

use portolan_testkit::TestDb;
use serde_json::{Value, json};

use super::{
    access_token,
    gate::{Gate, HOST, Made},
    now,
    provider::{Pair, Provider, hs256, part, rs256},
};

const SECRET: &str = "a shared secret of thirty-two bytes";

/// A profile of one kind with a credential that opens it.
struct Kind {
    name: &'static str,
    made: Made,
    header: &'static str,
    /// What stands before the credential in its header.
    scheme: &'static str,
    credential: String,
}

impl Kind {
    fn value(&self, credential: &str) -> String {
        format!("{}{credential}", self.scheme)
    }

    /// Signs claims as a caller of this profile does; none for kinds that are not signed.
    fn sign(&self, claims: Value) -> Option<String> {
        match self.name {
            "hmac" => Some(hs256(SECRET.as_bytes(), json!({"alg": "HS256"}), claims)),
            "rsa" | "oidc" => Some(rs256(Pair::Trusted, json!({"alg": "RS256", "kid": "k1"}), claims)),
            _ => None,
        }
    }
}

async fn kinds(gate: &Gate, provider: &Provider, more: Value) -> Vec<Kind> {
    let mut kinds = Vec::new();
    for (name, mut settings) in [
        ("token", json!({"auth_type": "token"})),
        ("oauth2", json!({"auth_type": "oauth2"})),
        ("hmac", json!({"auth_type": "jwt", "jwt_method": "hmac", "jwt_secret": SECRET})),
        ("rsa", json!({"auth_type": "jwt", "jwt_method": "rsa", "jwt_secret": Pair::Trusted.public_pem()})),
        ("oidc", json!({"auth_type": "oidc", "oidc_issuer": provider.issuer})),
    ] {
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = gate.profile(settings).await;
        let (header, scheme) = if name == "token" { ("api-token", "") } else { ("authorization", "Bearer ") };
        let credential = if name == "oauth2" { access_token(gate, &made.answer).await } else { made.secret.clone() };
        let mut kind = Kind { name, made, header, scheme, credential };
        if let Some(signed) = kind.sign(json!({"sub": kind.made.secret, "exp": now() + 60})) {
            kind.credential = signed;
        }
        kinds.push(kind);
    }
    kinds
}

/// Paths, spoofed headers, broken and doubled credentials: no kind of credential makes an attack work.
pub async fn each_kind_withstands_the_same_attacks(test: TestDb) {
    let gate = Gate::start(&test, &[]).await;
    let provider = Provider::start(&[(Pair::Trusted, "k1")]).await;
    for kind in kinds(&gate, &provider, json!({})).await {
        let (name, good) = (kind.name, kind.value(&kind.credential));
        let spoofed = [
            (kind.header, good.as_str()),
            ("X-Portolan-Profile-Id", "1"),
            ("x_portolan_profile_id", "1"),
            ("x-portolan-client-id", "1"),
            ("x-portolan-claims", "e30"),
        ];
        let reply = gate.get("/orders", &spoofed).await;
        assert_eq!(reply.status, 200, "{name}: {reply:?}");
        assert_eq!(reply.seen("x-portolan-profile-id"), kind.made.id.to_string(), "{name}");
        assert_eq!(reply.seen("x_portolan_profile_id"), Value::Null, "{name}");
        let client_id = kind.made.answer["api_client_id"].as_i64().unwrap().to_string();
        assert_eq!(reply.seen("x-portolan-client-id"), client_id, "{name}");
        assert_ne!(reply.seen("x-portolan-claims"), "e30", "{name}");
        assert_eq!(reply.seen(kind.header), Value::Null, "{name}: the upstream saw the credential");
        assert!(!reply.body.contains(&kind.credential), "{name}: the upstream saw the credential");

        let status = async |target: &str| gate.get(target, &[(kind.header, &good)]).await.status;
        for target in
            ["//orders", "/./orders", "/x/../orders", "/orders/%2e%2e/x", "/orders%2F17", "/orders;a", "/orders/%c0%ae"]
        {
            assert_eq!(status(target).await, 400, "{name}: {target}");
        }
        for target in ["/Orders", "/admin"] {
            assert_eq!(status(target).await, 404, "{name}: {target}");
        }
        assert_eq!(gate.send("DELETE", HOST, "/orders", &[(kind.header, &good)]).await.status, 404, "{name}");

        let credential = &kind.credential;
        let other_end = if credential.ends_with('0') { '1' } else { '0' };
        for broken in [
            format!("{}{other_end}", &credential[..credential.len() - 1]),
            format!("{credential}0"),
            format!("{credential}="),
            credential[1..].to_owned(),
            format!("{credential} {credential}"),
            format!("{credential},{credential}"),
        ] {
            let reply = gate.get("/orders", &[(kind.header, &kind.value(&broken))]).await;
            assert_eq!(reply.status, 401, "{name}: {broken}");
        }
        let doubled = [(kind.header, good.as_str()), (kind.header, good.as_str())];
        assert_eq!(gate.get("/orders", &doubled).await.status, 401, "{name}: two lines");
        let (elsewhere, scheme) = if name == "token" { ("authorization", "Bearer ") } else { ("api-token", "") };
        let moved = gate.get("/orders", &[(elsewhere, &format!("{scheme}{credential}"))]).await;
        assert_eq!(moved.status, 401, "{name}: in the place of another kind");

        gate.act(kind.made.id, "disable").await;
        assert_eq!(status("/orders").await, 401, "{name}: disabled");
    }
}

/// An address that a caller writes counts for nothing where no proxy is trusted.
pub async fn forwarded_addresses_count_for_nothing_by_default(test: TestDb) {
    let gate = Gate::start(&test, &[]).await;
    let provider = Provider::start(&[(Pair::Trusted, "k1")]).await;
    let listed = kinds(&gate, &provider, json!({"ip_allow_list": ["203.0.113.0/24"]})).await;
    for kind in listed {
        let good = kind.value(&kind.credential);
        for header in ["x-forwarded-for", "forwarded", "x-real-ip", "x-envoy-external-address", "true-client-ip"] {
            let value = if header == "forwarded" { "for=203.0.113.9" } else { "203.0.113.9" };
            let reply = gate.get("/orders", &[(kind.header, &good), (header, value)]).await;
            assert_eq!(reply.status, 403, "{}: {header}", kind.name);
        }
    }
    let local = json!({"ip_allow_list": ["127.0.0.0/8"], "ip_deny_list": ["203.0.113.0/24"]});
    for kind in kinds(&gate, &provider, local).await {
        let good = kind.value(&kind.credential);
        let reply = gate.get("/orders", &[(kind.header, &good), ("x-forwarded-for", "203.0.113.9")]).await;
        assert_eq!(reply.status, 200, "{}: nobody locks another out", kind.name);
    }
}

/// Times, issuers and unsigned forms, for each kind that is signed.
pub async fn each_signed_kind_checks_its_claims(test: TestDb) {
    let gate = Gate::start(&test, &[]).await;
    let provider = Provider::start(&[(Pair::Trusted, "k1")]).await;
    let issuer = "https://issuer.example";
    let strict = json!({"allowed_issuers": [issuer], "required_claims": ["exp"]});
    for kind in kinds(&gate, &provider, strict).await {
        let whole = json!({"sub": kind.made.secret, "iss": issuer, "exp": now() + 60});
        let Some(good) = kind.sign(whole.clone()) else { continue };
        assert_eq!(gate.bearer(&good).await, 200, "{}", kind.name);
        for (claim, value) in [
            ("exp", json!(now() - 60)),
            ("exp", json!("9999999999")),
            ("exp", Value::Null),
            ("nbf", json!(now() + 60)),
            ("iat", json!(now() + 60)),
            ("iss", json!("https://issuer.example/")),
            ("iss", json!([issuer])),
            ("iss", Value::Null),
            ("sub", json!("nobody")),
        ] {
            let mut claims = whole.clone();
            claims[claim] = value;
            let token = kind.sign(claims.clone()).unwrap();
            assert_eq!(gate.bearer(&token).await, 401, "{}: {claims}", kind.name);
        }
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let payload = signed.split_once('.').unwrap().1;
        for algorithm in ["none", "None", "HS384", "ES256", "EdDSA"] {
            for signature in ["", signature] {
                let token = format!("{}.{payload}.{signature}", part(&json!({"alg": algorithm, "kid": "k1"})));
                assert_eq!(gate.bearer(&token).await, 401, "{}: {algorithm}", kind.name);
            }
        }
        for header in
            [json!({"alg": "HS256", "crit": ["exp"]}), json!({"alg": "HS256", "jwk": {"kty": "oct", "k": "AA"}})]
        {
            assert_eq!(gate.bearer(&hs256(&[0], header.clone(), whole.clone())).await, 401, "{}: {header}", kind.name);
        }
    }
}
