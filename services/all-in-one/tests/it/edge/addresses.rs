//! From where a call comes, as the proxies before Envoy tell it.

use portolan_testkit::TestDb;
use serde_json::json;

use super::gate::Gate;

/// One proxy by number wrote the last entry of the list, whatever stands before it and whatever its own address is; the
/// lists of a profile are held against that entry alone.
pub async fn a_number_of_proxies_tells_who_calls(test: TestDb) {
    let gate = Gate::start(&test, &[("PORTOLAN__EDGE__TRUSTED_PROXY_HOPS", "1")]).await;
    let allowed =
        gate.profile(json!({"auth_type": "token", "ip_allow_list": ["203.0.113.0/24", "2001:db8::/32"]})).await;
    let lines: [(&[&str], u16); 11] = [
        (&["203.0.113.9"], 200),
        (&["6.6.6.6, 203.0.113.9"], 200),
        (&["203.0.113.9, 198.51.100.1"], 403),
        (&["203.0.113.9, 10.0.0.1"], 403),
        (&["198.51.100.1, [2001:db8::5]:443"], 200),
        (&["198.51.100.1, 203.0.113.9:8080"], 200),
        (&["203.0.113.9, unknown"], 403),
        (&["203.0.113.9, "], 403),
        (&["6.6.6.6", "203.0.113.9"], 200),
        (&["203.0.113.9", "6.6.6.6"], 403),
        (&[], 403),
    ];
    for (lines, expected) in lines {
        let mut headers = vec![("api-token", allowed.secret.as_str())];
        headers.extend(lines.iter().map(|line| ("x-forwarded-for", *line)));
        // What is no chain of the proxy's says nothing beside it.
        headers.extend([("x-real-ip", "203.0.113.9"), ("x-portolan-edge-client", "203.0.113.9")]);
        assert_eq!(gate.get("/orders", &headers).await.status, expected, "{lines:?}");
    }
}
