use crate::harness::Harness;

/// The routes of the contract. `UPDATE_GOLDEN=1` writes the file anew.
#[test]
fn the_list_of_routes_is_the_reviewed_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/routes.txt");
    let routes = portolan_gateway::route_list().unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &routes).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(routes, golden, "review the change, then run again with UPDATE_GOLDEN=1");
}

#[tokio::test]
async fn pages_of_the_gateway() {
    let gateway = Harness::start().await;
    let openapi = gateway.send("GET", "/openapi.json", &[], "").await;
    assert_eq!(openapi.json()["openapi"], "3.1.0");
    let docs = gateway.send("GET", "/docs", &[], "").await;
    assert!(docs.body.starts_with("<!doctype html>") && docs.headers["content-security-policy"].contains("sha256-"));
    assert_eq!(gateway.send("GET", "/healthz", &[], "").await.status, 200);
    assert_eq!(gateway.send("GET", "/readyz", &[], "").await.json()["status"], "ready");
    // On an address of their own, of the process.
    assert_eq!(gateway.send("GET", "/metrics", &[], "").await.status, 404);
    let wrong = gateway.send("POST", "/livez", &[], "").await;
    assert_eq!((wrong.status, wrong.headers["allow"].as_str()), (405, "GET, HEAD, OPTIONS"));
}
