//! The service on both databases, against a directory and a Stigg of its own.

mod agents;
mod limits;
mod metering;
mod refresh;
mod stigg;
mod world;

portolan_testkit::suite! {
    metering::a_retry_storm_counts_once,
    metering::any_order_gives_the_same_usage,
    metering::the_highest_version_counts,
    metering::windows_add_up,
    limits::grace_follows_the_clock,
    limits::a_plan_that_is_not_known_allows_nothing,
    limits::usage_of_all_accounts_counts,
    agents::a_retry_storm_counts_once,
    agents::any_order_gives_the_same_analysis,
    refresh::requests_share_a_run,
    refresh::what_is_old_is_forgotten,
    refresh::what_grows_by_the_day_leaves,
    stigg::subscriptions_go_through_stigg,
    stigg::the_last_answer_serves_for_a_stated_time,
    stigg::reports_wait_and_arrive_once,
    stigg::a_refused_report_holds_up_no_other,
    stigg::a_refused_customer_holds_up_no_other,
    stigg::every_failure_is_unavailable,
}
