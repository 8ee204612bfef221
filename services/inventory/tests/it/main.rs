//! Behaviour of the inventory on SQLite and on Postgres.

mod attempts;
mod collections;
mod demerge;
mod discovery;
mod drift;
mod durable;
mod edge;
mod endpoints;
mod fairness;
mod groups;
mod harness;
mod ingest;
mod openapi;
mod redaction;
mod retemplating;
mod sensitive;

portolan_testkit::suite! {
    attempts::a_record_at_which_processes_died_twice_is_set_aside,
    attempts::one_death_sets_nothing_aside,
    attempts::an_idle_partition_is_let_go,
    attempts::a_panic_sets_its_record_aside,
    attempts::many_suspects_are_narrowed_down,
    attempts::another_process_is_waited_for,
    attempts::a_batch_that_cannot_be_read_is_set_aside,
    attempts::an_operator_skips_what_stands_in_the_way,
    attempts::records_of_missing_accounts_are_set_aside,
    attempts::a_job_that_always_fails_ends,
    collections::names_follow_the_rule,
    collections::a_repeated_write_answers_the_same_collection,
    collections::the_platform_says_where_each_is_served,
    collections::accounts_do_not_see_each_other,
    collections::restricted_callers_see_their_collections,
    collections::scopes_hide_tagged_collections,
    collections::descriptions_are_checked_and_kept,
    collections::deletion_is_complete,
    collections::the_default_collection_stays,
    collections::import_targets_are_found_or_made,
    discovery::counts_are_limited_to_what_is_seen,
    discovery::hosts_find_their_collections,
    discovery::changes_are_selected_and_paged,
    discovery::activity_lists_every_endpoint,
    discovery::calls_are_counted_over_time,
    discovery::samples_are_paged_and_searched,
    discovery::reported_issues_are_counted,
    drift::documents_and_traffic_are_compared,
    edge::the_feed_follows_the_inventory,
    edge::pages_of_long_urls_fit_a_message,
    demerge::a_template_of_many_urls_is_undone,
    demerge::a_template_of_one_url_is_undone,
    demerge::refusals_say_why,
    durable::a_deletion_survives_deaths,
    durable::a_redaction_survives_deaths,
    durable::access_types_survive_deaths,
    durable::groups_survive_deaths,
    endpoints::reads_show_what_was_ingested,
    endpoints::merged_urls_keep_everything,
    endpoints::unknown_ids_answer_as_documented,
    endpoints::sensitive_parameters_are_listed,
    fairness::a_flood_delays_its_account_alone,
    fairness::an_unreadable_row_delays_its_account_alone,
    fairness::what_is_set_aside_delays_its_account_alone,
    groups::groups_and_their_patterns_have_an_end,
    groups::groups_take_bounded_memory,
    groups::a_group_looks_alone,
    groups::members_do_not_depend_on_order,
    groups::members_follow_their_collections,
    groups::additions_stand_beside_conditions,
    groups::members_follow_what_is_seen,
    groups::restricted_callers_find_only_what_they_see,
    groups::previews_show_what_a_group_would,
    groups::answers_name_the_groups,
    groups::tags_of_specifications_count,
    discovery::old_calls_are_forgotten,
    discovery::what_grows_by_the_day_is_forgotten,
    ingest::new_sensitive_data_is_told_once,
    sensitive::redacted_kinds_leave_no_value,
    ingest::order_and_batches_do_not_matter,
    ingest::two_consumers_count_once,
    ingest::faults_lose_and_repeat_nothing,
    ingest::unreadable_records_are_kept_apart,
    ingest::nul_characters_are_replaced,
    ingest::records_find_their_collection,
    openapi::documents_read_back_as_the_same_operations,
    sensitive::marks_outweigh_the_detectors,
    sensitive::data_types_are_applied_at_ingest,
    sensitive::built_in_types_are_switched,
    sensitive::definitions_are_checked,
    sensitive::changes_of_kinds_are_seen,
    sensitive::data_types_take_bounded_memory,
    sensitive::private_parameters_are_told_apart,
    openapi::pages_follow_each_other,
    redaction::a_deletion_leaves_no_bytes,
    retemplating::kinds_of_data_apply_to_what_is_there,
    retemplating::older_rules_give_way,
    retemplating::what_was_said_follows,
    redaction::no_value_is_left,
    redaction::nothing_is_stored_first;
    PORTOLAN_TEST_KAFKA @sqlite:
    fairness::a_flood_delays_its_account_alone_over_a_broker,
}
