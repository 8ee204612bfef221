use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portolan_testkit::TestDb;
use portolan_testkit::stigg::{Mood, SERVER_KEY, StiggServer, Told};
use serde_json::{Value, json};

use crate::billing::{organization_id, wait_for_refresh, wait_for_usage};
use crate::server::{Answer, PATIENCE, Server, har};

const SIGNING_KEY: &str = "the secret of customers";
const DOWN: &str = "The billing provider is unavailable";
const OVER: &str = "You have exceeded the limit of this feature.";

/// An installation whose plans Stigg keeps and whose answers it uses for a second; `stale_s` is how long while Stigg
/// fails.
async fn start(test: &TestDb, stigg: &StiggServer, data_dir: std::path::PathBuf, stale_s: &str) -> Server {
    let variables = [
        ("PORTOLAN__BILLING__PROVIDER", "stigg"),
        ("PORTOLAN__BILLING__REFRESH_S", "1"),
        ("PORTOLAN__BILLING__STALE_S", stale_s),
        ("PORTOLAN__BILLING__REPORT_S", "1"),
        ("PORTOLAN__STIGG__URL", stigg.url.as_str()),
        ("PORTOLAN__STIGG__SERVER_KEY", SERVER_KEY),
        ("PORTOLAN__STIGG__SIGNING_KEY", SIGNING_KEY),
        ("PORTOLAN__STIGG__FIRST_PLAN_ID", "plan-free"),
    ];
    Server::start_with(test, data_dir, &variables).await
}

fn data_dir() -> std::path::PathBuf {
    tempfile::tempdir().unwrap().keep()
}

async fn details(server: &Server, customer_id: &str) -> Answer {
    server.post("/api/getCustomerStiggDetails", json!({ "customerId": customer_id })).await
}

async fn subscribe(server: &Server, customer_id: &str, plan: &str) -> Answer {
    let body = json!({"customerId": customer_id, "planId": plan, "billingPeriod": "annual",
        "successUrl": "https://app.test/done", "cancelUrl": "https://app.test/back"});
    server.post("/api/provisionSubscription", body).await
}

/// A capture with one call to each path.
fn capture(collection_id: i64, paths: &[&str]) -> Value {
    let urls: Vec<_> = paths.iter().map(|path| format!("http://shop.test/{path}")).collect();
    let calls: Vec<_> = urls.iter().map(|url| ("GET", url.as_str(), "", 200, "{}")).collect();
    json!({"harString": har(&calls), "apiCollectionId": collection_id, "skipKafka": true})
}

async fn upload(server: &Server, collection_id: i64, paths: &[&str]) -> Answer {
    server.post("/api/uploadHar", capture(collection_id, paths)).await
}

/// Repeats a POST until it is answered with this status: what Stigg said a second ago may still serve.
async fn until(status: u16, server: &Server, path: &str, body: Value) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let answer = server.post(path, body.clone()).await;
        if answer.status == status {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "never {status}: {}", answer.body);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// The values that Stigg was told of a feature, in the order of arrival.
fn values(told: &Told, feature_id: &str) -> Vec<Value> {
    let of_feature = told.usages.iter().filter(|usage| usage["featureId"] == feature_id);
    of_feature.map(|usage| usage["value"].clone()).collect()
}

