//! The protocol of the cache: in memory, in a real Redis, the one compared with the other, and every interleaving of a
//! small model, with copies and time too.

mod model;
mod near_model;
mod protocol;
mod same;

use std::process::ExitCode;

use portolan_authz::Cache;
use portolan_testkit::{Plain, run_plain};

use protocol::REDIS;

/// Cases that hold for both forms of the cache.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        [$(
            Plain::new(concat!("memory::", stringify!($name)), || protocol::$name(Cache::memory())),
            Plain::new(concat!("redis::", stringify!($name)), || async { protocol::$name(protocol::redis()).await })
                .needing(REDIS),
        )+]
    };
}

fn main() -> ExitCode {
    let mut cases = vec![
        Plain::blocking("model::no_interleaving_serves_a_stale_grant", model::no_interleaving_serves_a_stale_grant),
        Plain::blocking(
            "model::without_any_one_rule_a_stale_grant_is_found",
            model::without_any_one_rule_a_stale_grant_is_found,
        ),
        Plain::blocking(
            "near_model::no_copy_serves_what_was_before_an_answer",
            near_model::no_copy_serves_what_was_before_an_answer,
        ),
        Plain::blocking(
            "near_model::without_any_one_rule_of_copies_a_stale_one_serves",
            near_model::without_any_one_rule_of_copies_a_stale_one_serves,
        ),
        Plain::new("redis::without_redis_changes_are_refused", protocol::without_redis_changes_are_refused),
        Plain::new("redis::processes_share_one_redis", protocol::processes_share_one_redis).needing(REDIS),
        Plain::new(
            "redis::installations_share_a_redis_but_no_values",
            protocol::installations_share_a_redis_but_no_values,
        )
        .needing(REDIS),
        Plain::new(
            "same::a_change_of_a_basis_that_was_only_expected_hides_nothing",
            same::a_change_of_a_basis_that_was_only_expected_hides_nothing,
        )
        .needing(REDIS),
        Plain::blocking("same::redis_does_what_the_protocol_says", same::redis_does_what_the_protocol_says)
            .needing(REDIS),
    ];
    cases.extend(on_both![
        a_filled_value_is_served,
        a_read_that_began_before_a_change_fills_nothing,
        a_read_across_a_whole_change_fills_nothing,
        nobody_fills_before_both_of_two_changes_finish,
        a_dropped_change_keeps_its_tombstone,
        one_reader_at_a_time_has_the_lease,
        a_value_ends_with_its_basis,
        a_basis_may_change_and_end,
    ]);
    run_plain(cases)
}
