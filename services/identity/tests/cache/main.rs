//! Grants through the cache while everything around them fails: a real Redis that is paused, killed and emptied, writers
//! that die, two processes' worth of identity on one database.

mod faults;
mod history;
mod world;

portolan_testkit::suite! {
    faults::no_answered_change_is_unseen,
    history::random_histories_agree_with_a_naive_evaluator,
}
