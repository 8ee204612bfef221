//! The whole product from outside: the binary as a child process, called over HTTP and gRPC, on SQLite and Postgres.

mod api_keys;
mod audit;
mod bad_input;
mod billing;
mod billing_stigg;
mod bounds;
mod canary;
mod client_bodies;
mod collections;
mod commands;
mod consumers;
mod cores;
mod credentials;
mod distributed;
mod documented;
mod earlier_data;
mod edge;
mod exports;
mod faults;
mod floods;
mod front;
mod golden;
mod group_parts;
mod guards;
mod https;
mod identity_leavers;
mod identity_refusals;
mod identity_team;
mod identity_ways_in;
mod imports;
mod imports_formats;
mod imports_sources;
mod inventory_reads;
mod inventory_writes;
mod isolation;
mod katapult;
mod kill;
mod managed;
mod memory;
mod mistakes;
mod notices;
mod operations;
mod operator;
mod parity;
mod poison;
mod proxy;
mod readiness;
mod real_files;
mod replicas;
mod rights;
mod roles;
mod rotation;
mod sealing;
mod server;
mod single_sign_on;
mod six;
mod stale_grants;
mod tenants;
mod throttle;
mod traces;
mod trust;
mod up_distributed;
mod up_services;
mod watched;
mod workato;

