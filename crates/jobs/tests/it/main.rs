//! The engine on both databases, with jobs that fail, panic, hang and die.

mod asks;
mod attempts;
mod steps;
mod takeover;
mod world;

portolan_testkit::suite! {
    steps::a_job_is_done_in_steps,
    steps::a_step_that_is_lost_is_repeated_once,
    steps::asked_for_again_it_starts_anew,
    steps::a_job_is_cancelled_before_it_begins,
    steps::a_job_is_cancelled_in_the_middle,
    steps::a_request_works_on_its_job_for_a_while,
    steps::how_far_a_long_step_is_outlasts_it,
    attempts::what_always_fails_ends_failed,
    attempts::what_panics_ends_failed,
    attempts::what_hangs_ends_failed,
    attempts::what_keeps_its_thread_holds_up_no_other,
    attempts::what_can_never_go_fails_at_once,
    attempts::what_kills_its_process_ends_failed,
    attempts::what_fails_is_done_again_for_who_asked_meanwhile,
    attempts::the_end_of_the_process_is_no_attempt,
    attempts::a_job_that_cannot_be_read_holds_up_no_other,
    takeover::what_hangs_loses_its_lease,
    takeover::a_late_step_writes_nothing,
    takeover::a_process_may_die_anywhere,
    takeover::two_processes_share_the_work,
    takeover::one_account_does_not_hold_up_another,
    asks::a_write_makes_one_job,
    asks::arguments_that_hold_a_secret_are_sealed,
    asks::only_who_has_what_a_job_needs_takes_it,
    asks::what_a_collection_names_goes_with_it,
}
