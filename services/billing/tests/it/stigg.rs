use portolan_api::Reason;
use portolan_billing::entitlements::{self, Verdict};
use portolan_billing::provider::Provider;
use portolan_billing::provider::stigg::{Stigg, StiggConfig};
use portolan_billing::subscriptions::{self, Outcome, Wish};
use portolan_billing::usage::{self, Count};
use portolan_billing::{organizations, reports};
use portolan_testkit::TestDb;
use portolan_testkit::stigg::{Mood, SERVER_KEY, StiggServer, Told};
use serde_json::{Value, json};

use crate::world::{ACCOUNT, ORGANIZATION, World, reason};

async fn world(test: TestDb) -> (World, StiggServer) {
    let server = StiggServer::start().await;
    server.set(|told| told.limit = 10);
    (World::new(test, Provider::Stigg(client(&server)), "").await, server)
}

fn client(server: &StiggServer) -> Stigg {
    let feature_ids = [("ACTIVE_ENDPOINTS", "feature-ap-is"), ("TEST_RUNS", "feature-test-runs")];
    Stigg::new(StiggConfig {
        url: server.url.clone(),
        server_key: SERVER_KEY.to_owned(),
        signing_key: "signing-key".to_owned(),
        first_plan_id: "plan-free".into(),
        feature_ids: feature_ids.map(|(feature, id)| (feature.to_owned(), id.to_owned())).into(),
    })
    .unwrap()
}

fn wish(plan_id: &str) -> Wish {
    let some = |text: &str| Some(text.to_owned());
    Wish {
        customer_id: some(ORGANIZATION),
        plan_id: some(plan_id),
        billing_period: some("annual"),
        success_url: some("https://app.test/done"),
        cancel_url: some("https://app.test/back"),
    }
}

async fn judge(world: &World) -> portolan_api::Result<Verdict> {
    entitlements::check(&world.deps, ACCOUNT.into(), "ACTIVE_ENDPOINTS", 1, None).await
}

async fn report(world: &World, feature: &str, count: i64, version: i64) {
    let count = Count { account_id: ACCOUNT.into(), feature: feature.to_owned(), count, version };
    usage::report(&world.deps, vec![count]).await.unwrap();
}

/// The organization becomes a customer once, on the first plan; a checkout is passed on; a subscription that has begun
/// counts from the answer on.
pub async fn subscriptions_go_through_stigg(test: TestDb) {
    let (world, server) = world(test).await;
    assert_eq!(judge(&world).await.unwrap(), Verdict::Allowed { room: 10 });
    let customer = json!({"customerId": ORGANIZATION, "name": "Acme", "email": "admin@acme.example",
        "subscriptionParams": {"planId": "plan-free", "billingPeriod": "ANNUALLY"}});
    assert_eq!(server.get(|told| told.customers.clone()), [customer]);
    let allowed = entitlements::check(&world.deps, ACCOUNT.into(), "RBAC_FEATURE", 1, None).await.unwrap();
    let refused = entitlements::check(&world.deps, ACCOUNT.into(), "SSO_ONLY_LOGIN", 1, None).await.unwrap();
    assert_eq!((allowed, refused), (Verdict::Allowed { room: -1 }, Verdict::NotInPlan));

    let pending = subscriptions::provision(&world.deps, &world.caller(), &wish("team")).await.unwrap();
    let checkout_url = "https://checkout.stigg.example/1".to_owned();
    assert_eq!(pending, Outcome { checkout_url, status: "PENDING" });
    let order = json!({"customerId": ORGANIZATION, "planId": "team", "billingPeriod": "ANNUALLY",
        "checkoutOptions": {"successUrl": "https://app.test/done", "cancelUrl": "https://app.test/back",
            "allowPromoCodes": true, "collectBillingAddress": true}});
    assert_eq!(server.get(|told| told.subscriptions.clone()), [order]);

    server.set(|told| (told.is_paid, told.limit) = (true, 100));
    // Nothing has begun: the answer of before still holds.
    assert_eq!(judge(&world).await.unwrap(), Verdict::Allowed { room: 10 });
    let begun = subscriptions::provision(&world.deps, &world.caller(), &wish("team")).await.unwrap();
    assert_eq!(begun, Outcome { checkout_url: "https://app.test/done".to_owned(), status: "SUCCESS" });
    assert_eq!(judge(&world).await.unwrap(), Verdict::Allowed { room: 100 });
    assert_eq!(server.get(|told| told.customers.len()), 1);
    let refused = subscriptions::provision(&world.deps, &world.caller(), &wish("gold")).await;
    assert_eq!(reason(refused), Reason::PlanUnknown);

    // Known answers are asked for again when they are old.
    server.set(|told| told.limit = 50);
    assert_eq!(judge(&world).await.unwrap(), Verdict::Allowed { room: 100 });
    world.hand.move_by(60);
    assert_eq!(judge(&world).await.unwrap(), Verdict::Allowed { room: 50 });
    let token = subscriptions::customer_token(&world.deps, &world.caller(), Some(ORGANIZATION)).await.unwrap();
    assert!(token.starts_with(&format!("HMAC-SHA256 {ORGANIZATION}:")), "{token}");
}

