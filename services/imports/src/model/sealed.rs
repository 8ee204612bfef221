//! Columns whose values are sealed.

use portolan_runtime::{sealed::Column, sealed_column};

/// Keys of Postman, by account.
pub const POSTMAN_KEY: Column = sealed_column!("postman_credentials", "api_key", "account_id", Number, Hex);
/// What jobs are given: addresses, with headers and bodies.
pub const JOB_INPUT: Column = sealed_column!("import_jobs", "input", "job_id", Text, Hex);

/// Every one of them.
pub const SEALED: [&Column; 2] = [&POSTMAN_KEY, &JOB_INPUT];
