use std::sync::atomic::Ordering;

use portolan_billing::refresh::{self, Difference};
use portolan_store::args;
use portolan_testkit::TestDb;

use crate::world::{ACCOUNT, ORGANIZATION, World};

/// Requests before a run share it; a run interrupted by a service that is down stays due; differences are named and
/// repaired, and the next run finds none.
pub async fn requests_share_a_run(test: TestDb) {
    let world = World::built_in(test, "").await;
    world.owners.endpoints.store(5, Ordering::Relaxed);
    for _ in 0..10 {
        refresh::request(&world.deps, ACCOUNT).await.unwrap();
    }
    world.owners.is_down.store(true, Ordering::Relaxed);
    assert!(refresh::run_due(&world.deps, "first").await.is_err());
    let state = async || refresh::last(&world.deps, ORGANIZATION).await.unwrap().unwrap();
    assert_eq!(state().await.state, "RUNNING");
    world.owners.is_down.store(false, Ordering::Relaxed);
    // The lease of a runner that died ends.
    refresh::run_due(&world.deps, "second").await.unwrap();
    assert_eq!((world.owners.recounts.load(Ordering::Relaxed), state().await.state), (0, "RUNNING"));
    world.hand.move_by(refresh::LEASE_S);
    refresh::run_due(&world.deps, "second").await.unwrap();
    assert_eq!((world.owners.recounts.load(Ordering::Relaxed), state().await.state), (1, "SUCCEEDED"));
    assert_eq!(world.total(ACCOUNT, "ACTIVE_ENDPOINTS").await.0, 5);

    let spoil = "UPDATE usage_buckets SET value = 8 WHERE account_id = $1 AND grain = 'TOTAL'";
    world.deps.db.execute(spoil, args![ACCOUNT]).await.unwrap();
    refresh::request(&world.deps, ACCOUNT).await.unwrap();
    refresh::run_due(&world.deps, "second").await.unwrap();
    let feature = "ACTIVE_ENDPOINTS".to_owned();
    let difference = Difference { account_id: ACCOUNT, feature, recorded: 8, counted: 5 };
    assert_eq!(state().await.differences, [difference]);
    assert_eq!(world.total(ACCOUNT, "ACTIVE_ENDPOINTS").await.0, 5);
    refresh::request(&world.deps, ACCOUNT).await.unwrap();
    refresh::run_due(&world.deps, "second").await.unwrap();
    assert_eq!(state().await.differences, []);
}
