//! The store on both databases.

mod existing;
mod faults;
mod migrations;
mod transactions;
mod values;

portolan_testkit::suite! {
    existing::a_store_that_is_looked_at_stays_as_it_is,
    existing::a_server_that_is_gone_is_named_at_once,
    existing::connections_are_counted_beside_the_limit,
    existing::what_is_told_is_heard,
    faults::a_lost_answer_leaves_the_commit_standing,
    faults::a_lost_connection_before_the_commit_writes_nothing,
    faults::delays_and_own_points_strike_as_often_as_armed,
    faults::retrying_repeats_what_wrote_nothing,
    migrations::apply_once_and_in_order,
    migrations::processes_starting_together_apply_once,
    migrations::are_looked_at_before_anything_is_changed,
    migrations::refuse_edited_and_unknown_databases,
    migrations::serve_the_program_of_before,
    migrations::a_failing_script_changes_nothing,
    transactions::a_failed_statement_spoils_the_transaction,
    transactions::an_unfinished_transaction_rolls_back,
    transactions::a_cancelled_begin_leaves_no_transaction_open,
    transactions::a_cancelled_statement_spoils_the_transaction,
    transactions::a_deadlock_is_repeated,
    transactions::a_transaction_that_cannot_end_takes_its_connection_along,
    transactions::concurrent_increments_are_all_counted,
    transactions::a_commit_is_seen_before_it_is_durable,
    transactions::a_read_transaction_sees_one_moment,
    transactions::a_read_that_holds_the_log_holds_no_writer,
    transactions::the_log_of_a_file_stays_short,
    transactions::services_are_told_apart_by_name,
    transactions::two_stores_share_one_database,
    values::round_trip,
    values::nulls_keep_prepared_statements_usable,
    values::misread_columns_are_errors,
    values::violations_are_named,
    values::bulk_writes_every_row,
}