/// While Stigg fails its last answer holds for the stated time, then nothing is allowed; after a change of plan the
/// answer of the plan before does not hold at all.
pub async fn the_last_answer_serves_for_a_stated_time(test: TestDb) {
    let (world, server) = world(test).await;
    assert_eq!(judge(&world).await.unwrap(), Verdict::Allowed { room: 10 });
    server.set(|told| told.mood = Mood::Failing);
    world.hand.move_by(3_599);
    assert_eq!(judge(&world).await.unwrap(), Verdict::Allowed { room: 10 });
    world.hand.move_by(1);
    assert_eq!(reason(judge(&world).await), Reason::BillingProviderUnavailable);
    let token = subscriptions::customer_token(&world.deps, &world.caller(), Some(ORGANIZATION)).await;
    assert_eq!(reason(token), Reason::BillingProviderUnavailable);
    server.set(|told| told.mood = Mood::Well);
    assert_eq!(judge(&world).await.unwrap(), Verdict::Allowed { room: 10 });

    server.set(|told| told.is_paid = true);
    subscriptions::provision(&world.deps, &world.caller(), &wish("team")).await.unwrap();
    server.set(|told| told.mood = Mood::Failing);
    assert_eq!(reason(judge(&world).await), Reason::BillingProviderUnavailable);
}

/// What is to be told to Stigg waits while it fails and arrives once, as the value of the moment; a lost answer makes
/// it arrive as the same value again.
pub async fn reports_wait_and_arrive_once(test: TestDb) {
    let (world, server) = world(test).await;
    organizations::of_account(&world.deps, ACCOUNT.into()).await.unwrap();
    let values = |told: &Told| -> Vec<(Value, i64)> {
        let value = |usage: &Value| (usage["featureId"].clone(), usage["value"].as_i64().unwrap());
        told.usages.iter().map(value).collect()
    };
    let send = async || {
        reports::note_all(&world.deps).await.unwrap();
        reports::send_due(&world.deps, "owner").await
    };
    server.set(|told| told.mood = Mood::Failing);
    for version in 1..=5 {
        report(&world, "ACTIVE_ENDPOINTS", version * 10, version).await;
        report(&world, "NOT_REPORTED", version, version).await;
        assert_eq!(reason(send().await), Reason::BillingProviderUnavailable);
    }
    assert_eq!(server.get(values), []);
    server.set(|told| told.mood = Mood::Well);
    // A restart between the note and its delivery loses nothing: what is due is in the database.
    for _ in 0..3 {
        send().await.unwrap();
    }
    assert_eq!(server.get(values), [(json!("feature-ap-is"), 50)]);
    assert_eq!(server.get(|told| told.usages[0]["updateBehavior"].clone()), "SET");

    report(&world, "ACTIVE_ENDPOINTS", 60, 6).await;
    server.set(|told| told.mood = Mood::LosingAnswers);
    assert_eq!(reason(send().await), Reason::BillingProviderUnavailable);
    server.set(|told| told.mood = Mood::Well);
    send().await.unwrap();
    send().await.unwrap();
    assert_eq!(server.get(|told| values(told)[1..].to_vec()), vec![(json!("feature-ap-is"), 60); 2]);
    // Another process keeps its hands off while this one reports.
    let calls = server.get(|told| told.calls);
    report(&world, "ACTIVE_ENDPOINTS", 70, 7).await;
    reports::note_all(&world.deps).await.unwrap();
    reports::send_due(&world.deps, "other").await.unwrap();
    assert_eq!(server.get(|told| told.calls), calls);
}

