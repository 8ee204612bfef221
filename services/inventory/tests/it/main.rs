//! Behaviour of the inventory on SQLite and on Postgres.

mod collections;
mod edge;
mod endpoints;
mod harness;
mod ingest;
mod openapi;

portolan_testkit::suite! {
    collections::names_follow_the_rule,
    collections::a_repeated_write_answers_the_same_collection,
    collections::accounts_do_not_see_each_other,
    collections::restricted_callers_see_their_collections,
    collections::scopes_hide_tagged_collections,
    collections::descriptions_are_checked_and_kept,
    collections::deletion_is_complete,
    collections::the_default_collection_stays,
    collections::import_targets_are_found_or_made,
    edge::the_feed_follows_the_inventory,
    endpoints::reads_show_what_was_ingested,
    endpoints::merged_urls_keep_everything,
    endpoints::unknown_ids_answer_as_documented,
    endpoints::sensitive_parameters_are_listed,
    ingest::order_and_batches_do_not_matter,
    ingest::two_consumers_count_once,
    ingest::faults_lose_and_repeat_nothing,
    ingest::unreadable_records_are_kept_apart,
    ingest::nul_characters_are_replaced,
    ingest::records_find_their_collection,
    openapi::documents_read_back_as_the_same_operations,
    openapi::pages_follow_each_other,
}
