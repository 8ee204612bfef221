//! What only identity itself can show, on both databases: the ends of sessions, invitations and reset tokens by a clock
//! that is moved by hand; equal work for known and unknown accounts; what the database alone enforces.

mod chain;
mod clock;
mod equal_work;
mod heads;
mod lists;
mod order;
mod retention;
#[path = "../common/world.rs"]
mod world;

portolan_testkit::suite! {
    clock::a_session_ends_when_it_is_not_used,
    clock::a_session_ends_however_much_it_is_used,
    clock::an_invitation_is_good_for_a_week,
    clock::a_reset_token_is_good_for_two_hours_and_once,
    clock::what_has_ended_is_removed,
    equal_work::a_login_costs_the_same_for_everybody,
    equal_work::a_reset_costs_the_same_for_everybody,
    lists::the_database_keeps_one_default_role,
    lists::forgetting_twice_changes_nothing,
    lists::long_events_are_cut_and_a_page_of_them_fits_a_message,
    order::nobody_gains_what_the_giver_does_not_hold,
    order::authority_is_given_by_holders,
    chain::every_change_of_a_row_is_found,
    chain::a_chain_cannot_be_made_anew,
    chain::a_head_that_was_kept_shows_what_was_set_back,
    chain::a_chain_that_is_older_than_keys_goes_on,
    chain::a_chain_goes_on_under_another_key,
    heads::heads_are_signed_when_they_move,
    retention::months_leave_as_files_that_hold,
}