/// Waits until Stigg was told a value of a feature. A process that was killed keeps the lease on the reports for a minute.
async fn wait_for_value(stigg: &StiggServer, feature_id: &str, value: i64) {
    let deadline = tokio::time::Instant::now() + 2 * PATIENCE;
    while stigg.get(|told| values(told, feature_id).last() != Some(&json!(value))) {
        let told = stigg.get(|told| told.usages.clone());
        assert!(tokio::time::Instant::now() < deadline, "{feature_id} is not told as {value}: {told:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// The organization is Stigg's customer: its token, its checkout, its limits and its usage are Stigg's.
pub async fn a_provider_keeps_the_plans(test: TestDb) {
    let stigg = StiggServer::start().await;
    stigg.set(|told| told.limit = 2);
    let server = start(&test, &stigg, data_dir(), "3600").await;
    let own = organization_id(&server).await;

    let token = details(&server, &own).await.expect(200).json();
    let key = jsonwebtoken::EncodingKey::from_secret(SIGNING_KEY.as_bytes());
    let digest = jsonwebtoken::crypto::sign(own.as_bytes(), &key, jsonwebtoken::Algorithm::HS256).unwrap();
    let digest: String = URL_SAFE_NO_PAD.decode(digest).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(token, json!({"customerToken": format!("HMAC-SHA256 {own}:{digest}")}));
    let customers = stigg.get(|told| told.customers.clone());
    assert_eq!(customers.len(), 1, "{customers:?}");
    assert_eq!((&customers[0]["customerId"], &customers[0]["email"]), (&json!(own), &json!("admin@localhost")));
    let first = json!({"planId": "plan-free", "billingPeriod": "ANNUALLY"});
    assert_eq!(customers[0]["subscriptionParams"], first);

    let id = server.create_collection("Shop").await;
    upload(&server, id, &["a", "b"]).await.expect(200);
    wait_for_usage(&server, "ACTIVE_ENDPOINTS", 2).await;
    upload(&server, id, &["c"]).await.expect_error(403, OVER);

    let pending = subscribe(&server, &own, "team").await.expect(200).json();
    let checkout = json!({"checkoutUrl": "https://checkout.stigg.example/1", "status": "PENDING"});
    assert_eq!(pending, json!({ "checkoutResult": checkout }));
    let order = json!({"customerId": own, "planId": "team", "billingPeriod": "ANNUALLY",
        "checkoutOptions": {"successUrl": "https://app.test/done", "cancelUrl": "https://app.test/back",
            "allowPromoCodes": true, "collectBillingAddress": true}});
    assert_eq!(stigg.get(|told| told.subscriptions.clone()), [order]);
    // Nothing was paid, so nothing has changed.
    upload(&server, id, &["c"]).await.expect_error(403, OVER);
    subscribe(&server, &own, "gold").await.expect_error(422, "No such plan exists");
    subscribe(&server, "123e4567-e89b-12d3-a456-426614174000", "team")
        .await
        .expect_error(403, "customerId is not the organization of this account");

    stigg.set(|told| (told.is_paid, told.limit) = (true, 100));
    let begun = subscribe(&server, &own, "team").await.expect(200).json();
    let done = json!({"checkoutUrl": "https://app.test/done", "status": "SUCCESS"});
    assert_eq!(begun, json!({ "checkoutResult": done }));
    upload(&server, id, &["c"]).await.expect(200);
    let usage = wait_for_usage(&server, "ACTIVE_ENDPOINTS", 3).await;
    assert_eq!((&usage["usageLimit"], &usage["isGranted"]), (&json!(100), &json!(true)));

    let refreshed = server.post("/api/refreshUsageDataForOrg", json!({})).await.expect(200);
    assert_eq!(refreshed.json(), json!({}));
    assert_eq!(wait_for_refresh(&server).await["differences"], json!([]));
    wait_for_value(&stigg, "feature-ap-is", 3).await;
    wait_for_value(&stigg, "feature-sso", 1).await;
    let usage = stigg.get(|told| told.usages.last().cloned()).unwrap();
    assert_eq!((&usage["customerId"], &usage["updateBehavior"]), (&json!(own), &json!("SET")));
}

/// While Stigg fails its last answer serves, and after the stated time nothing more is allowed; usage waits, across the
/// death of the installation, and arrives once.
pub async fn a_provider_that_is_down_is_borne(test: TestDb) {
    let stigg = StiggServer::start().await;
    stigg.set(|told| told.limit = 2);
    let server = start(&test, &stigg, data_dir(), "3600").await;
    let own = organization_id(&server).await;
    let id = server.create_collection("Shop").await;
    details(&server, &own).await.expect(200);

    stigg.set(|told| told.mood = Mood::Failing);
    upload(&server, id, &["a", "b"]).await.expect(200);
    wait_for_usage(&server, "ACTIVE_ENDPOINTS", 2).await;
    // The last answer limits as it did.
    upload(&server, id, &["c"]).await.expect_error(403, OVER);
    details(&server, &own).await.expect(200);
    subscribe(&server, &own, "team").await.expect_error(503, DOWN);
    // What was asked for is done here; only the report waits.
    server.post("/api/refreshUsageDataForOrg", json!({})).await.expect(200);
    assert_eq!(wait_for_refresh(&server).await["differences"], json!([]));
    assert_eq!(stigg.get(|told| values(told, "feature-ap-is")), Vec::<Value>::new());

    // An installation whose answers are soon too old.
    let dir = server.kill().await;
    let server = start(&test, &stigg, dir, "1").await;
    until(503, &server, "/api/getCustomerStiggDetails", json!({ "customerId": own })).await;
    for answer in [upload(&server, id, &["c"]).await, details(&server, &own).await] {
        assert_eq!(answer.header("x-portolan-error"), "BILLING_PROVIDER_UNAVAILABLE");
        answer.expect_error(503, DOWN);
    }
    let usage = server.get("/v1/usage").await.expect(503);
    assert_eq!(usage.json()["detail"], DOWN);
    // What needs no plan is served.
    assert_eq!(server.endpoints(id).await.len(), 2);

    stigg.set(|told| told.mood = Mood::Well);
    wait_for_value(&stigg, "feature-ap-is", 2).await;
    // Every further look finds it told.
    server.post("/api/refreshUsageDataForOrg", json!({})).await.expect(200);
    assert_eq!(wait_for_refresh(&server).await["differences"], json!([]));
    stigg.set(|told| told.limit = 3);
    until(200, &server, "/api/uploadHar", capture(id, &["c"])).await;
    wait_for_value(&stigg, "feature-ap-is", 3).await;
    assert_eq!(stigg.get(|told| values(told, "feature-ap-is")), [json!(2), json!(3)]);
}