portolan_testkit::suite! {
    credentials::first_start_makes_a_key_that_works,
    credentials::sessions_begin_and_end,
    credentials::a_deleted_key_is_refused_at_once,
    credentials::keys_of_tools_stay_in_their_list,
    credentials::grpc_takes_the_same_key,
    guards::every_rpc_refuses_whom_its_rule_refuses,
    tenants::no_rpc_reaches_another_account,
    tenants::no_rpc_shows_a_hidden_collection,
    trust::a_token_opens_one_service,
    operator::files_are_for_their_owner_alone,
    sealing::values_open_in_their_own_row_alone,
    rotation::a_rotation_keeps_everything_open,
    rotation::a_rotation_needs_no_process,
    rotation::a_rotation_waits_for_who_has_not_read_the_key,
    group_parts::a_revoked_collection_leaves_the_groups,
    group_parts::a_group_alone_is_read_everywhere,
    rights::a_customer_is_no_vendor,
    rights::a_token_acts_where_it_was_made,
    rights::nobody_hands_out_more_than_they_hold,
    rights::a_scope_belongs_to_the_thing,
    rights::customers_are_the_organizations,
    bounds::bounded_keys_make_bounded_things,
    bounds::tokens_of_addresses_make_what_is_of_them,
    rights::every_rpc_that_can_carry_rights_is_known,
    throttle::a_sign_up_clears_no_login,
    roles::a_role_bounds_what_a_user_may,
    roles::a_restricted_user_sees_their_own_collections,
    roles::another_account_is_out_of_sight,
    identity_team::a_person_from_invitation_to_refusal,
    identity_team::racing_roles_keep_one_name_and_one_default,
    identity_team::the_last_admin_stays,
    identity_team::workspaces_of_a_vendor,
    identity_team::a_suspended_organization_is_refused,
    identity_leavers::credentials_go_with_their_member,
    identity_leavers::keys_go_with_their_workspace,
    identity_leavers::deleted_collections_leave_every_list,
    identity_refusals::every_refusal_has_its_text,
    identity_ways_in::letters_go_out,
    single_sign_on::a_provider_lets_people_in,
    single_sign_on::providers_of_every_shape_let_people_in,
    single_sign_on::tokens_of_no_login_let_nobody_in,
    single_sign_on::metadata_speak_for_their_own_issuer,
    https::clients_show_a_certificate_of_the_authority,
    https::certificates_are_needed,
    identity_ways_in::links_lead_somewhere,
    identity_ways_in::browsers_get_messages,
    collections::create_then_list,
    collections::names_follow_the_rule,
    collections::deletion_is_complete,
    collections::a_repeated_key_repeats_the_answer,
    imports::a_capture_becomes_endpoints,
    imports::a_document_becomes_endpoints,
    imports::a_reviewed_document_is_ingested_once,
    imports::an_upload_has_an_owner,
    imports::a_streamed_file_becomes_a_job,
    imports::the_command_imports_a_file,
    client_bodies::bodies_of_real_clients_are_read,
    client_bodies::members_of_another_type_are_named,
    client_bodies::captures_tell_time_place_and_secrets,
    client_bodies::services_without_traffic_make_collections,
    exports::documents_come_back_as_the_same_endpoints,
    exports::the_command_shows_apis_first_and_sends_folders,
    imports_formats::files_of_other_tools_become_endpoints,
    imports_formats::what_is_refused_is_named_and_leaves_nothing,
    imports_formats::what_a_reading_notes_is_told_everywhere,
    imports_sources::refusals_are_exact,
    imports_sources::a_workspace_reaches_the_inventory,
    imports_sources::addresses_and_schemas_are_imported_once,
    imports_sources::a_killed_call_is_made_again,
    imports_sources::every_request_is_accounted_for,
    throttle::racing_wrong_passwords_are_counted_exactly,
    inventory_reads::reads_answer_their_documented_shapes,
    inventory_reads::sensitive_data_is_marked_and_defined,
    traces::no_byte_is_left_of_what_is_redacted_or_deleted,
    inventory_reads::drift_is_told,
    inventory_reads::platform_collections_are_served,
    audit::every_write_and_refusal_is_recorded,
    audit::failed_authentications_are_recorded,
    bad_input::is_refused_and_changes_nothing,
    bad_input::ambiguous_messages_are_refused,
    isolation::no_input_keeps_an_installation_down,
    canary::one_tenant_harms_no_other,
    isolation::no_setting_stops_ingest,
    poison::no_stored_event_stops_its_topic,
    consumers::no_receiver_silences_another,
    consumers::no_stored_job_stops_another,
    poison::no_stored_setting_harms_what_stands_beside_it,
    isolation::what_is_set_aside_is_seen_and_replayed,
    isolation::two_streams_of_one_length_are_told_apart,
    isolation::a_full_disk_is_borne,
    isolation::a_full_spool_is_borne,
    isolation::strangers_make_nothing_grow,
    isolation::silent_clients_keep_nobody_out,
    cores::only_workers_keep_to_a_core,
    memory::worst_inputs_stay_within_a_bound,
    memory::large_documents_wait_for_each_other,
    memory::messages_of_many_parts_are_refused,
    floods::floods_of_frames_harm_nobody,
    floods::bodies_of_both_ports_share_one_budget,
    floods::many_calls_of_an_account_wait_for_each_other,
    floods::strangers_send_small_messages,
    katapult::scopes_open_the_routes_of_profiles,
    katapult::the_scope_imports_imports,
    katapult::the_five_operations,
    katapult::refusals_are_exact,
    katapult::arguments_are_read_as_documented,
    katapult::what_is_checked_at_each_use,
    katapult::one_secret_works_while_callers_race,
    katapult::scopes_open_our_own_api,
    workato::access_profiles_live_and_change,
    workato::faults_are_named_by_field,
    workato::only_the_vendor_acts,
    workato::clients_carry_the_settings_of_their_keys,
    workato::the_token_endpoint_takes_three_forms,
    workato::calls_of_a_vendor_are_counted,
    workato::secrets_are_kept_nowhere,
    api_keys::a_rotation_may_leave_a_grace,
    api_keys::a_key_ends_with_its_time,
    api_keys::a_leaked_key_is_revoked_when_shown,
    api_keys::slack_webhooks_are_listed_as_tokens,
    api_keys::messages_reach_the_webhooks_of_an_account,
    billing::usage_follows_the_inventory,
    billing::subscriptions_answer_every_error,
    billing::events_count_once,
    billing::agents_are_analysed,
    billing::limits_hold_and_plans_change_at_once,
    billing::racing_clients_keep_within_the_limit_of_accounts,
    billing::collections_keep_within_the_plan,
    billing::racing_imports_keep_within_the_limit_of_endpoints,
    billing_stigg::a_provider_keeps_the_plans,
    billing_stigg::a_provider_that_is_down_is_borne,
    inventory_writes::access_types_are_answered,
    inventory_writes::activation_bounds_what_is_read,
    inventory_writes::collections_are_changed,
    inventory_writes::endpoints_are_deleted_and_demerged,
    inventory_writes::groups_hold_what_conditions_say,
    inventory_writes::one_collection_is_deleted,
    inventory_writes::redaction_hides_every_value,
    inventory_writes::single_endpoints_are_added_and_removed,
    inventory_writes::conditions_are_previewed,
    notices::new_sensitive_data_is_told_once,
    notices::imports_are_told_in_the_scope_of_their_collection,
    notices::readers_are_told_of_what_they_may_read,
    golden::documented_calls_answer_exactly,
    billing::a_recomputation_repairs_and_reports,
    billing::the_command_prints_usage,
    kill::nothing_is_lost_or_counted_twice,
    operations::a_backup_is_restored,
    operations::the_doctor_names_what_is_wrong,
    operations::the_doctor_names_place_and_cause,
    operations::the_program_of_before_serves_newer_tables,
    operations::migrate_leaves_nothing_to_a_start,
    earlier_data::is_refused_by_every_command,
    up_services::what_cannot_be_started_is_named,
    commands::of_the_documentation_run,
    commands::names_of_the_documentation_exist,
    operator::commands_make_nothing,
    operator::an_embedded_database_has_one_process,
    operator::a_lost_key_is_told_at_the_start,
    operator::an_operator_finds_a_way_in,
    operator::kept_heads_show_what_was_set_back,
    operator::commands_name_server_and_cause,
    mistakes::values_that_cannot_work_are_refused,
    operator::every_mistake_is_told_at_once,
    operator::the_schema_of_the_configuration_is_current,
    operator::one_of_several_needs_what_they_share,
    watched::a_request_leaves_a_line,
    documented::the_routes_are_the_listed_ones,
    front::a_proxy_speaks_for_its_clients,
    distributed::a_trace_follows_a_request_over_every_hop,
    trust::a_peer_with_another_key_or_clock_is_a_fault_of_the_operator,
    trust::a_foreign_certificate_is_a_fault_of_the_operator,
    real_files::every_operation_and_entry_is_accounted_for;
    PORTOLAN_TEST_ENVOY:
    front::the_edge_says_who_calls,
    distributed::services_speak_mutual_tls,
    distributed::a_rolling_restart_fails_no_request,
    faults::what_a_client_sees_of_each_fault;
    PORTOLAN_TEST_ENVOY @postgres:
    earlier_data::is_refused_by_each_process,
    up_distributed::a_dead_process_ends_the_others,
    up_distributed::an_address_in_use_is_named;
    PORTOLAN_TEST_POSTGRES_BIN @postgres:
    managed::servers_are_spoken_to_over_tls,
    managed::a_store_that_comes_later_is_waited_for;
    PORTOLAN_TEST_POSTGRES @postgres:
    up_services::two_processes_are_an_installation,
    watched::faults_leave_the_series_of_the_alerts,
    operations::a_user_without_the_right_to_make_serves;
    PORTOLAN_TEST_REDIS @postgres:
    replicas::a_change_at_one_counts_at_the_other,
    replicas::failures_are_counted_together;
    PORTOLAN_TEST_REDIS_SERVER @postgres:
    operations::the_doctor_sees_what_a_user_may_not,
    stale_grants::two_processes_and_a_failing_redis_grant_nothing_old,
    readiness::a_store_that_is_gone_is_told_within_a_second;
    PORTOLAN_TEST_ENVOY @sqlite:
    parity::envoy_answers_as_the_gateway_does;
    PORTOLAN_TEST_SCHEMATHESIS:
    documented::answers_fit_the_document;
    PORTOLAN_TEST_KAFKA @postgres:
    up_distributed::the_log_is_kafka,
    cores::only_workers_keep_to_a_core_over_a_broker,
    kill::nothing_is_lost_or_counted_twice_over_a_broker;
    PORTOLAN_TEST_KAFKA_LIBS:
    faults::what_a_client_sees_of_broker_faults;
    PORTOLAN_TEST_ENVOY:
    edge::each_kind_of_credential_opens_its_own,
    edge::nothing_stored_stops_the_feed,
    edge::the_upstream_learns_who_calls_from_us_alone,
    edge::paths_pass_in_one_reading_only,
    edge::unknown_endpoints_pass_where_that_is_set,
    edge::preflights_pass_where_a_profile_says_so,
    edge::no_spelling_of_a_credential_reaches_the_upstream,
    edge::nothing_passes_for_a_closed_workspace,
    edge::nothing_passes_for_an_organization_that_is_not_active,
    edge::what_is_switched_off_is_refused_at_once,
    edge::refused_credentials_are_in_the_audit,
    edge::a_host_of_two_accounts_is_refused_until_it_is_bound,
    edge::a_profile_reaches_no_further_than_it_should,
    edge::a_secret_ends_with_the_answer,
    edge::a_secret_ends_at_every_replica,
    edge::a_lost_feed_refuses,
    edge::decisions_are_asked_for_by_way_of_the_edge,
    edge::only_proxies_are_answered,
    edge::forged_tokens_open_nothing,
    edge::providers_speak_for_their_own_profiles,
    edge::claims_are_checked,
    edge::providers_are_asked_with_care,
    edge::each_kind_withstands_the_same_attacks,
    edge::forwarded_addresses_count_for_nothing_by_default,
    edge::a_number_of_proxies_tells_who_calls,
    edge::each_signed_kind_checks_its_claims,
}
