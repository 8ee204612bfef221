//! The service on both databases, against a log and a small inventory of its own.

mod har;
mod inventory;
mod jobs;
mod openapi;
mod poison;
mod postman;
mod postman_server;
mod sources;
mod world;

portolan_testkit::suite! {
    har::a_repeated_write_imports_once,
    har::a_refused_capture_changes_nothing,
    har::every_form_of_the_capture_is_read,
    har::a_burp_key_names_its_source,
    har::a_capture_is_audited,
    openapi::a_reviewed_upload_is_ingested_once,
    openapi::a_target_is_filled_at_once,
    openapi::an_interrupted_import_is_completed_by_its_repetition,
    openapi::a_refused_document_changes_nothing,
    openapi::uploads_belong_to_their_account,
    jobs::a_file_is_imported,
    jobs::a_specification_is_imported,
    jobs::a_job_goes_on_after_a_restart,
    jobs::a_damaged_file_fails_and_appends_nothing,
    jobs::a_refused_upload_leaves_nothing,
    jobs::a_job_is_cancelled,
    jobs::jobs_are_listed_in_pages,
    jobs::a_job_that_cannot_be_read_holds_up_no_other,
    jobs::what_always_fails_ends_failed,
    jobs::what_hangs_ends_failed,
    jobs::what_kills_its_process_ends_failed,
    poison::spoiled_jobs_hold_up_no_other,
    poison::work_that_never_goes_holds_up_no_other,
    postman::a_file_is_reviewed_and_ingested_once,
    postman::a_refused_file_changes_nothing,
    postman::an_interrupted_approval_is_completed,
    postman::a_workspace_is_fetched_for_review,
    postman::a_workspace_that_cannot_be_read_fails,
    postman::a_failed_import_leaves_the_credential,
    postman::a_credential_that_an_import_brings_is_audited,
    postman::a_credential_is_sealed_and_masked,
    postman::lists_are_read_whole,
    postman::a_collection_is_exported,
    postman::a_specification_is_kept,
    postman::a_deleted_upload_goes,
    postman::values_go_with_their_collection,
    sources::a_schema_fills_a_collection_a_host,
    sources::a_refused_schema_changes_nothing,
    sources::an_address_is_called_and_ingested_once,
    sources::a_given_answer_is_taken,
    sources::refused_addresses_are_not_called,
    sources::files_are_recognized_and_cancelled,
}
