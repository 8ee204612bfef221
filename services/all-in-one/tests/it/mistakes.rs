//! Values of a configuration that are well formed and cannot work.

use portolan_testkit::TestDb;

use crate::operator::{portolan, text};

/// Values of the right form that no process could work with are refused as well, each by its key, and nothing that a value
/// may hold of a password is repeated.
pub async fn values_that_cannot_work_are_refused(test: TestDb) {
    if !test.url.starts_with("sqlite") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("file"), "text").unwrap();
    for (key, value) in [
        ("store.url", "postgres://db.example.org"),
        ("store.url", "postgres://db.example.org/"),
        ("store.url", "postgres://db.example.org:0/portolan"),
        ("store.url", "postgres://db.example.org/portolan?sslmode=verify-fulll"),
        ("store.url", "mysql://db.example.org/portolan"),
        ("store.url", "sqlite:"),
        ("store.url", "sqlite:file"),
        ("cache.url", "redis://cache.example.org:0"),
        ("cache.url", "redis://cache.example.org/first"),
        ("cache.url", "memory"),
        ("log.url", "kafka://broker.example.org:0"),
        ("log.url", "kafka://broker.example.org:9092,"),
        ("log.url", "kafka://broker.example.org:9092?sasl=GSSAPI"),
        ("log.url", "kafka://broker.example.org:9092?pasword=secret"),
        ("log.password", "secret"),
        ("log.user", "portolan"),
        ("mail.from", "nobody"),
        ("mail.public_url", "https://portolan.example.org/?a=1"),
        ("mail.public_url", "https://user:secret@portolan.example.org"),
        ("oidc.issuer", "https://login.example.org?tenant=1"),
        ("oidc.client_id", "portolan"),
        ("oidc.scopes", "email profile"),
        ("oidc.email_verified", "sometimes"),
        ("http.sunset", "2027-02-30"),
        ("http.bodies_bytes_max", "0"),
        ("http.bodies_bytes_share", "0"),
        ("http.bodies_bytes_share", "999999999999"),
        ("http.client_address_header", "x-portolan-edge-client"),
        ("http.trusted_proxies", "proxy.example.org"),
        ("imports.spool_bytes_share", "0"),
        ("billing.refresh_s", "0"),
        ("billing.stale_s", "1"),
        ("billing.event_window_days", "0"),
        ("stigg.url", "nonsense"),
        ("audit.export_dir", "file"),
        ("audit.heads_url", "http://"),
        ("fetch.allow_hosts", "10.0.0.0/99"),
        ("edge.hosts", "a.example.org, A.example.org account=1"),
        ("edge.hosts", "*.example.org account=1"),
        ("edge.limits", "10/0"),
        ("edge.leeway_s", "999999"),
        ("edge.poll_ms", "0"),
        ("edge.poll_ms", "60000"),
        ("edge.profiles_age_max_ms", "0"),
        ("edge.endpoints_age_max_ms", "0"),
        ("edge.jwks_lifetime_max_s", "0"),
        ("edge.jwks_lifetime_max_s", "301"),
        ("edge.jwks_refetch_min_s", "0"),
        ("telemetry.otlp_endpoint", "https://collector.example.org:99999"),
        ("telemetry.otlp_endpoint", "http://collector.example.org:4317/v1/traces?x"),
        ("peers.identity", "http://identity:0"),
        ("peers.identity", "http://identity:50051/path"),
        ("peers.identity", "http://user:secret@identity:50051/path"),
        ("peers.identity", ","),
        ("peers.identity", "https://identity:50051"),
        ("postman.url", "http://"),
        ("grpc.addr", "localhost:50050"),
    ] {
        let name = format!("PORTOLAN__{}", key.to_uppercase().replacen('.', "__", 1));
        let output = portolan(place.path(), &["check-config"], &[(name.as_str(), value)]);
        let text = text(&output);
        assert!(!output.status.success(), "{key}={value}: {text}");
        assert!(text.contains(key) && text.contains(&name), "{key}={value}: {text}");
        assert!(!text.contains("secret"), "{key}={value}: {text}");
    }
    let output = portolan(place.path(), &["check-config", "--data-dir", "file"], &[]);
    assert!(!output.status.success() && text(&output).contains("--data-dir"), "{}", text(&output));
}