/// A feature that Stigg does not know is told again later and holds up no other.
pub async fn a_refused_report_holds_up_no_other(test: TestDb) {
    let (world, server) = world(test).await;
    server.set(|told| told.unknown_feature = "feature-ap-is".to_owned());
    report(&world, "ACTIVE_ENDPOINTS", 1, 1).await;
    let event = usage::Event {
        account_id: ACCOUNT.into(),
        key: usage::event_key("test", "1"),
        feature: "TEST_RUNS".to_owned(),
        value: 3,
        time: crate::world::START,
    };
    usage::record(&world.deps, &[event]).await.unwrap();
    reports::note_all(&world.deps).await.unwrap();
    reports::send_due(&world.deps, "owner").await.unwrap();
    assert_eq!(server.get(|told| (told.usages.len(), told.usages[0]["value"].clone())), (1, json!(3)));
    server.set(|told| told.unknown_feature.clear());
    reports::send_due(&world.deps, "owner").await.unwrap();
    assert_eq!(server.get(|told| told.usages.len()), 2);
}

/// An organization that Stigg does not take as its customer waits for that alone, as one does that identity does not
/// know; it is told once it is one.
pub async fn a_refused_customer_holds_up_no_other(test: TestDb) {
    let (world, server) = world(test).await;
    server.set(|told| told.refused_customer = ORGANIZATION.to_owned());
    report(&world, "ACTIVE_ENDPOINTS", 3, 1).await;
    reports::note_all(&world.deps).await.unwrap();
    let (unknown, sound) = ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff");
    let customer = "INSERT INTO billing_organizations (organization_id, is_customer) VALUES ($1, 1)";
    world.deps.db.execute(customer, portolan_store::args![sound]).await.unwrap();
    let due = "INSERT INTO usage_reports (organization_id, feature, value) VALUES ($1, 'ACTIVE_ENDPOINTS', 7)";
    for organization_id in [unknown, sound] {
        world.deps.db.execute(due, portolan_store::args![organization_id]).await.unwrap();
    }
    reports::send_due(&world.deps, "owner").await.unwrap();
    let values = || server.get(|told| told.usages.iter().map(|usage| usage["value"].clone()).collect::<Vec<_>>());
    assert_eq!(values(), [json!(7)]);
    server.set(|told| told.refused_customer.clear());
    reports::send_due(&world.deps, "owner").await.unwrap();
    assert_eq!(values(), [json!(7), json!(3)]);
}

/// Whatever goes wrong with Stigg, callers read the same.
pub async fn every_failure_is_unavailable(test: TestDb) {
    for mood in [Mood::Failing, Mood::Babbling, Mood::LosingAnswers] {
        let (world, server) = world(TestDb::sqlite().await).await;
        server.set(|told| told.mood = mood);
        assert_eq!(reason(judge(&world).await), Reason::BillingProviderUnavailable, "{mood:?}");
        let subscribed = subscriptions::provision(&world.deps, &world.caller(), &wish("team")).await;
        assert_eq!(reason(subscribed), Reason::BillingProviderUnavailable, "{mood:?}");
    }
    let mut server = StiggServer::start().await;
    // Nobody listens there.
    server.url = "http://127.0.0.1:9/graphql".to_owned();
    let world = World::new(test, Provider::Stigg(client(&server)), "").await;
    assert_eq!(reason(judge(&world).await), Reason::BillingProviderUnavailable);
}
