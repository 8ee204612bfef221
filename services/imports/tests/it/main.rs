//! The service on both databases, against a log and a small inventory of its own.

mod har;
mod inventory;
mod jobs;
mod openapi;
mod postman_server;
mod world;

portolan_testkit::suite! {
    har::a_repeated_write_imports_once,
    har::a_refused_capture_changes_nothing,
    har::every_form_of_the_capture_is_read,
    har::a_burp_key_names_its_source,
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
    jobs::jobs_are_listed_in_pages,
}
