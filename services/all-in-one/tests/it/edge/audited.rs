//! Refused credentials as an operator reads of them.

use portolan_testkit::TestDb;
use serde_json::json;

use super::{
    gate::{Gate, HOST},
    hs256, now,
};
use crate::audit::failures;

/// A credential that the edge refuses stands in the audit of the account that was called, without the credential.
pub async fn refused_credentials_are_in_the_audit(test: TestDb) {
    let gate = Gate::start(&test, &[]).await;
    let token = gate.profile(json!({"auth_type": "token"})).await;
    let wrong = "5e5a3e".repeat(11)[..64].to_owned();
    let bearer = format!("Bearer {wrong}");
    let secret = b"a shared secret of thirty-two bytes";
    let forged = hs256(secret, json!({"alg": "HS256"}), json!({"sub": token.secret, "exp": now() + 60}));
    let forged = format!("Bearer {forged}");
    for _ in 0..3 {
        for header in [("api-token", wrong.as_str()), ("authorization", &bearer), ("authorization", &forged)] {
            assert_eq!(gate.send("GET", HOST, "/orders", &[header]).await.status, 401);
        }
    }
    let events = failures(&gate.server, &["EDGE_TOKEN", "EDGE_ACCESS_TOKEN", "EDGE_SIGNED_TOKEN"]).await;
    assert!(!format!("{events:?}").contains(&wrong[..12]), "{events:?}");
}
