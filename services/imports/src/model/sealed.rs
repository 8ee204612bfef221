//! Columns whose values are sealed.

use portolan_runtime::{sealed::Column, sealed_column};

/// Keys of Postman, by account.
pub const POSTMAN_KEY: Column = sealed_column!("postman_credentials", "api_key", "account_id", Number, Hex);

/// Every one of them, with what jobs are given: addresses, headers, bodies and keys.
pub const SEALED: [&Column; 2] = [&POSTMAN_KEY, &portolan_jobs::ARGUMENTS];
