//! Grants through the cache while everything around them fails: a real Redis that is paused, killed and emptied, writers
//! that die, two instances of identity on one database.

mod faults;
mod history;
#[path = "../common/world.rs"]
mod world;

portolan_testkit::suite! {
    history::random_histories_agree_with_a_naive_evaluator;
    PORTOLAN_TEST_REDIS:
    history::random_histories_over_redis_agree_too;
    PORTOLAN_TEST_REDIS_SERVER:
    faults::no_answered_change_is_unseen,
}
