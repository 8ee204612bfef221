use std::sync::atomic::Ordering;

use portolan_api::Reason;
use portolan_billing::entitlements::{self, Verdict};
use portolan_billing::usage::{self, Count};
use portolan_ids::AccountId;
use portolan_testkit::TestDb;

use crate::world::{ACCOUNT, SIBLING, World, reason};

const PLANS: &str =
    "default_plan = \"free\"\n[plans.free]\ngrace_s = 600\n[plans.free.features]\nACTIVE_ENDPOINTS = 10";

async fn report(world: &World, account_id: i64, count: i64, version: i64) {
    let count = Count { account_id: account_id.into(), feature: "ACTIVE_ENDPOINTS".to_owned(), count, version };
    usage::report(&world.deps, vec![count]).await.unwrap();
}

async fn judge(world: &World, wanted: i64) -> Verdict {
    entitlements::check(&world.deps, ACCOUNT.into(), "ACTIVE_ENDPOINTS", wanted, None).await.unwrap()
}

/// The grace begins when the usage reaches the limit, is not begun anew by more usage, and ends to the second; usage
/// below the limit ends the overage.
pub async fn grace_follows_the_clock(test: TestDb) {
    let world = World::built_in(test, PLANS).await;
    report(&world, ACCOUNT, 9, 1).await;
    assert_eq!(judge(&world, 1).await, Verdict::Allowed { room: 1 });
    report(&world, ACCOUNT, 10, 2).await;
    world.hand.move_by(300);
    report(&world, ACCOUNT, 12, 3).await;
    assert!(matches!(judge(&world, 1).await, Verdict::Allowed { .. }));
    world.hand.move_by(299);
    assert!(matches!(judge(&world, 1).await, Verdict::Allowed { .. }));
    world.hand.move_by(1);
    assert_eq!(judge(&world, 1).await, Verdict::LimitExceeded);
    // What was accepted before arrives and counts all the same.
    report(&world, ACCOUNT, 13, 4).await;
    assert_eq!(world.total(ACCOUNT, "ACTIVE_ENDPOINTS").await.0, 13);
    report(&world, ACCOUNT, 9, 5).await;
    assert_eq!(judge(&world, 1).await, Verdict::Allowed { room: 1 });
    // A new overage has a grace of its own.
    report(&world, ACCOUNT, 10, 6).await;
    world.hand.move_by(599);
    assert!(matches!(judge(&world, 1).await, Verdict::Allowed { .. }));
    world.hand.move_by(1);
    assert_eq!(judge(&world, 1).await, Verdict::LimitExceeded);
}

/// The limit is the organization's: what its accounts use counts together.
pub async fn usage_of_all_accounts_counts(test: TestDb) {
    let world = World::built_in(test, &PLANS.replace("600", "0")).await;
    report(&world, ACCOUNT, 4, 1).await;
    report(&world, SIBLING, 5, 1).await;
    assert_eq!(judge(&world, 1).await, Verdict::Allowed { room: 1 });
    assert_eq!(judge(&world, 2).await, Verdict::LimitExceeded);
    report(&world, SIBLING, 6, 2).await;
    assert_eq!(judge(&world, 1).await, Verdict::LimitExceeded);
}

/// Without an answer, and for what a plan does not list, nothing is allowed.
pub async fn a_plan_that_is_not_known_allows_nothing(test: TestDb) {
    let world = World::built_in(test, PLANS).await;
    world.owners.is_down.store(true, Ordering::Relaxed);
    let ask = async |account_id, feature| entitlements::check(&world.deps, account_id, feature, 1, None).await;
    assert_eq!(reason(ask(ACCOUNT.into(), "ACTIVE_ENDPOINTS").await), Reason::Unavailable);
    world.owners.is_down.store(false, Ordering::Relaxed);
    assert_eq!(reason(ask(AccountId(77), "ACTIVE_ENDPOINTS").await), Reason::OrganizationNotFound);
    assert_eq!(ask(ACCOUNT.into(), "RBAC_FEATURE").await.unwrap(), Verdict::NotInPlan);
}
